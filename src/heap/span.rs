//! Spans: blocks too large for a pool, in slots of an arena.
//!
//! A span grows in place if the slots behind it are free, and shrinks in place. A freed one may be kept for the next
//! request of its length (`span_kept.rs`).

use core::ptr::NonNull;

use super::span_kept::{Held, SHELVES, Shelf, Wanted};
use super::surplus::{self, Taker};
use super::sweep::{Age, Swept};
use super::thread_heap::ThreadHeap;
use super::{config, ledger, limit, local, registry, sweeper, watch};
use crate::base::geometry::{SHELVES_TRIED, SLOT_SIZE, SPAN_ALIGN_MAX, SPAN_MAX, SPAN_ROOM_PART};
use crate::mem::arena::Taken;
use crate::mem::arena_set::{ARENAS, ArenaSet, Vacated};
use crate::mem::pool::Pool;

/// Whether a request is one for a span, given that it is none for a pool.
pub const fn fits(size: usize, align: usize) -> bool {
    size <= SPAN_MAX && align <= SPAN_ALIGN_MAX
}

fn slots_for(size: usize) -> usize {
    size.div_ceil(SLOT_SIZE).max(1)
}

/// A span for `size` bytes at a multiple of `align`, and whether it is known to be zero. `None` if
/// the system gives no memory.
pub fn alloc(size: usize, align: usize) -> Option<(NonNull<u8>, bool)> {
    alloc_with_room(size, align, size)
}

/// As [`alloc`], with room to grow to `room` bytes where it is, as far as a span can.
pub fn alloc_with_room(size: usize, align: usize, room: usize) -> Option<(NonNull<u8>, bool)> {
    let slots = slots_for(size.max(room.min(SPAN_MAX)));
    limit::hand_out(slots * SLOT_SIZE, 0);
    take_kept(slots, align, size).or_else(|| take(slots, align, size)).or_else(|| {
        local::with(|heap| {
            let _inside = heap.enter();
            heap.give_back_kept()
        });
        take(slots, align, size)
    })
}

fn take(slots: usize, align: usize, size: usize) -> Option<(NonNull<u8>, bool)> {
    let align = align.div_ceil(SLOT_SIZE);
    // Published under the lock, here and below: a forked child finds the sums right.
    let open = |span: &Pool| {
        span.open_span(slots, size);
        ledger::publish_large(1, size as isize);
    };
    let taken = ARENAS.lock().take(slots, align, open)?;
    grew(&taken);
    Some((taken.start, taken.fresh))
}

/// Slots became resident for a span.
fn grew(taken: &Taken) {
    ledger::refaulted(taken.refaulted);
    surplus::grew(Taker::Span, taken.grown * SLOT_SIZE);
    limit::grew(taken.grown * SLOT_SIZE);
}

fn take_kept(slots: usize, align: usize, size: usize) -> Option<(NonNull<u8>, bool)> {
    let room = if config::retention().classes_share() { slots / SPAN_ROOM_PART } else { 0 };
    let wanted = Wanted { slots, most: slots + room, align };
    let own = own_shelf();
    // Others may put one there: then this request is served as if it had come first.
    let found = match SHELVES[own].slots() >= slots {
        true => take_from(SHELVES[own].lock(), &wanted, size),
        false => None,
    };
    let start = found.or_else(|| take_others(own, &wanted, size))?;
    watch::count_large(1, size as isize);
    Some((start, false))
}

fn take_from(mut shelf: Held, wanted: &Wanted, size: usize) -> Option<NonNull<u8>> {
    let span = shelf.take(wanted)?;
    span.resize_span(span.span_slots(), size);
    shelf.count(1, size as isize);
    Some(span.start())
}

/// Takes what other threads than those of the shelf `own` freed, where it is to be had without waiting.
#[cold]
fn take_others(own: usize, wanted: &Wanted, size: usize) -> Option<NonNull<u8>> {
    let (before, from_own) = SHELVES.split_at(own);
    let others = from_own.iter().skip(1).chain(before);
    let stocked = others.filter(|shelf| shelf.slots() >= wanted.slots);
    let mut held = stocked.filter_map(Shelf::try_lock).take(SHELVES_TRIED);
    held.find_map(|shelf| take_from(shelf, wanted, size))
}

/// The number of the calling thread's shelf.
fn own_shelf() -> usize {
    shelf_of(local::own())
}

fn shelf_of(heap: &ThreadHeap) -> usize {
    heap.number.get() as usize % SHELVES.len()
}

/// Takes a span back.
///
/// # Safety
///
/// `start` is a span of [`alloc`]'s, and nobody uses it any more.
pub unsafe fn free(start: NonNull<u8>) {
    let span = record(start);
    // Of what is no span in use the record says 0, but for a pool's whose OS pages are purged.
    let found = span.requested();
    invariant!(found.is_some(), "a span that is freed is one in use");
    let requested = found.unwrap_or(0) as isize;
    let live = ledger::LIVE_BYTES.now();
    let slots_max = config::retention().spans_kept_slots(live, registry::held());
    // Who outgrew it wants a longer one next, of which its slots can be part.
    if slots_max > 0 && !span.is_outgrown() {
        let shelf = &SHELVES[own_shelf()];
        let mut held = shelf.lock();
        held.count(-1, -requested);
        span.give_span_up();
        let kept = held.put(span);
        drop(held);
        watch::count_large(-1, -requested);
        if kept > slots_max {
            give_back_over(shelf, slots_max);
        }
    } else {
        let slots = span.span_slots();
        let mut arenas = ARENAS.lock();
        ledger::publish_large(-1, -requested);
        // SAFETY: the span is the caller's, so its slots are.
        let vacated = unsafe { give(&mut arenas, span, Age::Any) };
        drop(arenas);
        if let Some(arena) = vacated {
            arena.unmap();
        }
        surplus::large_freed(slots * SLOT_SIZE);
    }
    sweeper::nudge();
}

