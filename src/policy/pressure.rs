//! What a soft limit asks of the allocator: arithmetic on bytes and rungs.
//!
//! ```text
//! resident       0        70        80          95   100 % of the limit
//!                |---------|---------|-----------|----|
//! steps          0    the same       1    ...  all    and purge before growing
//! ```
//!
//! A step is one rung up from the chosen one, to `ReturnPools` at least: the rungs below it let
//! nothing go while the process idles. On the highest rung two steps more shorten the delay,
//! to a quarter and to nothing. Steps are taken back ten hundredths of the limit below where they
//! were taken.

#![forbid(unsafe_code)]

use super::retention::Retention;
use crate::base::geometry::{
    LIMIT_EASE, LIMIT_FAR_PART, LIMIT_FULL, LIMIT_LOOK_MAX, LIMIT_LOOK_MIN, LIMIT_LOOKS, LIMIT_NEAR,
};

/// Steps above the highest rung: the delay becomes a quarter, then nothing.
const STEPS_OF_DELAY: u8 = 2;
/// By what the first of these divides the delay.
const DELAY_DIVISOR: u64 = 4;

/// The most steps that there are above a rung.
pub fn steps_above(chosen: Retention) -> u8 {
    Retention::ReturnPages as u8 - chosen as u8 + STEPS_OF_DELAY
}

/// Steps to be above the chosen rung from now on, from `now` of them.
pub fn steps(chosen: Retention, now: u8, limit: usize, resident: usize) -> u8 {
    let percent = percent_of(resident, limit);
    let (wanted, kept) = (taken_at(percent, chosen), taken_at(percent + LIMIT_EASE, chosen));
    now.clamp(wanted, kept)
}

/// The first step at [`LIMIT_NEAR`], the last at [`LIMIT_FULL`], the others evenly between.
fn taken_at(percent: usize, chosen: Retention) -> u8 {
    let all = steps_above(chosen);
    match percent {
        0..LIMIT_NEAR => 0,
        LIMIT_NEAR..LIMIT_FULL => {
            let between = (percent - LIMIT_NEAR) * (all as usize - 1) / (LIMIT_FULL - LIMIT_NEAR);
            1 + between as u8
        }
        _ => all,
    }
}

fn percent_of(bytes: usize, limit: usize) -> usize {
    let percent = bytes as u128 * 100 / (limit as u128).max(1);
    percent.min(u32::MAX as u128) as usize
}

/// The rung so many steps above the chosen one; after the first step one that gives back though the
/// process idles: those below it would never lead back from the limit.
pub const fn rung(chosen: Retention, steps: u8) -> Retention {
    if steps == 0 {
        return chosen;
    }
    let climbed = (chosen as u8).saturating_add(steps);
    let least = Retention::ReturnPools as u8;
    Retention::at(if climbed > least { climbed } else { least })
}

/// The delay in milliseconds so many steps above the chosen rung.
pub fn return_after_ms(ms: u64, chosen: Retention, steps: u8) -> u64 {
    match (steps + STEPS_OF_DELAY).saturating_sub(steps_above(chosen)) {
        0 => ms,
        1 => ms / DELAY_DIVISOR,
        _ => 0,
    }
}

/// Bytes by which to grow before looking again at what is resident: the less, the nearer the limit.
/// Half of what is left below [`LIMIT_NEAR`], as others may grow too.
pub fn look_after(limit: usize, resident: usize) -> usize {
    let near = limit / 100 * LIMIT_NEAR;
    (near.saturating_sub(resident) / 2).max(look_near(limit))
}

/// Bytes by which to grow near the limit before looking again.
pub fn look_near(limit: usize) -> usize {
    (limit / LIMIT_LOOKS).clamp(LIMIT_LOOK_MIN, LIMIT_LOOK_MAX)
}

/// Whether `wanted` bytes more, or what may come before the next look, would be above the limit.
pub fn is_short(limit: usize, resident: usize, wanted: usize) -> bool {
    resident.saturating_add(wanted).saturating_add(look_near(limit)) > limit
}

