//! What an arena is divided into: its pools, spans and runs of free slots, by rising addresses.

use core::ptr::NonNull;

use super::arena::{Arena, USABLE};
use super::pool::{Pool, State};
use crate::base::class::SizeClass;
use crate::base::geometry::SLOT_SIZE;

/// A part of an arena.
pub enum Place<'a> {
    /// Free slots in a row.
    Free {
        /// How many.
        slots: usize,
        /// Of those, slots whose contents went back.
        purged: usize,
    },
    /// A pool or span.
    Taken {
        /// The first byte.
        start: NonNull<u8>,
        /// Its record.
        record: &'a Pool,
    },
}

impl Arena {
    /// Calls `each` with the record of every pool and span in it.
    pub fn for_each_record(&self, mut each: impl FnMut(NonNull<u8>, &Pool)) {
        self.for_each_place(|place| match place {
            Place::Free { .. } => {}
            Place::Taken { start, record } => each(start, record),
        });
    }

    /// Calls `each` with every pool, span and run of free slots in it, by rising addresses.
    pub fn for_each_place(&self, mut each: impl FnMut(Place<'_>)) {
        let mut slot = USABLE.start;
        let mut free = self.free.run(slot);
        while slot < USABLE.end {
            if let Some(run) = free.take_if(|run| run.start == slot) {
                let (slots, purged) = (run.len(), self.purged.count_in(run.clone()));
                each(Place::Free { slots, purged });
                slot = run.end;
                free = self.free.run(slot);
                continue;
            }
            // SAFETY: a slot of the arena; a taken slot at which the walk arrives begins a pool or
            // span, whose record was opened before its slots could be seen as taken.
            let (start, record) = unsafe {
                let start = self.start.add(slot * SLOT_SIZE);
                (start, Pool::at(start.addr().get()).as_ref())
            };
            let slots = record.slots();
            invariant!(slots > 0, "a taken slot has a record");
            each(Place::Taken { start, record });
            slot += slots;
        }
    }

    /// Calls `each` with the record of every pool in it. Nothing of spans is read, of which a heap may have many: each record is a cache
    /// line, which may be in no cache.
    pub fn for_each_pool(&self, mut each: impl FnMut(&Pool)) {
        let mut from = 0;
        while let Some(run) = self.pools.run(from) {
            from = run.start + 1;
            // SAFETY: a slot of the arena at which a pool begins, whose record was opened before that was noted.
            each(unsafe { Pool::at(self.start.add(run.start * SLOT_SIZE).addr().get()).as_ref() });
        }
    }

    /// Bytes of it that blocks have, at about this moment: of a current pool, which its owner works on, all.
    pub fn live_bytes(&self) -> usize {
        let mut live = 0;
        self.for_each_record(|_, record| {
            live += match record.state() {
                State::Span if record.requested().is_none() => 0,
                State::Span | State::Current => record.slots() * SLOT_SIZE,
                _ => record.used() * record.class_if_pool().map_or(0, SizeClass::block_size),
            };
        });
        live
    }
}