/// Gives a shelf's spans back until three quarters of `slots_max` slots are kept there: several at a time, as threads that
/// do so wait for each other.
#[cold]
fn give_back_over(shelf: &'static Shelf, slots_max: usize) {
    let mut given = 0;
    let (mut arenas, mut kept) = (ARENAS.lock(), shelf.lock());
    // Under both locks, here and below: a forked child finds the span kept or its slots free.
    while let Some(span) = kept.take_over(slots_max - slots_max / 4) {
        given += span.span_slots();
        // SAFETY: off its list, and nobody's.
        if let Some(vacated) = unsafe { give(&mut arenas, span, Age::Any) } {
            drop((kept, arenas));
            vacated.unmap();
            (arenas, kept) = (ARENAS.lock(), shelf.lock());
        }
    }
    drop((kept, arenas));
    surplus::large_freed(given * SLOT_SIZE);
}

/// Gives a span's slots back to its arena; those of an old one count as old.
///
/// # Safety
///
/// Nobody uses the span, and it is on no list.
unsafe fn give(arenas: &mut ArenaSet, span: &'static Pool, age: Age) -> Option<Vacated> {
    let (start, slots) = (span.start(), span.span_slots());
    surplus::gave_up(Taker::Span, slots * SLOT_SIZE);
    span.close();
    let empty_kept = config::retention().arenas_empty_kept();
    let give = if age == Age::Old { ArenaSet::give_old } else { ArenaSet::give };
    // SAFETY: the slots were taken for the span, which nobody uses.
    unsafe { give(arenas, start, slots, empty_kept) }
}

/// Makes a span hold `size` bytes without moving it. False if it cannot: nothing has changed then.
///
/// # Safety
///
/// `start` is a span of [`alloc`]'s, the caller's, and `size` is one that a span can have.
pub unsafe fn resize(start: NonNull<u8>, size: usize) -> bool {
    let span = record(start);
    let (from, to) = (span.span_slots(), slots_for(size));
    let before = span.requested().unwrap_or(0);
    // A span that may serve no other class keeps its tail, and one that grows what room it has.
    let shares = config::retention().classes_share();
    let shrinks = size < before && shares;
    let to = if shrinks { to } else { to.max(from) };
    if to > from {
        limit::hand_out((to - from) * SLOT_SIZE, 0);
    }
    let mut arenas = ARENAS.lock();
    // SAFETY: the span is the caller's, and has `from` slots.
    let longer = (to > from).then(|| unsafe { arenas.extend(start, from..to) });
    if let Some(None) = longer {
        if shares {
            span.mark_outgrown();
        }
        return false;
    }
    span.resize_span(to, size);
    if to < from {
        // SAFETY: the tail is the caller's to give; the span's first slots stay taken, so that its
        // arena does not become empty.
        let vacated = unsafe { arenas.give(start.add(to * SLOT_SIZE), from - to, usize::MAX) };
        invariant!(vacated.is_none(), "an arena with a span in it is not empty");
    }
    ledger::publish_large(0, size as isize - before as isize);
    drop(arenas);
    longer.flatten().iter().for_each(grew);
    true
}

/// Lets kept spans of this age go, if the rung says that classes share.
pub fn give_back_kept(age: Age) -> Swept {
    let mut swept = Swept::default();
    if config::retention().classes_share() {
        let stocked = SHELVES.iter().filter(|shelf| shelf.slots() > 0);
        stocked.for_each(|shelf| swept.add(give_back_of(shelf, age)));
    }
    swept
}

/// Lets the spans of a heap's shelf go, whose thread ends: the next one may want others.
pub fn give_back_shelf(heap: &ThreadHeap) {
    let shelf = &SHELVES[shelf_of(heap)];
    if shelf.slots() > 0 {
        give_back_of(shelf, Age::Any);
    }
}

fn give_back_of(shelf: &'static Shelf, age: Age) -> Swept {
    let mut bytes = 0;
    loop {
        let mut arenas = ARENAS.lock();
        let mut kept = shelf.lock();
        let span = if age == Age::Any { kept.take_over(0) } else { kept.take_seen() };
        let Some(span) = span else {
            return Swept { bytes, young: kept.see() };
        };
        drop(kept);
        // SAFETY: off its list, and nobody's.
        let vacated = unsafe { give(&mut arenas, span, age) };
        drop(arenas);
        bytes += vacated.map_or(0, Vacated::unmap);
    }
}

/// Publishes what is counted apart: the ledger's sums are exact then.
pub fn settle() {
    SHELVES.iter().for_each(|shelf| shelf.lock().publish());
}

/// Forgets what is counted apart: for a forked child, which counts anew.
pub fn forget_unpublished() {
    SHELVES.iter().for_each(|shelf| shelf.lock().forget_unpublished());
}

fn record(start: NonNull<u8>) -> &'static Pool {
    // SAFETY: the callers' contract: the span is taken, so its arena is mapped.
    unsafe { Pool::at(start.addr().get()).as_ref() }
}

/// Locks the kept spans, for a fork.
pub fn lock_for_fork() {
    SHELVES.iter().for_each(|shelf| core::mem::forget(shelf.lock()));
}

/// Unlocks what [`lock_for_fork`] locked.
///
/// # Safety
///
/// The calling thread locked it, or is its copy in a child.
pub unsafe fn unlock_after_fork() {
    // SAFETY: the caller's contract.
    SHELVES.iter().for_each(|shelf| unsafe { shelf.spans.force_unlock() });
}