/// Bytes to hand out between a step that gave `given` bytes back and the next: half of them; far above the limit
/// none, so that whatever is handed out has a step before it.
pub fn step_after(limit: usize, resident: usize, given: usize) -> usize {
    let is_far_above = resident > limit.saturating_add(limit / LIMIT_FAR_PART);
    if is_far_above { 1 } else { (given / 2).max(LIMIT_LOOK_MIN / 2) }
}

/// Bytes that suffice when one purges: what is above the limit, and the ease below it.
pub fn enough(limit: usize, resident: usize, wanted: usize) -> usize {
    let short = resident.saturating_add(wanted).saturating_sub(limit);
    short.saturating_add(limit / 100 * LIMIT_EASE)
}

/// What the last purge left, so that the next one is not in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// Bytes held without need: this much no purge could give back.
    loose: usize,
    /// By how much they must grow for another try.
    reluctance: usize,
    /// Bytes of growth since.
    grown: usize,
}

impl Left {
    /// Nothing was tried yet.
    pub const fn nothing() -> Left {
        Left { loose: 0, reluctance: 0, grown: 0 }
    }

    /// The process grew by so many bytes.
    pub fn grew(&mut self, bytes: usize) {
        self.grown = self.grown.saturating_add(bytes);
    }

    /// Whether a purge is worth a try: more is held without need than the last one left, by its
    /// reluctance; or so much was made since that what is held is another. `loose` bytes are.
    pub fn is_worth_a_try(&mut self, limit: usize, loose: usize) -> bool {
        // What came to be needed after all can come loose again.
        self.loose = self.loose.min(loose);
        loose > self.loose.saturating_add(self.reluctance) || self.grown > limit / 4
    }

