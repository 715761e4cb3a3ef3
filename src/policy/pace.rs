//! When to give back: arithmetic on milliseconds and counts.

use crate::base::geometry::RECLAIM_SLOTS;

/// How much longer than asked memory stays at the most, when what was purged is wanted again.
const PATIENCE_MAX: u64 = 3;

/// Milliseconds between two visits, so that what is free for `return_after_ms` is found old at the
/// second one it meets: after that time at the earliest, half as much again at the latest.
pub fn visit_every_ms(return_after_ms: u64, patience: u64) -> u64 {
    (return_after_ms * patience / 2).clamp(10, 60_000)
}

/// By what to multiply the delay from now on, given what the last visits purged and how much of what
/// was purged before was wanted again meanwhile.
pub fn patience(now: u64, purged: u64, refaulted: u64) -> u64 {
    // More than an eighth of what was purged was wanted again: wait longer; next to nothing was:
    // wait as told.
    if purged > 0 && refaulted * 8 > purged {
        (now + 1).min(PATIENCE_MAX)
    } else {
        now.saturating_sub(1).max(1)
    }
}

/// Slots' worth of free OS pages to look for in one's own pools when `grown` slots became resident:
/// one for each, or for each `reluctance` of them; none while the free bytes are few beside the live
/// ones, or growth is small yet.
pub fn reclaim(grown: usize, reluctance: usize, free_bytes: usize, live_bytes: usize) -> usize {
    let many = free_bytes > live_bytes / 8 + (1 << 20);
    if grown >= RECLAIM_SLOTS && many { grown / reluctance } else { 0 }
}

/// The reluctance from now on, when of `reclaimed` OS pages `refaulted` were wanted again before the
/// heap grew by so much once more: twice as large if more than a quarter were, else half as large.
pub fn reluctance(now: usize, reclaimed: usize, refaulted: usize) -> usize {
    if refaulted * 4 > reclaimed { (now * 2).min(RECLAIM_SLOTS) } else { (now / 2).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_purged_and_wanted_again_makes_patient_and_peace_undoes_it() {
        assert_eq!(patience(1, 100, 50), 2);
        assert_eq!(patience(PATIENCE_MAX, 100, 100), PATIENCE_MAX);
        assert_eq!(patience(2, 100, 5), 1);
        assert_eq!(patience(1, 0, 0), 1);
    }

    #[test]
    fn growth_reclaims_only_beside_much_free_memory() {
        assert_eq!(reclaim(RECLAIM_SLOTS, 1, 100 << 20, 10 << 20), RECLAIM_SLOTS);
        assert_eq!(reclaim(RECLAIM_SLOTS, 4, 100 << 20, 10 << 20), RECLAIM_SLOTS / 4);
        assert_eq!(reclaim(RECLAIM_SLOTS, 1, 1 << 20, 0), 0);
        assert_eq!(reclaim(RECLAIM_SLOTS - 1, 1, 100 << 20, 0), 0);
        assert_eq!(reclaim(RECLAIM_SLOTS, 1, 10 << 20, 100 << 20), 0);
    }

    #[test]
    fn what_is_reclaimed_and_wanted_again_makes_reluctant_and_peace_undoes_it() {
        assert_eq!(reluctance(1, 100, 50), 2);
        assert_eq!(reluctance(RECLAIM_SLOTS, 100, 100), RECLAIM_SLOTS);
        assert_eq!(reluctance(8, 100, 25), 4);
        assert_eq!(reluctance(1, 100, 0), 1);
        assert_eq!(reluctance(1, 0, 1), 2);
    }

    #[test]
    fn visits_are_bounded() {
        assert_eq!(visit_every_ms(0, 1), 10);
        assert_eq!(visit_every_ms(1000, 1), 500);
        assert_eq!(visit_every_ms(u64::MAX / 8, 3), 60_000);
    }
}
