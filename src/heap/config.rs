//! What was chosen, and what is in force: a soft limit may have the chosen rung climbed.

#![forbid(unsafe_code)]

use crate::base::geometry::RETURN_AFTER_MS;
use crate::policy::pressure;
use crate::policy::retention::Retention;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::planted::planted;

/// No rung is chosen.
const UNSET: u8 = u8::MAX;

/// The rung in force, the rung chosen, and the steps between them, a byte each, lowest first. What is
/// in force is derived when one of the others changes, and so read by one load.
static RUNGS: RungsWord = RungsWord::new();

/// See [`RUNGS`].
pub struct RungsWord(AtomicU32);

impl RungsWord {
    pub const fn new() -> Self {
        Self(AtomicU32::new(Rungs::of(UNSET, 0).0))
    }

    pub fn now(&self) -> Rungs {
        Rungs(self.0.load(Relaxed))
    }

    /// Puts what `change` makes of the rungs in force, from the next slow path of each thread on.
    pub fn change(&self, change: impl Fn(Rungs) -> Rungs) {
        if planted("rungs_stored") {
            return self.0.store(change(self.now()).0, Relaxed);
        }
        // Relaxed throughout: nothing else is published with it.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| Some(change(Rungs(word)).0));
    }
}

/// What [`RUNGS`] holds.
#[derive(Clone, Copy)]
pub struct Rungs(u32);

impl Rungs {
    pub const fn of(chosen: u8, steps: u8) -> Rungs {
        let rung = if chosen == UNSET { Retention::DEFAULT } else { Retention::at(chosen) };
        let in_force = pressure::rung(rung, steps) as u8;
        Rungs(u32::from_le_bytes([in_force, chosen, steps, 0]))
    }

    pub const fn in_force(self) -> Retention {
        Retention::at(self.0.to_le_bytes()[0])
    }

    pub const fn chosen(self) -> u8 {
        self.0.to_le_bytes()[1]
    }

    pub const fn steps(self) -> u8 {
        self.0.to_le_bytes()[2]
    }
}

/// The rung chosen; `None` before anyone chose.
pub fn chosen_retention() -> Option<Retention> {
    let chosen = RUNGS.now().chosen();
    (chosen != UNSET).then(|| Retention::at(chosen))
}

/// The rung in force: the chosen one, the default before anyone chose, and above it the steps that a
/// soft limit asks for.
#[inline]
pub fn retention() -> Retention {
    RUNGS.now().in_force()
}

/// Steps above the chosen rung, which are of rungs first and then of the delay.
pub fn steps() -> u8 {
    RUNGS.now().steps()
}

/// Has the ladder climbed so many steps above the chosen rung.
pub fn set_steps(steps: u8) {
    RUNGS.change(|rungs| Rungs::of(rungs.chosen(), steps));
}

/// Chooses a rung.
pub fn set_retention(rung: Retention) {
    RUNGS.change(|rungs| Rungs::of(rung as u8, rungs.steps()));
}

static RETURN_AFTER: AtomicU64 = AtomicU64::new(RETURN_AFTER_MS);

/// Milliseconds for which free memory stays, under a rung that waits.
pub fn return_after_ms() -> u64 {
    let ms = RETURN_AFTER.load(Relaxed);
    match steps() {
        0 => ms,
        steps => pressure::return_after_ms(ms, chosen_retention().unwrap_or_default(), steps),
    }
}

/// Sets [`return_after_ms`], as it is without a soft limit.
pub fn set_return_after_ms(ms: u64) {
    RETURN_AFTER.store(ms, Relaxed);
}
