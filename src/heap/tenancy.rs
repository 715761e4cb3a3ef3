//! Taking a heap for a moment while its thread sleeps, or works elsewhere.
//!
//! The owner says when it is on a slow path, with plain stores, and looks whether the heap is
//! claimed; a claimer says that it claims, has every running thread pass a barrier, and looks
//! whether the owner is on a slow path. The barrier makes up for the fence that the owner does not
//! pay for: one of the two sees the other.
//!
//! The shortest of slow paths, a free to a pool that is not current, counts itself when it is done. Its count says
//! both: a processor takes one store after the other, and so many of them follow each other there that each is waited for.
//!
//! A claim shuts the slow paths. All but the current pools is then the claimer's: partial and empty pools,
//! inbox, outbox. The fast path goes on; how its lists are taken away stands in `current.rs`.

use crate::base::geometry::LOCK_SPINS;
use crate::sync::atomic::{AtomicU32, AtomicUsize};
use crate::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use crate::sync::atomic::{Ordering::SeqCst, compiler_fence, spin_loop};
use crate::sync::planted::planted;
use crate::sys;

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
/// Claimed, and somebody sleeps or is about to: the owner, or, where there is none, who forks.
const AWAITED: u32 = 2;

/// What is no heap's pass.
pub const NO_PASS: usize = 1;

/// The words of the protocol. On a cache line of their own: the owner writes to them all the time, and others read what stands beside.
#[repr(align(64))]
pub struct Tenancy {
    /// The owner is on a slow path.
    inside: AtomicU32,
    /// Somebody has claimed the heap, or tries to.
    claimed: AtomicU32,
    /// A number that pools of the heap bear, if nobody has claimed it since the owner last had it renewed; else
    /// [`NO_PASS`]. One compare then tells whether a pool is the heap's, whether the owner may go on, and whether
    /// what it read of its current pools was not a claimer's doing.
    pass: AtomicUsize,
}

/// The owner is on a slow path as long as this lives.
pub struct Inside<'a>(&'a Tenancy);

/// A number that the owner counts down, by one with each of the shortest of slow paths, and which says whether it is on
/// one: twice the number, and one more while it is. No claimer writes it: an owner that finds the heap claimed has
/// read it before, and puts that back.
pub struct Countdown(AtomicU32);

/// The owner is on the shortest of slow paths, which ends with [`Countdown::end`]. What the countdown says between two.
#[derive(Clone, Copy)]
pub struct Begun(u32);

impl Countdown {
    /// All bits zero: to be [set](Countdown::set).
    pub const fn zero() -> Self {
        Self(AtomicU32::new(0))
    }

    /// What is left.
    pub fn left(&self) -> u32 {
        self.0.load(Relaxed) / 2
    }

    /// Says what is left, not 0. The owner is not on a short path then.
    #[inline(always)]
    pub fn set(&self, left: u32) {
        self.put(left * 2);
    }

    fn put(&self, word: u32) {
        let order = if planted("end_relaxed") { Relaxed } else { Release };
        // Release pairs with the Acquire in `is_at_rest`.
        self.0.store(word, order);
    }

    /// Says that the owner is on the shortest of slow paths.
    #[inline(always)]
    pub fn begin(&self) -> Begun {
        let between = self.0.load(Relaxed);
        // Wrapping: of what belongs to nobody, threads without a heap write over each other's.
        self.0.store(between.wrapping_add(1), Relaxed);
        // Pairs with the barrier in `claim`: the store above is visible before what is loaded from here on.
        compiler_fence(SeqCst);
        Begun(between)
    }

    /// Counts one down, or none, and says that the owner is on no short path any more. True if none is left: then the
    /// owner is on it still, until [`Countdown::set`].
    #[inline(always)]
    pub fn end(&self, begun: Begun, count: u32) -> bool {
        let between = begun.0 - 2 * count;
        if between == 0 {
            return true;
        }
        self.put(between);
        false
    }

    /// Counts one down, on a path that has been entered. True if none is left: then [`Countdown::set`].
    pub fn count(&self) -> bool {
        self.end(Begun(self.0.load(Relaxed)), 1)
    }

    /// Whether the owner is on no short path. For claimers.
    fn is_at_rest(&self) -> bool {
        // Acquire pairs with the Release in `put`.
        self.0.load(Acquire).is_multiple_of(2)
    }
}

/// The heap is claimed as long as this lives.
pub struct Claim<'a>(&'a Tenancy);

impl Tenancy {
    /// All bits zero: to be [reset](Tenancy::reset).
    pub const fn zero() -> Self {
        let pass = AtomicUsize::new(0);
        Self { inside: AtomicU32::new(0), claimed: AtomicU32::new(FREE), pass }
    }

