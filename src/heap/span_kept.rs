//! Freed spans that are kept as they are, for the next request of their length.
//!
//! Who frees a buffer often wants one of the same length next, and to take slots apart and put them together again costs
//! several times what a list does. Most rungs keep few, and not for long (`SPANS_KEPT_SLOTS`): they serve nobody else
//! meanwhile. Where classes do not share, all are kept, for ever.
//!
//! A heap keeps some for its own thread, which takes them without a lock. What another thread frees goes home to it, by an
//! inbox: who makes buffers that others drop finds them again.

use core::iter;

use super::bin::PoolList;
use super::inbox::Inbox;
use super::ledger;
use crate::base::geometry::{INBOX_POOLS, SPANS_UNPUBLISHED_BYTES};
use crate::base::length::SpanLength;
use crate::mem::pool::Pool;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::word::WordSize;

/// See the module. Only who has the heap calls what changes it.
pub struct KeptSpans {
    /// By length, the shortest first; the last freed first.
    lists: [PoolList; SpanLength::COUNT],
    /// Slots of all of them.
    slots: WordSize,
    /// The list from which on the next span is let go when there are too many: of one length after the other, as a
    /// length that is seldom asked for would stay else.
    hand: WordSize,
}

/// What span is wanted: of this length, or of the next one where `longer_too`, and at a multiple of `align` bytes.
pub struct Wanted {
    pub length: SpanLength,
    pub longer_too: bool,
    pub align: usize,
}

impl KeptSpans {
    /// All bits zero.
    pub const fn new() -> Self {
        Self {
            lists: [const { PoolList::new() }; SpanLength::COUNT],
            slots: WordSize::new(0),
            hand: WordSize::new(0),
        }
    }

    /// Slots of all of them; for others at about this moment.
    pub fn slots(&self) -> usize {
        self.slots.get()
    }

    /// Keeps a span. Slots of all that are kept then.
    pub fn put(&self, span: &'static Pool) -> usize {
        let slots = span.span_slots();
        self.list_of(span).push_front(span);
        let kept = self.slots.get() + slots;
        self.slots.set(kept);
        kept
    }

    /// Takes the last freed span of the shortest length that suits.
    pub fn take(&self, wanted: &Wanted) -> Option<&'static Pool> {
        if self.slots.get() < wanted.length.slots() {
            return None;
        }
        let suits = |span: &&Pool| span.start().addr().get().is_multiple_of(wanted.align);
        let first = wanted.length.index();
        let last = (first + usize::from(wanted.longer_too)).min(SpanLength::COUNT - 1);
        let mut lists = self.lists[first..=last].iter();
        let (list, span) = lists.find_map(|list| Some((list, list.iter().find(suits)?)))?;
        self.remove(list, span);
        Some(span)
    }

    /// Takes a span that is one too many if no more than `slots_max` slots are kept.
    pub fn take_over(&self, slots_max: usize) -> Option<&'static Pool> {
        if self.slots.get() <= slots_max {
            return None;
        }
        let (before, behind) = self.lists.split_at(self.hand.get());
        let oldest = behind.iter().chain(before).find_map(PoolList::last)?;
        self.hand.set((length_of(oldest).index() + 1) % SpanLength::COUNT);
        self.remove(self.list_of(oldest), oldest);
        Some(oldest)
    }

    /// Takes a span that a sweep has seen.
    pub fn take_seen(&self) -> Option<&'static Pool> {
        let lists = self.lists.iter();
        let seen = lists.filter_map(PoolList::last).find(|span| span.is_seen())?;
        self.remove(self.list_of(seen), seen);
        Some(seen)
    }

    /// A sweep sees every span. Whether there is any.
    pub fn see(&self) -> bool {
        self.for_each(Pool::mark_seen);
        self.slots.get() > 0
    }

    /// Calls `each` with every span.
    pub fn for_each(&self, each: impl FnMut(&'static Pool)) {
        self.lists.iter().flat_map(PoolList::iter).for_each(each);
    }

    /// Forgets the spans: for a forked child.
    pub fn clear(&self) {
        self.lists.iter().for_each(PoolList::clear);
        self.slots.set(0);
    }

    fn remove(&self, list: &PoolList, span: &'static Pool) {
        span.forget_seen();
        list.remove(span);
        self.slots.set(self.slots.get() - span.span_slots());
    }

    fn list_of(&self, span: &Pool) -> &PoolList {
        &self.lists[length_of(span).index()]
    }
}

