//! Freed spans that are kept as they are, for the next request of their length.
//!
//! Who frees a buffer often wants one of the same length next, and to take slots apart and put them together again costs
//! several times what a list does. Most rungs keep few, and not for long (`SPANS_KEPT_SLOTS`): they serve nobody else
//! meanwhile. Where classes do not share, all are kept, for ever.

#![forbid(unsafe_code)]

use super::bin::PoolList;
use crate::base::geometry::{SLOT_SIZE, SPAN_MAX};
use crate::mem::pool::Pool;
use crate::sync::word::WordSize;

const LENGTHS: usize = SPAN_MAX / SLOT_SIZE;
/// One bit for each length, that of one slot first.
type LengthSet = u128;
const _: () = assert!(LENGTHS <= LengthSet::BITS as usize);

/// Slots of all kept spans. Changed under the lock that the set is behind.
static SLOTS: WordSize = WordSize::new(0);

/// Bytes of all kept spans.
pub fn bytes() -> usize {
    SLOTS.get() * SLOT_SIZE
}

/// See the module.
pub struct KeptSpans {
    /// By length; the last freed first.
    lists: [PoolList; LENGTHS],
    /// The lengths whose list has a span.
    lengths: LengthSet,
    /// The length from which on the next span is let go when there are too many: of one length after the other, as a
    /// length that is seldom asked for would stay else.
    hand: usize,
}

impl KeptSpans {
    pub const fn new() -> Self {
        Self { lists: [const { PoolList::new() }; LENGTHS], lengths: 0, hand: 0 }
    }

    /// Keeps a span.
    pub fn put(&mut self, span: &'static Pool) {
        let length = span.slots() - 1;
        span.forget_seen();
        self.lists[length].push_front(span);
        self.lengths |= 1 << length;
        SLOTS.set(SLOTS.get() + span.slots());
    }

    /// Takes the last freed span of `slots` slots that starts at a multiple of `align` bytes.
    pub fn take(&mut self, slots: usize, align: usize) -> Option<&'static Pool> {
        if self.lengths & 1 << (slots - 1) == 0 {
            return None;
        }
        let suits = |span: &&Pool| span.start().addr().get().is_multiple_of(align);
        let span = self.lists[slots - 1].iter().find(suits)?;
        self.remove(span);
        Some(span)
    }

    /// Takes a span that is one too many if no more than `slots_max` slots are kept.
    pub fn take_over(&mut self, slots_max: usize) -> Option<&'static Pool> {
        if SLOTS.get() <= slots_max {
            return None;
        }
        let behind = self.lengths & LengthSet::MAX << self.hand;
        let lengths = if behind == 0 { self.lengths } else { behind };
        let length = lengths.trailing_zeros() as usize;
        self.hand = (length + 1) % LENGTHS;
        let oldest = self.lists[length].last()?;
        self.remove(oldest);
        Some(oldest)
    }

    /// Takes a span that a sweep has seen.
    pub fn take_seen(&mut self) -> Option<&'static Pool> {
        let seen = self.lists.iter().filter_map(PoolList::last).find(|span| span.is_seen())?;
        self.remove(seen);
        Some(seen)
    }

    /// A sweep sees every span. Whether there is any.
    pub fn see(&self) -> bool {
        self.lists.iter().flat_map(PoolList::iter).for_each(Pool::mark_seen);
        self.lengths != 0
    }

    fn remove(&mut self, span: &'static Pool) {
        let length = span.slots() - 1;
        let list = &self.lists[length];
        list.remove(span);
        if list.first().is_none() {
            self.lengths &= !(1 << length);
        }
        SLOTS.set(SLOTS.get() - span.slots());
    }
}
