//! Freed spans that are kept as they are, for the next request of their length.
//!
//! Who frees a buffer often wants one of the same length next, and to take slots apart and put them together again costs
//! several times what a list does. Most rungs keep few, and not for long (`SPANS_KEPT_SLOTS`): they serve nobody else
//! meanwhile. Where classes do not share, all are kept, for ever.
//!
//! They lie on shelves with a lock each, one for a few threads, so that buffers that come and go on many threads make
//! none of those wait; what is live is counted there too.

#![forbid(unsafe_code)]

use core::mem;

use super::bin::PoolList;
use super::ledger;
use crate::base::geometry::{SLOT_SIZE, SPAN_MAX, SPAN_SHELVES, SPANS_UNPUBLISHED_BYTES};
use crate::mem::pool::Pool;
use crate::sync::lock::{Mutex, MutexGuard, RawLock};
use crate::sync::word::WordSize;

const LENGTHS: usize = SPAN_MAX / SLOT_SIZE;

/// All shelves. Rank 3: taken with no lock held, or under the arenas (rank 2), and two at once for a fork only.
pub static SHELVES: [Shelf; SPAN_SHELVES] = [const { Shelf::new() }; SPAN_SHELVES];

/// See the module. On cache lines of its own.
#[repr(align(64))]
pub struct Shelf {
    pub spans: Mutex<KeptSpans>,
    /// Slots of its spans. Changed under the lock.
    slots: WordSize,
}

/// A shelf that is the holder's for now.
pub struct Held {
    spans: MutexGuard<'static, KeptSpans>,
    slots: &'static WordSize,
}

/// What stands under a shelf's lock.
pub struct KeptSpans {
    /// By length, that of one slot first; the last freed first.
    lists: [PoolList; LENGTHS],
    /// The length from which on the next span is let go when there are too many: of one length after the other, as a
    /// length that is seldom asked for would stay else.
    hand: usize,
    /// Spans that the program has more, and their requested bytes, since the ledger was last told.
    unpublished: (isize, isize),
}

/// What span is wanted: any of `slots` to `most` slots that starts at a multiple of `align` bytes.
pub struct Wanted {
    pub slots: usize,
    pub most: usize,
    pub align: usize,
}

impl Shelf {
    const fn new() -> Self {
        let spans =
            KeptSpans { lists: [const { PoolList::new() }; LENGTHS], hand: 0, unpublished: (0, 0) };
        let lock = <RawLock as parking_lot::lock_api::RawMutex>::INIT;
        Self { spans: Mutex::from_raw(lock, spans), slots: WordSize::new(0) }
    }

    /// Slots of its spans, at about this moment.
    pub fn slots(&self) -> usize {
        self.slots.get()
    }

    pub fn lock(&'static self) -> Held {
        Held { spans: self.spans.lock(), slots: &self.slots }
    }

    /// `None` if it is somebody else's.
    pub fn try_lock(&'static self) -> Option<Held> {
        Some(Held { spans: self.spans.try_lock()?, slots: &self.slots })
    }
}

impl Held {
    /// Keeps a span. Slots of all that are kept on the shelf then.
    pub fn put(&mut self, span: &'static Pool) -> usize {
        let slots = span.span_slots();
        self.spans.lists[slots - 1].push_front(span);
        let kept = self.slots.get() + slots;
        self.slots.set(kept);
        kept
    }

    /// Takes the last freed span of the shortest length that suits.
    pub fn take(&mut self, wanted: &Wanted) -> Option<&'static Pool> {
        let suits = |span: &&Pool| span.start().addr().get().is_multiple_of(wanted.align);
        let lists = &self.spans.lists[wanted.slots - 1..wanted.most.min(LENGTHS)];
        let span = lists.iter().find_map(|list| list.iter().find(suits))?;
        self.remove(span);
        Some(span)
    }

    /// Takes a span that is one too many if no more than `slots_max` slots are kept.
    pub fn take_over(&mut self, slots_max: usize) -> Option<&'static Pool> {
        if self.slots.get() <= slots_max {
            return None;
        }
        let (before, behind) = self.spans.lists.split_at(self.spans.hand);
        let oldest = behind.iter().chain(before).find_map(PoolList::last)?;
        self.spans.hand = oldest.span_slots() % LENGTHS;
        self.remove(oldest);
        Some(oldest)
    }

    /// Takes a span that a sweep has seen.
    pub fn take_seen(&mut self) -> Option<&'static Pool> {
        let lists = self.spans.lists.iter();
        let seen = lists.filter_map(PoolList::last).find(|span| span.is_seen())?;
        self.remove(seen);
        Some(seen)
    }

    /// A sweep sees every span. Whether there is any.
    pub fn see(&self) -> bool {
        self.spans.lists.iter().flat_map(PoolList::iter).for_each(Pool::mark_seen);
        self.slots.get() > 0
    }

    /// The program has so many spans and requested bytes more, or fewer.
    pub fn count(&mut self, blocks: isize, bytes: isize) {
        let unpublished = &mut self.spans.unpublished;
        *unpublished = (unpublished.0 + blocks, unpublished.1 + bytes);
        if unpublished.1.unsigned_abs() >= SPANS_UNPUBLISHED_BYTES {
            self.publish();
        }
    }

    /// Tells the ledger what was counted here.
    pub fn publish(&mut self) {
        let (blocks, bytes) = mem::take(&mut self.spans.unpublished);
        ledger::add_large(blocks, bytes);
    }

    /// Forgets what was counted here: for a forked child, which counts anew.
    pub fn forget_unpublished(&mut self) {
        self.spans.unpublished = (0, 0);
    }

    fn remove(&mut self, span: &'static Pool) {
        let slots = span.span_slots();
        span.forget_seen();
        self.spans.lists[slots - 1].remove(span);
        self.slots.set(self.slots.get() - slots);
    }
}
