//! What was chosen, and what is in force: a soft limit may have the chosen rung climbed.

#![forbid(unsafe_code)]

use crate::base::geometry::RETURN_AFTER_MS;
use crate::policy::pressure;
use crate::policy::retention::Retention;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

const UNSET: u8 = u8::MAX;
static RETENTION: AtomicU8 = AtomicU8::new(UNSET);

/// The rung chosen; `None` before anyone chose.
pub fn chosen_retention() -> Option<Retention> {
    let rung = RETENTION.load(Relaxed);
    Retention::ALL.into_iter().find(|known| *known as u8 == rung)
}

/// The rung in force: the chosen one, the default before anyone chose, and above it the steps that a
/// soft limit asks for.
pub fn retention() -> Retention {
    pressure::rung(chosen_retention().unwrap_or_default(), steps())
}

/// Steps above the chosen rung, which are of rungs first and then of the delay.
static STEPS: AtomicU8 = AtomicU8::new(0);

/// See [`set_steps`].
pub fn steps() -> u8 {
    STEPS.load(Relaxed)
}

/// Has the ladder climbed so many steps above the chosen rung, from the next slow path of each
/// thread on.
pub fn set_steps(steps: u8) {
    STEPS.store(steps, Relaxed);
}

/// Chooses a rung, from the next slow path of each thread on.
pub fn set_retention(rung: Retention) {
    RETENTION.store(rung as u8, Relaxed);
}

static RETURN_AFTER: AtomicU64 = AtomicU64::new(RETURN_AFTER_MS);

/// Milliseconds for which free memory stays, under a rung that waits.
pub fn return_after_ms() -> u64 {
    let chosen = chosen_retention().unwrap_or_default();
    pressure::return_after_ms(RETURN_AFTER.load(Relaxed), chosen, steps())
}

/// Sets [`return_after_ms`], as it is without a soft limit.
pub fn set_return_after_ms(ms: u64) {
    RETURN_AFTER.store(ms, Relaxed);
}