    /// Says that the owner is on a slow path, once the heap is not claimed.
    #[inline(always)]
    pub fn enter(&self) -> Inside<'_> {
        self.inside.store(1, Relaxed);
        // As in `begin`.
        compiler_fence(SeqCst);
        if self.claimed.load(Acquire) != FREE {
            self.wait();
        }
        Inside(self)
    }

    /// Says that the owner is on the shortest of slow paths, for a pool that bears `pass`, which `countdown` counts. `Err` if that
    /// is not the heap's pass, or the heap was claimed.
    #[inline(always)]
    pub fn try_enter(&self, countdown: &Countdown, pass: usize) -> Result<Begun, Begun> {
        if planted("enter_looks_first") {
            let is_free = self.has_pass(pass);
            compiler_fence(SeqCst);
            let begun = countdown.begin();
            return if is_free { Ok(begun) } else { Err(begun) };
        }
        let begun = countdown.begin();
        if self.has_pass(pass) { Ok(begun) } else { Err(begun) }
    }

    /// Whether the heap has this pass. For the owner, which has said that it is on a slow path.
    #[inline(always)]
    pub fn has_pass(&self, pass: usize) -> bool {
        // Relaxed: the owner itself put it there, when it had seen what claimers did.
        self.pass.load(Relaxed) == pass
    }

    /// The owner is on no slow path any more.
    #[inline(always)]
    fn leave(&self) {
        let order = if planted("leave_relaxed") { Relaxed } else { Release };
        // Release pairs with the Acquire in `claim`.
        self.inside.store(0, order);
    }

    /// Says that the owner is on a slow path, of which the beginning was the shortest of them: that one is to end next.
    pub fn go_on(&self) -> Inside<'_> {
        // Relaxed: who sees the end of the short one sees this.
        self.inside.store(1, Relaxed);
        Inside(self)
    }

    /// Waits until nobody claims the heap, and lets [`Tenancy::try_enter`] go on until somebody does again. What
    /// the owner read of its current pools before is nothing to go by. For the owner, on no slow path.
    #[cold]
    pub fn renew(&self, pass: usize) {
        loop {
            self.wait_while_claimed();
            // As a claimer of its own heap: whoever claims it next takes the pass away after this.
            if let Some(_claim) = self.begin_claim() {
                return self.pass.store(pass, Relaxed);
            }
        }
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
            if self.claimed.load(Acquire) == FREE {
                return;
            }
        }
    }

    /// Waits until nobody claims the heap. For the owner, or for who sees to it that there is none.
    pub fn wait_while_claimed(&self) {
        let mut spins = 0;
        // Acquire pairs with the Release at a claim's end.
        while self.claimed.load(Acquire) != FREE {
            match spins < LOCK_SPINS {
                true => spin_loop(),
                false => self.sleep(),
            }
            spins += 1;
        }
    }

    fn sleep(&self) {
        let awaited = if planted("sleep_unsaid") { CLAIMED } else { AWAITED };
        // Relaxed: who waits looks again before it goes on.
        let seen = self.claimed.compare_exchange(CLAIMED, awaited, Relaxed, Relaxed);
        if seen != Err(FREE) {
            sys::wait(&self.claimed, awaited);
        }
    }

    /// Claims without a look at the owner: nobody else claims, one at a time.
    pub fn begin_claim(&self) -> Option<Claim<'_>> {
        // Acquire pairs with the Release at another claim's end.
        // A `Claim` that is made only to be dropped would end the other one.
        self.claimed.compare_exchange(FREE, CLAIMED, Acquire, Relaxed).ok()?;
        // Relaxed: only who has claimed writes it, and the barrier in `claim` shows the owner that it is gone.
        if !planted("claim_takes_no_pass") {
            self.pass.store(NO_PASS, Relaxed);
        }
        Some(Claim(self))
    }

    /// Claims, unless somebody else does, the owner is on a slow path that does not end soon, or the
    /// system has no barrier. `countdowns` are all that the owner has.
    pub fn claim<'a>(
        &self,
        countdowns: impl Iterator<Item = &'a Countdown> + Clone,
    ) -> Option<Claim<'_>> {
        let claim = self.begin_claim()?;
        if !sys::barrier() {
            return None;
        }
        let is_free = (0..LOCK_SPINS).any(|_| {
            spin_loop();
            // These first: an owner that goes on is inside before it ends the short path.
            let are_at_rest =
                planted("claim_counts_not") || countdowns.clone().all(Countdown::is_at_rest);
            // Acquire pairs with the Release when the owner leaves.
            are_at_rest && self.inside.load(Acquire) == 0 || planted("claim_looks_not")
        });
        is_free.then_some(claim)
    }

    /// Makes the heap nobody's: a new one, or in a forked child, where neither owner nor claimer is. Its pools
    /// bear `pass`, an address.
    pub fn reset(&self, pass: usize) {
        self.inside.store(0, Relaxed);
        self.claimed.store(FREE, Relaxed);
        self.pass.store(pass, Relaxed);
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
        let order = if planted("claim_end_relaxed") { Relaxed } else { Release };
        // Release pairs with the Acquire in `enter` and in `wait_while_claimed`.
        if self.0.claimed.swap(FREE, order) == AWAITED && !planted("claim_end_unsaid") {
            sys::wake_one(&self.0.claimed);
        }
    }
}
