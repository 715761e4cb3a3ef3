//! What a heap's owner and its claimers say to each other, by `tenancy.rs`.

use super::tenancy::{Claim, Inside};
use super::thread_heap::ThreadHeap;
use crate::mem::pool::Owner;

impl ThreadHeap {
    /// Before anything but the fast path: waits while the heap is claimed. For the owner, not twice.
    #[inline(always)]
    pub fn enter(&self) -> Inside<'_> {
        self.tenancy.enter()
    }

    /// As [`ThreadHeap::enter`] for the shortest of slow paths, to a pool of `owner`'s: false if that is
    /// another heap, or this one was claimed. Ends with [`ThreadHeap::leave`] or [`ThreadHeap::resume`].
    #[inline(always)]
    pub fn try_enter(&self, owner: *mut Owner) -> bool {
        self.tenancy.try_enter(owner.addr())
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

    /// The owner leaves what it entered by [`ThreadHeap::try_enter`].
    #[inline(always)]
    pub fn leave(&self) {
        self.tenancy.leave();
    }

    /// What was entered by [`ThreadHeap::try_enter`], to be left when this is dropped.
    pub fn resume(&self) -> Inside<'_> {
        self.tenancy.resume()
    }

    /// Claims the heap, unless somebody else does, its owner is on a slow path that does not end
    /// soon, or the system has no barrier.
    pub fn claim(&self) -> Option<Claim<'_>> {
        self.tenancy.claim()
    }

    /// Waits until nobody claims the heap, which has no owner. Under the registry's lock, with sweeps
    /// locked out: then nobody begins to.
    pub fn wait_while_claimed(&self) {
        self.tenancy.wait_while_claimed();
    }
}
