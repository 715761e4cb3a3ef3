//! Surplus: free memory that goes back at once, without waiting for its age. Arithmetic on bytes,
//! OS pages and counts.
//!
//! Two things call for it. *Growth*: what one mix of sizes left behind should not add to what the
//! next one needs. *Shrinking*: after a large drop, most of what is resident is free. Whether giving
//! back pays shows afterwards: memory that the same size classes soon want again was given back in
//! vain. So there is a **reluctance**, which divides what goes, and which that experience sets.

/// The greatest reluctance. One page in so many still goes, so that a change shows.
pub const RELUCTANCE_MAX: usize = 256;
/// By what the reluctance is multiplied when what was given back was wanted again.
const RELUCTANCE_STEP: usize = 32;
/// By what it is divided when it was not.
const RELUCTANCE_BACK: usize = 4;
/// OS pages that must have been given back before anything is judged.
const JUDGED_PAGES: usize = 64;

/// Free bytes that are no surplus after frees, beside `live` ones: a working set may breathe by a
/// fifth and more.
fn kept_after_frees(live: usize) -> usize {
    live / 8 * 3 + (4 << 20)
}

/// Free bytes that are no surplus when fresh memory becomes resident, beside `live` ones.
fn kept_for_growth(live: usize) -> usize {
    live / 8 + (1 << 20)
}

/// What has just happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// So many OS pages' worth of memory became free.
    Freed(usize),
    /// So many OS pages became resident.
    Grown(usize),
}

impl Event {
    /// How many OS pages it is about.
    pub fn pages(self) -> usize {
        match self {
            Event::Freed(pages) | Event::Grown(pages) => pages,
        }
    }

    /// The same with so many `more`.
    pub fn with(self, more: usize) -> Event {
        match self {
            Event::Freed(pages) => Event::Freed(pages.saturating_add(more)),
            Event::Grown(pages) => Event::Grown(pages.saturating_add(more)),
        }
    }
}

/// OS pages of `page_size` bytes to give back for `event`, beside `free` and `live` bytes. After
/// frees, up to four times as many as became free, so that what was kept until the surplus began
/// follows.
pub fn owed(event: Event, reluctance: usize, free: usize, live: usize, page_size: usize) -> usize {
    let (pages, kept) = match event {
        Event::Freed(pages) => (pages.saturating_mul(4), kept_after_frees(live)),
        Event::Grown(pages) => (pages, kept_for_growth(live)),
    };
    pages.min(free.saturating_sub(kept) / page_size) / reluctance
}

/// Whether so little is free beside what is live that it is no surplus by any event, and that a
/// working set which breathes may want it again.
pub fn is_breath(free: usize, live: usize) -> bool {
    free <= kept_after_frees(live)
}

/// What has happened since the last judgement, in OS pages.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// Given back as surplus.
    pub given: usize,
    /// Became resident since the first of that.
    pub grown: usize,
    /// Of those, for a size class that had given as much back in this epoch.
    pub wanted: usize,
}

/// The reluctance from now on, if the epoch is over: when as much became resident as was given back,
/// or before, when a quarter of what was given back was wanted again.
pub fn judge(epoch: Epoch, reluctance: usize) -> Option<usize> {
    if epoch.given < JUDGED_PAGES {
        // Nothing to judge; what little was given back is forgotten by and by.
        return (epoch.grown >= 16 * JUDGED_PAGES).then_some(reluctance);
    }
    if epoch.wanted > epoch.given / 4 {
        Some((reluctance * RELUCTANCE_STEP).min(RELUCTANCE_MAX))
    } else if epoch.grown >= epoch.given {
        Some((reluctance / RELUCTANCE_BACK).max(1))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const PAGE: usize = 4096;

    #[test]
    fn a_working_set_that_breathes_by_a_fifth_has_no_surplus() {
        let (free, live) = (20 * MIB, 80 * MIB);
        assert_eq!(owed(Event::Freed(1000), 1, free, live, PAGE), 0);
        assert!(is_breath(free, live));
        assert!(!is_breath(60 * MIB, 40 * MIB));
    }

    #[test]
    fn a_large_drop_is_followed_at_four_times_its_pace() {
        assert_eq!(owed(Event::Freed(64), 1, 100 * MIB, 10 * MIB, PAGE), 256);
        assert_eq!(owed(Event::Freed(64), 8, 100 * MIB, 10 * MIB, PAGE), 32);
        assert_eq!(owed(Event::Freed(64), 1, 4 * MIB + 3 * PAGE, 0, PAGE), 3);
    }

    #[test]
    fn growth_is_paid_for_page_by_page_beside_much_free_memory() {
        assert_eq!(owed(Event::Grown(64), 1, 100 * MIB, 10 * MIB, PAGE), 64);
        assert_eq!(owed(Event::Grown(64), 1, 10 * MIB, 100 * MIB, PAGE), 0);
    }

    #[test]
    fn what_is_wanted_again_makes_reluctant_and_what_is_not_undoes_it() {
        let given = Epoch { given: 1000, grown: 0, wanted: 0 };
        assert_eq!(judge(given, 1), None);
        assert_eq!(judge(Epoch { grown: 250, wanted: 250, ..given }, 1), None);
        assert_eq!(judge(Epoch { grown: 251, wanted: 251, ..given }, 1), Some(32));
        assert_eq!(judge(Epoch { grown: 900, wanted: 251, ..given }, 64), Some(RELUCTANCE_MAX));
        assert_eq!(judge(Epoch { grown: 900, wanted: 100, ..given }, 8), None);
        assert_eq!(judge(Epoch { grown: 1000, wanted: 100, ..given }, 8), Some(2));
        assert_eq!(judge(Epoch { grown: 1000, wanted: 0, ..given }, 1), Some(1));
    }

    #[test]
    fn little_that_was_given_is_not_judged_but_forgotten() {
        let epoch = Epoch { given: 10, grown: 500, wanted: 10 };
        assert_eq!(judge(epoch, 8), None);
        assert_eq!(judge(Epoch { grown: 1024, ..epoch }, 8), Some(8));
    }
}
