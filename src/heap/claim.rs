//! Taking a heap for a moment while its thread sleeps, or works elsewhere.
//!
//! The owner says when it is on a slow path, with plain stores, and looks whether the heap is
//! claimed; a claimer says that it claims, has every running thread pass a barrier, and looks
//! whether the owner is on a slow path. The barrier makes up for the fence that the owner does not
//! pay for: one of the two sees the other.
//!
//! **A claim does not reach the current pools**: their lists are the fast path's, which says nothing
//! to anyone. All else of the heap is the claimer's: partial and empty pools, inbox, outbox.

use super::thread_heap::ThreadHeap;
use crate::base::geometry::LOCK_SPINS;
use crate::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use crate::sync::atomic::{Ordering::SeqCst, compiler_fence};
use crate::sys;

/// The two words of the protocol.
pub struct Tenancy {
    /// The owner is on a slow path.
    inside: AtomicU32,
    /// Somebody has claimed the heap, or tries to.
    claimed: AtomicU32,
}

/// The owner is on a slow path as long as this lives.
pub struct Inside<'a>(&'a Tenancy);

/// The heap is claimed as long as this lives.
pub struct Claim<'a>(&'a Tenancy);

impl Tenancy {
    pub const fn new() -> Self {
        Self { inside: AtomicU32::new(0), claimed: AtomicU32::new(0) }
    }

    #[inline(always)]
    fn enter(&self) -> Inside<'_> {
        if !self.try_enter() {
            self.wait();
        }
        Inside(self)
    }

    /// Says that the owner is on a slow path. False if the heap is claimed: then [`Tenancy::wait`].
    #[inline(always)]
    fn try_enter(&self) -> bool {
        self.inside.store(1, Relaxed);
        // Pairs with the barrier in `claim`: the store above is visible before the load below.
        compiler_fence(SeqCst);
        // Acquire pairs with the Release at a claim's end: what the claimer did is visible.
        self.claimed.load(Acquire) == 0
    }

    #[inline(always)]
    fn leave(&self) {
        // Release pairs with the Acquire in `claim`.
        self.inside.store(0, Release);
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) {
        loop {
            // Release, as when leaving: a claimer that sees 0 sees all that was done.
            self.inside.store(0, Release);
            self.wait_while_claimed();
            self.inside.store(1, Relaxed);
            compiler_fence(SeqCst);
            // As in `enter`.
            if self.claimed.load(Acquire) == 0 {
                return;
            }
        }
    }

    fn wait_while_claimed(&self) {
        let mut spins = 0;
        // Acquire pairs with the Release at a claim's end.
        while self.claimed.load(Acquire) != 0 {
            match spins < LOCK_SPINS {
                true => core::hint::spin_loop(),
                false => sys::wait(&self.claimed, 1),
            }
            spins += 1;
        }
    }

    /// Nobody else claims: one at a time.
    fn begin_claim(&self) -> Option<Claim<'_>> {
        // Acquire pairs with the Release at another claim's end; SeqCst, as the barrier follows.
        // A `Claim` that is made only to be dropped would end the other one.
        self.claimed.compare_exchange(0, 1, SeqCst, Relaxed).ok().map(|_| Claim(self))
    }

    fn claim(&self) -> Option<Claim<'_>> {
        let claim = self.begin_claim()?;
        if !sys::barrier() {
            return None;
        }
        // Acquire pairs with the Release when the owner leaves.
        let is_free = (0..LOCK_SPINS).any(|_| {
            core::hint::spin_loop();
            self.inside.load(Acquire) == 0
        });
        is_free.then_some(claim)
    }

    /// Makes the heap nobody's: in a forked child, where neither owner nor claimer is.
    pub fn reset(&self) {
        self.inside.store(0, Relaxed);
        self.claimed.store(0, Relaxed);
    }
}

impl Drop for Inside<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // Release pairs with the Acquire in `enter`.
        self.0.claimed.store(0, Release);
        sys::wake_all(&self.0.claimed);
    }
}

impl ThreadHeap {
    /// Before anything but the fast path: waits while the heap is claimed. For the owner, not twice.
    #[inline(always)]
    pub fn enter(&self) -> Inside<'_> {
        self.tenancy.enter()
    }

    /// As [`ThreadHeap::enter`] for the shortest of slow paths: false if the heap is claimed, and then
    /// nothing was entered. Ends with [`ThreadHeap::leave`] or [`ThreadHeap::resume`].
    #[inline(always)]
    pub fn try_enter(&self) -> bool {
        self.tenancy.try_enter()
    }

    /// The owner leaves what it entered by [`ThreadHeap::try_enter`].
    #[inline(always)]
    pub fn leave(&self) {
        self.tenancy.leave();
    }

    /// What was entered by [`ThreadHeap::try_enter`], to be left when this is dropped.
    pub fn resume(&self) -> Inside<'_> {
        Inside(&self.tenancy)
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

    /// Claims a heap that has no owner, unless somebody else does. Under the registry's lock, by
    /// which the next owner comes: no barrier is needed.
    pub fn claim_vacant(&self) -> Option<Claim<'_>> {
        self.tenancy.begin_claim()
    }
}