fn length_of(span: &Pool) -> SpanLength {
    SpanLength::of(span.span_slots())
}

/// Spans that other threads freed, for the heap that they were allocated by.
struct Posted {
    inbox: Inbox<Pool>,
    slots: AtomicUsize,
}

impl Posted {
    const fn new() -> Self {
        Self { inbox: Inbox::new(), slots: AtomicUsize::new(0) }
    }
}

/// The spans of one heap: those that it keeps, those that wait for it, and how many its thread took and gave back.
pub struct OwnSpans {
    pub kept: KeptSpans,
    /// Slots that the heap may keep, by the last look at the policy; 0 before the first one.
    pub kept_max: WordSize,
    posted: Posted,
    /// Slots that may wait, likewise. By any thread.
    pub posted_max: WordSize,
    /// Spans that the program has more, and their requested bytes, since the ledger was last told.
    unpublished: [WordSize; 2],
}

impl OwnSpans {
    /// All bits zero.
    pub const fn new() -> Self {
        let unpublished = [const { WordSize::new(0) }; 2];
        let (kept_max, posted_max) = (WordSize::new(0), WordSize::new(0));
        Self { kept: KeptSpans::new(), kept_max, posted: Posted::new(), posted_max, unpublished }
    }

    /// Takes a span that suits of those that are kept, or that wait.
    pub fn take(&self, wanted: &Wanted) -> Option<&'static Pool> {
        loop {
            let found = self.kept.take(wanted);
            if found.is_some() || !self.has_mail() {
                return found;
            }
            self.take_some_in();
        }
    }

    /// Has a span that another thread freed wait for the heap, unless more than `slots_max` slots do then. By any thread.
    pub fn post(&self, span: &Pool, slots_max: usize) -> bool {
        let slots = span.span_slots();
        if self.posted.slots.load(Relaxed).saturating_add(slots) > slots_max {
            return false;
        }
        // Before the span is there to be taken in.
        self.posted.slots.fetch_add(slots, Relaxed);
        self.posted.inbox.put(span);
        true
    }

    /// Whether spans wait.
    pub fn has_mail(&self) -> bool {
        self.posted.inbox.has_any()
    }

    /// Keeps all that waits. For who has the heap.
    pub fn take_in(&self) {
        while self.has_mail() {
            self.take_some_in();
        }
    }

    /// Keeps some of what waits: each may be in no cache.
    #[cold]
    #[inline(never)]
    pub fn take_some_in(&self) {
        let mut slots = 0;
        self.posted.inbox.refill();
        // SAFETY: a span in an inbox is nobody's, so that it stays, and only who has the heap takes it.
        let next = || unsafe { self.posted.inbox.take_next(|span| span.as_ref()) };
        for span in iter::from_fn(next).take(INBOX_POOLS) {
            slots += span.span_slots();
            self.kept.put(span);
        }
        self.posted.slots.fetch_sub(slots, Relaxed);
    }

    /// Forgets what waits: for a forked child.
    pub fn forget_posted(&self) {
        self.posted.inbox.forget();
        self.posted.slots.store(0, Relaxed);
    }

    /// The program has so many spans and requested bytes more, or fewer.
    pub fn count(&self, blocks: isize, bytes: isize) {
        let (had, had_bytes) = self.unpublished();
        let bytes = had_bytes + bytes;
        self.set_unpublished(had + blocks, bytes);
        if bytes.unsigned_abs() >= SPANS_UNPUBLISHED_BYTES {
            self.publish();
        }
    }

    /// What the ledger does not know: for others than who has the heap, of about this moment.
    pub fn unpublished(&self) -> (isize, isize) {
        let [blocks, bytes] = self.unpublished.each_ref().map(|word| word.get() as isize);
        (blocks, bytes)
    }

    /// Tells the ledger what was counted here.
    pub fn publish(&self) {
        let (blocks, bytes) = self.unpublished();
        self.forget_unpublished();
        ledger::add_large(blocks, bytes);
    }

    /// Forgets what was counted here: for a forked child, which counts anew.
    pub fn forget_unpublished(&self) {
        self.set_unpublished(0, 0);
        // More or less is live now: the policy is looked at again.
        self.kept_max.set(0);
    }

    /// Forgets everything: for a forked child.
    pub fn clear(&self) {
        self.kept.clear();
        self.forget_unpublished();
    }

    fn set_unpublished(&self, blocks: isize, bytes: isize) {
        self.unpublished[0].set(blocks as usize);
        self.unpublished[1].set(bytes as usize);
    }
}
