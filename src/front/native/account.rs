//! `explain()`: gives every mapped byte its reason.
//!
//! The bytes are found by a walk over every arena and every record, independently of the count of
//! mapped bytes that the system floor keeps: their difference is a check, not a remainder.

#![forbid(unsafe_code)]

use core::fmt::Write;

use crate::base::class::SizeClass;
use crate::base::geometry::{SLOT_SIZE, SLOTS_PER_ARENA, USABLE_SLOTS};
use crate::front::explain::Explain;
use crate::heap::large;
use crate::heap::limit;
use crate::heap::registry::REGISTRY;
use crate::heap::thread_heap::ThreadHeap;
use crate::heap::{local, sweep};
use crate::mem::arena::Arena;
use crate::mem::arena_set::ARENAS;
use crate::mem::pool::{Pool, State};
use crate::sys;
use crate::sys::fatal::Stderr;

impl Explain {
    fn add_arena(&mut self, arena: &Arena, own: &ThreadHeap) {
        let (touched, purged) = (arena.free_touched_slots(), arena.purged_slots());
        self.purged += purged * SLOT_SIZE;
        self.records += (SLOTS_PER_ARENA - USABLE_SLOTS) * SLOT_SIZE;
        self.empty += touched * SLOT_SIZE;
        self.uncarved += (arena.free_slots() - touched - purged) * SLOT_SIZE;
        arena.for_each_record(|_, record| match record.state() {
            State::Unused => {}
            State::Span => self.add_span(record),
            State::Empty => self.add_pool(record, 0),
            State::Current | State::Partial | State::Full => {
                self.add_pool(record, own.used_in(record));
            }
        });
    }

    fn add_span(&mut self, span: &Pool) {
        let bytes = span.slots() * SLOT_SIZE;
        match span.requested() {
            None => self.kept += bytes,
            Some(requested) => {
                self.large += requested;
                self.rounding += bytes - requested;
            }
        }
    }

    fn add_pool(&mut self, pool: &Pool, used: usize) {
        let class: SizeClass = pool.class();
        let size = class.block_size();
        // Another thread may be at work on the pool: what it changes between two of these reads
        // must not make a negative number.
        let absent = pool.absent().min(pool.carved());
        let carved = pool.carved() - absent;
        let used = used.min(carved);
        self.purged += absent * size;
        let waiting = pool.waiting().min(used);
        if pool.state() == State::Empty {
            self.empty += carved * size;
        } else {
            self.free += (carved - used) * size;
        }
        self.waiting += waiting * size;
        self.live += (used - waiting) * size;
        let behind = (class.capacity() - carved - absent) * size;
        // Was in use before, for another pool.
        *if pool.is_tail_resident() { &mut self.empty } else { &mut self.uncarved } += behind;
        self.tails += class.pool_size() - class.capacity() * size;
    }
}

/// The calling thread's heap, after it published what it had counted and took in what was sent to it:
/// sums are exact for it from then on.
pub fn settle_own() -> &'static ThreadHeap {
    let own = local::own();
    if !own.is_nobody() {
        own.settle_all();
    }
    own
}

/// Every mapped byte with its reason: a walk over all pools, under the lock of the arenas.
///
/// Exact for what the calling thread did; the current pools of other threads are shown as they were
/// when they became that.
///
/// ```
/// # #[global_allocator]
/// # static GLOBAL: highwater::Highwater = highwater::Highwater::new();
/// let explained = highwater::explain();
/// assert_eq!(explained.sum(), explained.mapped);
/// println!("{explained}");
/// ```
pub fn explain() -> Explain {
    let own = settle_own();
    let mut explained = Explain::default();
    // What the sweeper unmaps, by a sweep or for a limit, it unmaps outside the locks below.
    let _no_purge = limit::pause();
    let _no_sweep = sweep::pause();
    let registry = REGISTRY.lock();
    let arenas = ARENAS.lock();
    arenas.for_each(|arena| explained.add_arena(arena, own));
    let large = large::totals();
    explained.records += registry.store_bytes() + arenas.store_bytes() + large.records;
    explained.large += large.live_requested;
    explained.rounding += large.live_mapped - large.live_requested;
    explained.kept += large.kept - large.kept_purged;
    explained.purged += large.kept_purged + sys::left_bytes();
    explained.mapped = sys::mapped_bytes().0;
    explained
}

/// Prints [`explain`] to standard error, without allocating.
pub fn print() {
    let explained = explain();
    let mut out = Stderr::new();
    let _ = writeln!(out, "highwater:\n{explained}");
    let strays = super::stray_frees();
    if strays > 0 {
        let _ =
            writeln!(out, "{strays} addresses were freed that are not highwater's; they are lost");
    }
}

/// Checks the equations of every structure that the calling thread may read, and ends the process
/// with a message if one does not hold. For tests.
#[doc(hidden)]
pub fn check() {
    let own = local::own();
    if !own.is_nobody() {
        let _inside = own.enter();
        own.check();
    }
    ARENAS.lock().check();
}
