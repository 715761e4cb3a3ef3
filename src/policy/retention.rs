//! The retention ladder, as arithmetic.

use crate::base::geometry::{
    ARENAS_EMPTY_KEPT, EMPTY_SLOTS_KEPT, HUGE_KEPT, LARGE_KEPT_BYTES, LARGE_KEPT_BYTES_YOUNG,
    SLOT_SIZE, SPANS_KEPT_SLOTS, SPANS_POSTED_SLOTS,
};

/// What leaves when memory becomes free: a ladder, each rung giving back what the one before it does
/// and more.
///
/// `docs/retention.md` has the price of each rung.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[non_exhaustive]
pub enum Retention {
    /// Nothing leaves, ever: a free block stays on its size class's list. The footprint of a class
    /// is its high-water mark.
    NeverShrink,
    /// An empty pool may serve another class. Nothing goes to the operating system.
    KeepArenas,
    /// Also, a wholly empty arena goes to the operating system, but for one that is kept against
    /// mapping and unmapping in turn; of freed large blocks at most 1 MiB is kept.
    ReturnArenas,
    /// Also, what is free for a while goes: the OS pages of empty pools though their arena is in
    /// use, empty arenas, kept large mappings.
    ReturnPools,
    /// Also, inside a pool in use, every OS page that holds no live block.
    ReturnPages,
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Retention {
    /// The rung of `Highwater::new()`.
    pub const DEFAULT: Retention = Retention::ReturnPages;

    /// Every rung, lowest first.
    pub const ALL: [Retention; 5] = [
        Retention::NeverShrink,
        Retention::KeepArenas,
        Retention::ReturnArenas,
        Retention::ReturnPools,
        Retention::ReturnPages,
    ];

    /// The rung so many above the lowest; the highest if there are not so many.
    pub(crate) const fn at(index: u8) -> Retention {
        match index {
            0 => Retention::NeverShrink,
            1 => Retention::KeepArenas,
            2 => Retention::ReturnArenas,
            3 => Retention::ReturnPools,
            _ => Retention::ReturnPages,
        }
    }

    /// The rung's name, as `HIGHWATER_RETENTION` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Retention::NeverShrink => "never-shrink",
            Retention::KeepArenas => "keep-arenas",
            Retention::ReturnArenas => "return-arenas",
            Retention::ReturnPools => "return-pools",
            Retention::ReturnPages => "return-pages",
        }
    }

    /// The rung with this name.
    pub fn from_name(name: &[u8]) -> Option<Retention> {
        Self::ALL.into_iter().find(|rung| rung.name().as_bytes() == name)
    }

    /// Whether memory of one size class may come to serve another.
    pub(crate) fn classes_share(self) -> bool {
        self >= Retention::KeepArenas
    }

    /// Whether memory goes back when it has been free for a while, rather than at once: what leaves
    /// is then found by visits, and the bounds below are those of what is young.
    pub(crate) fn waits(self) -> bool {
        self >= Retention::ReturnPools
    }

    /// Whether what is empty leaves its heap at once, and no sweep comes for what was missed.
    pub(crate) fn leaves_at_once(self) -> bool {
        self.classes_share() && !self.waits()
    }

    /// Whether pools in use are hollowed.
    pub(crate) fn hollows(self) -> bool {
        self >= Retention::ReturnPages
    }

    /// Slots of empty pools that one of so many heaps with a thread keeps, under a rung that waits.
    pub(crate) fn empty_slots_kept(heaps: usize) -> usize {
        share(EMPTY_SLOTS_KEPT, heaps)
    }

    /// Wholly empty arenas to keep when one becomes empty.
    pub(crate) fn arenas_empty_kept(self) -> usize {
        match self {
            Retention::ReturnArenas => ARENAS_EMPTY_KEPT,
            _ => usize::MAX,
        }
    }

    /// Wholly empty arenas to keep when a visit finds them old.
    pub(crate) fn arenas_old_kept(self) -> usize {
        match self {
            Retention::NeverShrink | Retention::KeepArenas => usize::MAX,
            _ => ARENAS_EMPTY_KEPT,
        }
    }

    /// Whether memory of `size` bytes on a huge page is to stay there as a whole, of which blocks have `live` bytes: what is free
    /// is then not worth that the system splits it.
    pub(crate) fn keeps_huge(live: usize, size: usize) -> bool {
        live >= size / 100 * HUGE_KEPT
    }

    /// Whether freed spans are kept whole for their length.
    pub(crate) fn keeps_spans(self) -> bool {
        self.waits() || !self.classes_share()
    }

    /// Slots of freed spans that one heap keeps whole for their length, and of such that other threads freed and that wait for
    /// it, beside `live` bytes of live blocks, where so many heaps have a thread: none, or more than the longest has.
    pub(crate) fn spans_kept_slots(self, live: usize, heaps: usize) -> [usize; 2] {
        let ([least, most], heaps) = (SPANS_KEPT_SLOTS, heaps.max(1));
        let least_of_all = least * heaps.min(2);
        let kept = (live / heaps / SLOT_SIZE * least).isqrt().clamp(least_of_all, most);
        let posted = 2 * kept;
        match self {
            Retention::NeverShrink => [usize::MAX; 2],
            Retention::KeepArenas | Retention::ReturnArenas => [0, 0],
            Retention::ReturnPools | Retention::ReturnPages => {
                [kept, posted.min(share(SPANS_POSTED_SLOTS, heaps))]
            }
        }
    }

    /// Bytes of freed direct mappings to keep, beside `live` bytes of live ones.
    pub(crate) fn large_kept_bytes(self, live: usize) -> usize {
        match self {
            Retention::NeverShrink | Retention::KeepArenas => usize::MAX,
            Retention::ReturnArenas => LARGE_KEPT_BYTES,
            Retention::ReturnPools | Retention::ReturnPages => live.max(LARGE_KEPT_BYTES_YOUNG),
        }
    }

    /// Whether a kept mapping of `kept` bytes suits a request for `bytes` without being cut: it holds
    /// them, and at most an eighth of it is lost.
    pub(crate) fn large_fits(kept: usize, bytes: usize) -> bool {
        kept >= bytes && kept - bytes <= kept / 8
    }
}

