//! The lock: spins for about a microsecond, then sleeps in the kernel. It never allocates, which
//! parking_lot's own locks do (`docs/design.md`, "Locks"); `lock_api` makes a mutex of it.

use parking_lot::lock_api::{self, GuardNoSend, RawMutex};

use super::atomic::{
    AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, spin_loop,
};
use super::planted::planted;
use crate::base::geometry::LOCK_SPINS;
use crate::sys;

/// A mutex that can be used inside the allocator.
pub type Mutex<T> = lock_api::Mutex<RawLock, T>;
/// What holds one.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawLock, T>;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and at least one thread sleeps or is about to.
const AWAITED: u32 = 2;

/// Three states in one word.
pub struct RawLock(AtomicU32);

impl RawLock {
    #[cold]
    fn lock_slow(&self) {
        for _ in 0..LOCK_SPINS {
            spin_loop();
            if self.0.load(Relaxed) == FREE && self.try_lock() {
                return;
            }
        }
        // Acquire pairs with the Release in `unlock`.
        let awaited = if planted("lock_awaits_unsaid") { HELD } else { AWAITED };
        while self.0.swap(awaited, Acquire) != FREE {
            sys::wait(&self.0, awaited);
        }
    }
}

// SAFETY: `lock` returns only to the thread whose exchange found `FREE`, and only `unlock`, called
// by that thread, stores `FREE` again.
unsafe impl RawMutex for RawLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api asks for it")]
    const INIT: RawLock = RawLock(AtomicU32::new(FREE));
    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_slow();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Acquire pairs with the Release in `unlock`.
        let order = if planted("lock_relaxed") { Relaxed } else { Acquire };
        self.0.compare_exchange(FREE, HELD, order, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        // Release pairs with the Acquire in `try_lock` and `lock_slow`.
        let order = if planted("unlock_relaxed") { Relaxed } else { Release };
        if self.0.swap(FREE, order) == AWAITED && !planted("unlock_wakes_nobody") {
            sys::wake_one(&self.0);
        }
    }
}
