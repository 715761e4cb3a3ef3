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
/// OS pages that a process which is not reluctant must have given back before anything is judged.
/// A phase that grows in exchange for what the one before it left gives a few at a time: each such
/// epoch would say that nothing was wanted again, before the one that wants it has its turn.
const JUDGED_PAGES: usize = 1024;
/// The same for the reluctant, of whom so many pages stand for many times as much that was freed.
const JUDGED_PAGES_LEAST: usize = 64;
/// Epochs for which what was given back is remembered: so many may pass until a phase has its turn again.
pub const EPOCHS_REMEMBERED: u32 = 4;

/// Free bytes beyond a breath that are no surplus after frees until any goes: of so few the delay makes no trouble, and that a phase wants
/// again what the one before it freed is learnt only when all of that went and came back. Many a program is over before that pays.
const KEPT_UNTIL_BEGUN: usize = 12 << 20;

/// Free bytes that a working set of `live` ones may breathe by.
fn breath(live: usize) -> usize {
    live / 8 * 3 + (4 << 20)
}

/// Free bytes that are no surplus when fresh memory becomes resident, beside `live` ones.
fn kept_for_growth(live: usize) -> usize {
    live / 8 + (1 << 20)
}

/// Free bytes beyond those kept for growth that only the reluctant keep: what grows has no use for them, as
/// blocks for a large mapping, and a program whose phases differ so would hold the memory of both in full.
const KEPT_BY_RELUCTANT: usize = 64 << 20;

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

/// What came before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past {
    /// Surplus has gone back since the process last learnt whether that pays.
    pub has_begun: bool,
    /// By what it divides what goes.
    pub reluctance: usize,
}

/// OS pages of `page_size` bytes to give back for `event`, beside `free` and `live` bytes. After
/// frees, up to four times as many as became free, so that what was kept until the surplus began
/// follows.
pub fn owed(event: Event, past: Past, free: usize, live: usize, page_size: usize) -> usize {
    let (pages, kept, kept_anyway) = match event {
        Event::Freed(pages) => {
            let kept = breath(live) + if past.has_begun { 0 } else { KEPT_UNTIL_BEGUN };
            (pages.saturating_mul(4), kept, usize::MAX)
        }
        Event::Grown(pages) => {
            let kept = kept_for_growth(live);
            (pages, kept, kept + KEPT_BY_RELUCTANT)
        }
    };
    let beyond = |kept| pages.min(free.saturating_sub(kept) / page_size);
    beyond(kept_anyway).max(beyond(kept) / past.reluctance)
}

/// Whether so little is free beside what is live that a working set which breathes may want it again.
pub fn is_breath(free: usize, live: usize) -> bool {
    free <= breath(live)
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
    /// Of those, for a size class that had given as much back in a remembered one before it.
    pub again: usize,
}

/// What is known of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing yet.
    Open,
    /// So little was given back that it says nothing: it is counted anew.
    Forgotten,
    /// The epoch is over, and the reluctance from now on is this.
    Over(usize),
}

