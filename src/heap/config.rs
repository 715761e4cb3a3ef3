//! What was chosen: the rung in force.

#![forbid(unsafe_code)]

use crate::base::geometry::RETURN_AFTER_MS;
use crate::policy::retention::Retention;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

const UNSET: u8 = u8::MAX;
static RETENTION: AtomicU8 = AtomicU8::new(UNSET);

/// The rung in force; `None` before anyone chose.
pub fn chosen_retention() -> Option<Retention> {
    let rung = RETENTION.load(Relaxed);
    Retention::ALL.into_iter().find(|known| *known as u8 == rung)
}

/// The rung in force; the default before anyone chose.
pub fn retention() -> Retention {
    chosen_retention().unwrap_or(Retention::DEFAULT)
}

/// Puts a rung in force, from the next slow path of each thread on.
pub fn set_retention(rung: Retention) {
    RETENTION.store(rung as u8, Relaxed);
}

static RETURN_AFTER: AtomicU64 = AtomicU64::new(RETURN_AFTER_MS);

/// Milliseconds for which free memory stays, under a rung that waits.
pub fn return_after_ms() -> u64 {
    RETURN_AFTER.load(Relaxed)
}

/// Sets [`return_after_ms`].
pub fn set_return_after_ms(ms: u64) {
    RETURN_AFTER.store(ms, Relaxed);
}
