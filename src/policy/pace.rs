//! When to give back: arithmetic on milliseconds and counts.

/// How much longer than asked memory stays at the most: what is little beside the live bytes, or when
/// what was purged is wanted again.
pub const PATIENCE_MAX: u64 = 4;

/// Milliseconds between two visits, so that what is free for `return_after_ms` is found old at the
/// second one it meets: after half that time at the earliest, that time at the latest. The patient
/// let so many times as much pass.
pub fn visit_every_ms(return_after_ms: u64) -> u64 {
    (return_after_ms / 2).clamp(10, 60_000)
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
    fn visits_are_bounded() {
        assert_eq!(visit_every_ms(0), 10);
        assert_eq!(visit_every_ms(1000), 500);
        assert_eq!(visit_every_ms(u64::MAX), 60_000);
    }
}