/// Judges an epoch under a `reluctance`. It is over when as much became resident as was given back,
/// or before, when what was given back was wanted again: a quarter of it in the same epoch, where it
/// served nobody meanwhile, or three quarters in all, where another phase had it in between.
pub fn judge(epoch: Epoch, reluctance: usize) -> Verdict {
    let judged = (JUDGED_PAGES / reluctance).max(JUDGED_PAGES_LEAST);
    if epoch.given < judged {
        let forgotten = epoch.given > 0 && epoch.grown >= 16 * judged;
        return if forgotten { Verdict::Forgotten } else { Verdict::Open };
    }
    if epoch.wanted > epoch.given / 4 || epoch.wanted + epoch.again > epoch.given / 4 * 3 {
        Verdict::Over((reluctance * RELUCTANCE_STEP).min(RELUCTANCE_MAX))
    } else if epoch.grown >= epoch.given {
        Verdict::Over((reluctance / RELUCTANCE_BACK).max(1))
    } else {
        Verdict::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const PAGE: usize = 4096;

    fn begun(reluctance: usize) -> Past {
        Past { has_begun: true, reluctance }
    }

    #[test]
    fn a_working_set_that_breathes_by_a_fifth_has_no_surplus() {
        let (free, live) = (20 * MIB, 80 * MIB);
        assert_eq!(owed(Event::Freed(1000), begun(1), free, live, PAGE), 0);
        assert!(is_breath(free, live));
        assert!(!is_breath(60 * MIB, 40 * MIB));
    }

    #[test]
    fn a_large_drop_is_followed_at_four_times_its_pace() {
        assert_eq!(owed(Event::Freed(64), begun(1), 100 * MIB, 10 * MIB, PAGE), 256);
        assert_eq!(owed(Event::Freed(64), begun(8), 100 * MIB, 10 * MIB, PAGE), 32);
        assert_eq!(owed(Event::Freed(64), begun(1), 4 * MIB + 3 * PAGE, 0, PAGE), 3);
    }

    #[test]
    fn a_small_drop_is_left_to_the_delay_unless_more_has_gone_already() {
        let first = Past { has_begun: false, reluctance: 1 };
        assert_eq!(owed(Event::Freed(1000), first, 16 * MIB, 0, PAGE), 0);
        assert_eq!(owed(Event::Freed(1000), first, 16 * MIB + 3 * PAGE, 0, PAGE), 3);
        assert_eq!(owed(Event::Freed(1000), begun(1), 16 * MIB, 0, PAGE), 3072);
        assert_eq!(owed(Event::Grown(64), first, 10 * MIB, 0, PAGE), 64);
    }

    #[test]
    fn growth_is_paid_for_page_by_page_beside_much_free_memory() {
        assert_eq!(owed(Event::Grown(64), begun(1), 100 * MIB, 10 * MIB, PAGE), 64);
        assert_eq!(owed(Event::Grown(64), begun(1), 10 * MIB, 100 * MIB, PAGE), 0);
    }

    #[test]
    fn the_reluctant_keep_what_they_may_want_again_but_not_without_end() {
        assert_eq!(owed(Event::Grown(64), begun(32), 60 * MIB, 8 * MIB, PAGE), 2);
        assert_eq!(owed(Event::Grown(64), begun(32), 66 * MIB + 3 * PAGE, 8 * MIB, PAGE), 3);
        assert_eq!(owed(Event::Grown(64), begun(256), 200 * MIB, 8 * MIB, PAGE), 64);
        assert_eq!(owed(Event::Freed(64), begun(256), 200 * MIB, 8 * MIB, PAGE), 1);
    }

    #[test]
    fn what_is_wanted_again_makes_reluctant_and_what_is_not_undoes_it() {
        let given = Epoch { given: 4000, ..Epoch::default() };
        let judge_of = |wanted, grown, before| judge(Epoch { grown, wanted, ..given }, before);
        assert_eq!(judge_of(0, 0, 1), Verdict::Open);
        assert_eq!(judge_of(1000, 1000, 1), Verdict::Open);
        assert_eq!(judge_of(1001, 1001, 1), Verdict::Over(32));
        assert_eq!(judge_of(1001, 3600, 64), Verdict::Over(RELUCTANCE_MAX));
        assert_eq!(judge_of(400, 3600, 8), Verdict::Open);
        assert_eq!(judge_of(400, 4000, 8), Verdict::Over(2));
        assert_eq!(judge_of(0, 4000, 1), Verdict::Over(1));
    }

    #[test]
    fn phases_that_take_turns_are_learnt_and_a_share_of_shifting_sizes_is_not() {
        let given = Epoch { given: 4000, grown: 3500, ..Epoch::default() };
        assert_eq!(judge(Epoch { again: 3000, ..given }, 1), Verdict::Open);
        assert_eq!(judge(Epoch { again: 3001, ..given }, 1), Verdict::Over(32));
        assert_eq!(judge(Epoch { again: 2500, wanted: 501, ..given }, 1), Verdict::Over(32));
        assert_eq!(judge(Epoch { again: 2500, grown: 4000, ..given }, 4), Verdict::Over(1));
    }

    #[test]
    fn little_that_was_given_is_not_judged_but_forgotten() {
        for (reluctance, judged) in [(1, 1024), (8, 128), (RELUCTANCE_MAX, 64)] {
            let epoch = Epoch { given: judged - 1, grown: judged, wanted: judged / 2, again: 0 };
            assert_eq!(judge(epoch, reluctance), Verdict::Open);
            assert!(matches!(
                judge(Epoch { given: judged, ..epoch }, reluctance),
                Verdict::Over(_)
            ));
            let later = Epoch { grown: 16 * judged, ..epoch };
            assert_eq!(judge(later, reluctance), Verdict::Forgotten);
            assert_eq!(judge(Epoch { given: 0, ..later }, reluctance), Verdict::Open);
        }
    }
}
