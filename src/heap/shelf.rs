//! Shelves: freed spans that heaps have too many of, for the threads that find none with their own.
//!
//! One for a few heaps, with a lock each, so that those whose buffers pass from thread to thread seldom wait.

#![forbid(unsafe_code)]

use super::span_kept::{KeptSpans, Wanted};
use crate::base::geometry::{SHELVES_TRIED, SPAN_SHELVES};
use crate::mem::pool::Pool;
use crate::sync::lock::{Mutex, MutexGuard, RawLock};

/// All shelves.
pub static SHELVES: [Shelf; SPAN_SHELVES] = [const { Shelf::new() }; SPAN_SHELVES];

/// See the module. On cache lines of its own.
#[repr(align(64))]
pub struct Shelf {
    /// Rank 3: taken with no lock held, or under the arenas (rank 2), and two at once for a fork only.
    pub lock: Mutex<()>,
    /// Changed under the lock.
    spans: KeptSpans,
}

/// A shelf that is the holder's for now.
pub struct Held {
    pub spans: &'static KeptSpans,
    _lock: MutexGuard<'static, ()>,
}

impl Shelf {
    const fn new() -> Self {
        let lock = <RawLock as parking_lot::lock_api::RawMutex>::INIT;
        Self { lock: Mutex::from_raw(lock, ()), spans: KeptSpans::new() }
    }

    /// The shelf of the heap with this number, which several share.
    pub fn of(heap: u32) -> &'static Shelf {
        &SHELVES[heap as usize % SHELVES.len()]
    }

    /// Slots of its spans, at about this moment.
    pub fn slots(&self) -> usize {
        self.spans.slots()
    }

    pub fn lock(&'static self) -> Held {
        Held { spans: &self.spans, _lock: self.lock.lock() }
    }

    /// `None` if it is somebody else's.
    fn try_lock(&'static self) -> Option<Held> {
        Some(Held { spans: &self.spans, _lock: self.lock.try_lock()? })
    }

    /// Takes a span from here, or from another shelf where it is to be had without waiting. `then` may take others.
    pub fn take(
        &'static self,
        wanted: &Wanted,
        then: impl Fn(&KeptSpans),
    ) -> Option<&'static Pool> {
        let take = |shelf: Held| {
            let span = shelf.spans.take(wanted)?;
            then(shelf.spans);
            Some(span)
        };
        let has_some = |shelf: &&'static Shelf| shelf.slots() >= wanted.length.slots();
        let first = Some(self).filter(has_some);
        // Others may put one there: then this request is served as if it had come first.
        first.and_then(|shelf| take(shelf.lock())).or_else(|| {
            let others = SHELVES.iter().filter(|shelf| !core::ptr::eq(*shelf, self));
            let mut held = others.filter(has_some).filter_map(Shelf::try_lock).take(SHELVES_TRIED);
            held.find_map(take)
        })
    }
}
