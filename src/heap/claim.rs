//! What a heap's owner and its claimers say to each other, by `tenancy.rs`.

use super::tenancy::{Begun, Claim, Inside};
use super::thread_heap::ThreadHeap;
use crate::base::class::SizeClass;
use crate::mem::pool::Owner;

impl ThreadHeap {
    /// Before anything but the fast path: waits while the heap is claimed. For the owner, not twice.
    #[inline(always)]
    pub fn enter(&self) -> Inside<'_> {
        self.tenancy.enter()
    }

    /// As [`ThreadHeap::enter`] for the shortest of slow paths, to a pool of `class` that is `owner`'s: `Err` if that is
    /// another heap, or this one was claimed. Ends with [`ThreadHeap::leave`] or [`ThreadHeap::go_on`].
    #[inline(always)]
    pub fn try_enter(&self, class: SizeClass, owner: *mut Owner) -> Result<Begun, Begun> {
        self.tenancy.try_enter(&self.tally(class).frees, owner.addr())
    }

    /// Whether the owner, which [`ThreadHeap::try_enter`] refused a pool, has entered all the same: the pool is another
    /// heap's. False for `NOBODY`.
    #[inline(always)]
    pub fn has_entered(&self) -> bool {
        self.tenancy.has_pass(self.as_owner().addr())
    }

    /// Waits while the heap is claimed; [`ThreadHeap::try_enter`] then goes on, and current pools are as they seem.
    pub fn renew(&self) {
        self.tenancy.renew(self.as_owner().addr());
    }

    /// The owner leaves what it entered by [`ThreadHeap::try_enter`], with so many frees counted, one or none. True if a pool's
    /// worth of them is to be published: then it has not left, but [goes on](ThreadHeap::go_on).
    #[inline(always)]
    pub fn leave(&self, class: SizeClass, begun: Begun, frees: u32) -> bool {
        self.tally(class).frees.end(begun, frees)
    }

    /// What was entered by [`ThreadHeap::try_enter`] is a slow path like any other from now on, once it is left.
    pub fn go_on(&self) -> Inside<'_> {
        self.tenancy.go_on()
    }

    /// Claims the heap, unless somebody else does, its owner is on a slow path that does not end
    /// soon, or the system has no barrier.
    pub fn claim(&self) -> Option<Claim<'_>> {
        self.tenancy.claim(self.countdowns())
    }

    /// Waits until nobody claims the heap, which has no owner. Under the registry's lock, with sweeps
    /// locked out: then nobody begins to.
    pub fn wait_while_claimed(&self) {
        self.tenancy.wait_while_claimed();
    }
}