/// What one of so many heaps has of `all`, or `least`.
fn share([all, least]: [usize; 2], heaps: usize) -> usize {
    (all / heaps.max(1)).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::geometry::SPAN_MAX;

    #[test]
    fn a_rung_keeps_no_more_than_the_one_below_it() {
        for pair in Retention::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].arenas_old_kept() >= pair[1].arenas_old_kept());
            assert!(!pair[0].waits() || pair[1].waits());
            assert!(!pair[0].hollows() || pair[1].hollows());
            assert!(!pair[0].classes_share() || pair[1].classes_share());
        }
    }

    #[test]
    fn heaps_share_what_they_keep_empty_and_each_keeps_a_little() {
        let [all, least] = EMPTY_SLOTS_KEPT;
        assert_eq!([0, 1, 2, 7].map(Retention::empty_slots_kept), [all, all, all / 2, all / 7]);
        assert_eq!(Retention::empty_slots_kept(all), least);
    }

    #[test]
    fn spans_are_kept_where_memory_waits_and_more_where_more_is_live() {
        let longest = SPAN_MAX / SLOT_SIZE;
        for (rung, heaps) in Retention::ALL.into_iter().flat_map(|rung| [(rung, 0), (rung, 999)]) {
            let kept = [0, 1 << 30, 1 << 40].map(|live| rung.spans_kept_slots(live, heaps));
            assert!(
                kept.iter().flatten().all(|&slots| {
                    if rung.keeps_spans() { slots > longest } else { slots == 0 }
                })
            );
            assert_eq!(kept[0][0] < kept[2][0], rung.waits());
            // Each of many keeps less of what is live.
            let [own, posted] = rung.spans_kept_slots(1 << 28, 1000);
            let [own_of_few, posted_of_few] = rung.spans_kept_slots(1 << 28, 8);
            assert!(own <= own_of_few && posted <= posted_of_few);
            assert_eq!(posted < posted_of_few, rung.waits());
        }
    }

    #[test]
    fn what_is_mostly_in_use_stays_on_its_huge_page() {
        assert!([100, 90, HUGE_KEPT].iter().all(|&live| Retention::keeps_huge(live, 100)));
        assert!(![HUGE_KEPT - 1, 0].iter().any(|&live| Retention::keeps_huge(live, 100)));
    }

    #[test]
    fn a_rung_stands_where_its_number_says() {
        for (index, rung) in Retention::ALL.into_iter().enumerate() {
            assert_eq!((Retention::at(index as u8), rung as usize), (rung, index));
        }
        assert_eq!(Retention::at(u8::MAX), Retention::ReturnPages);
    }

    #[test]
    fn names_lead_back_to_their_rungs_and_others_to_none() {
        for rung in Retention::ALL {
            assert_eq!(Retention::from_name(rung.name().as_bytes()), Some(rung));
        }
        assert_eq!(Retention::from_name(b"Never-Shrink"), None);
        assert_eq!(Retention::from_name(b""), None);
    }

    #[test]
    fn a_kept_mapping_fits_what_it_holds_with_an_eighth_to_spare() {
        assert!(Retention::large_fits(8 << 20, 8 << 20));
        assert!(Retention::large_fits(8 << 20, 7 << 20));
        assert!(!Retention::large_fits(8 << 20, 6 << 20));
        assert!(!Retention::large_fits(8 << 20, (8 << 20) + 1));
    }
}