    /// After a purge that gave `given` bytes back: a vain one doubles the reluctance, up to a
    /// quarter of the limit.
    pub fn tried(&mut self, limit: usize, given: usize, loose: usize) {
        let least = look_near(limit);
        let reluctance = if given >= least { least } else { self.reluctance.max(least) * 2 };
        let reluctance = reluctance.min((limit / 4).max(least));
        *self = Left { loose, reluctance, grown: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Retention::{NeverShrink, ReturnPages, ReturnPools};

    const MIB: usize = 1 << 20;
    const LIMIT: usize = 100 * MIB;

    #[test]
    fn growth_climbs_rung_by_rung_and_then_shortens_the_delay() {
        let at = |percent| {
            let steps = steps(NeverShrink, 0, LIMIT, percent * MIB);
            (rung(NeverShrink, steps), return_after_ms(1000, NeverShrink, steps))
        };
        assert_eq!(at(79), (NeverShrink, 1000));
        assert_eq!(at(80), (ReturnPools, 1000));
        assert_eq!(at(86), (ReturnPools, 1000));
        assert_eq!(at(89), (ReturnPages, 1000));
        assert_eq!(at(92), (ReturnPages, 250));
        assert_eq!(at(95), (ReturnPages, 0));
        assert_eq!(at(500), (ReturnPages, 0));
    }

    #[test]
    fn on_the_highest_rung_only_the_delay_is_left_to_shorten() {
        let after = |percent| {
            return_after_ms(1000, ReturnPages, steps(ReturnPages, 0, LIMIT, percent * MIB))
        };
        assert_eq!([79, 80, 94, 95].map(after), [1000, 250, 250, 0]);
    }

    #[test]
    fn a_step_is_taken_back_well_below_where_it_was_taken() {
        let all = steps_above(ReturnPages);
        assert_eq!(steps(ReturnPages, all, LIMIT, 90 * MIB), all);
        assert_eq!(steps(ReturnPages, all, LIMIT, 84 * MIB), 1);
        assert_eq!(steps(ReturnPages, 1, LIMIT, 70 * MIB), 1);
        assert_eq!(steps(ReturnPages, 1, LIMIT, 69 * MIB), 0);
        assert_eq!(steps(ReturnPages, 0, LIMIT, 79 * MIB), 0);
    }

    #[test]
    fn swings_within_the_ease_climb_once() {
        let (mut now, mut climbs) = (0, 0);
        for turn in 0..100 {
            let then = steps(NeverShrink, now, LIMIT, if turn % 2 == 0 { 82 } else { 75 } * MIB);
            climbs += usize::from(then > now);
            now = then;
        }
        assert_eq!((now, climbs), (1, 1));
    }

    #[test]
    fn limits_of_any_size_are_survived() {
        for limit in [1, MIB, usize::MAX >> 1] {
            for resident in [0, MIB, usize::MAX] {
                let taken = steps(NeverShrink, 0, limit, resident);
                assert!(taken <= steps_above(NeverShrink));
                assert!(look_after(limit, resident) >= LIMIT_LOOK_MIN);
                let mut left = Left::nothing();
                left.grew(usize::MAX);
                left.tried(limit, 0, resident);
                assert!(!left.is_worth_a_try(limit, 0));
            }
        }
        assert!(is_short(1, 0, 0) && !is_short(usize::MAX >> 1, MIB, MIB));
    }

    #[test]
    fn a_thirty_second_part_above_the_limit_every_growth_has_its_step_and_below_half_of_what_went_comes_first()
     {
        assert_eq!(step_after(LIMIT, LIMIT + LIMIT / 32, MIB), MIB / 2);
        assert_eq!(step_after(LIMIT, LIMIT, 0), LIMIT_LOOK_MIN / 2);
        assert_eq!(step_after(LIMIT, LIMIT + LIMIT / 32 + 1, MIB), 1);
        assert_eq!(step_after(usize::MAX, usize::MAX, MIB), MIB / 2);
    }

    #[test]
    fn a_huge_limit_is_seldom_looked_at_and_a_near_one_often() {
        assert_eq!(look_after(LIMIT, 0), 40 * MIB);
        assert_eq!(look_after(LIMIT, 90 * MIB), LIMIT / LIMIT_LOOKS);
        assert_eq!(look_near(usize::MAX), LIMIT_LOOK_MAX);
    }

    #[test]
    fn a_purge_in_vain_is_not_tried_again_until_something_is_freed() {
        let mut left = Left::nothing();
        assert!(left.is_worth_a_try(LIMIT, 5 * MIB));
        left.tried(LIMIT, 0, 5 * MIB);
        // What grows meanwhile is needed: nothing to give back.
        assert!(!left.is_worth_a_try(LIMIT, 5 * MIB));
        assert!(left.is_worth_a_try(LIMIT, 20 * MIB));
    }

    #[test]
    fn what_was_needed_after_all_and_is_freed_again_is_worth_a_try() {
        let mut left = Left::nothing();
        left.tried(LIMIT, 0, 50 * MIB);
        assert!(!left.is_worth_a_try(LIMIT, 10 * MIB));
        assert!(left.is_worth_a_try(LIMIT, 50 * MIB));
    }

    #[test]
    fn vain_purges_become_rare_and_a_useful_one_makes_eager_again() {
        let mut left = Left::nothing();
        for _ in 0..20 {
            left.tried(LIMIT, 0, 5 * MIB);
        }
        assert!(!left.is_worth_a_try(LIMIT, 5 * MIB + LIMIT / 4));
        assert!(left.is_worth_a_try(LIMIT, 6 * MIB + LIMIT / 4));
        left.tried(LIMIT, 20 * MIB, 5 * MIB);
        assert!(left.is_worth_a_try(LIMIT, 7 * MIB));
    }

    #[test]
    fn after_much_growth_a_purge_is_tried_though_nothing_seems_freed() {
        let mut left = Left::nothing();
        left.tried(LIMIT, 0, 5 * MIB);
        left.grew(LIMIT / 4 + 1);
        assert!(left.is_worth_a_try(LIMIT, 5 * MIB));
    }
}
