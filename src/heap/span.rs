//! Spans: blocks too large for a pool, in slots of an arena.
//!
//! A span grows in place if the slots behind it are free, and shrinks in place. A freed one may be kept for the next
//! request of its length (`span_kept.rs`).

use core::ptr::NonNull;

use super::span_kept::KeptSpans;
use super::surplus::{self, Taker};
use super::sweep::{Age, Swept};
use super::{config, ledger, limit, local, span_kept, sweeper};
use crate::base::geometry::{SLOT_SIZE, SPAN_ALIGN_MAX, SPAN_MAX, SPANS_KEPT_LEAST};
use crate::mem::arena::Taken;
use crate::mem::arena_set::{ARENAS, ArenaSet};
use crate::mem::pool::Pool;
use crate::sync::lock::{Mutex, MutexGuard, RawLock};

/// Freed spans that are kept. Rank 3: taken with no lock held, or under the arenas (rank 2).
static KEPT: Mutex<KeptSpans> =
    Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, KeptSpans::new());

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
    // Others may put one there: then this request is served as if it had come first.
    if span_kept::bytes() == 0 {
        return None;
    }
    let mut kept = KEPT.lock();
    let span = kept.take(slots, align)?;
    span.resize_span(slots, size);
    ledger::publish_large(1, size as isize);
    Some((span.start(), false))
}

/// Takes a span back.
///
/// # Safety
///
/// `start` is a span of [`alloc`]'s, and nobody uses it any more.
pub unsafe fn free(start: NonNull<u8>) {
    let span = record(start);
    // Of what is no span in use the record says 0, but for a pool's whose OS pages are purged.
    invariant!(span.requested().is_some(), "a span that is freed is one in use");
    let publish = || ledger::publish_large(-1, -(span.requested().unwrap_or(0) as isize));
    let slots_max = config::retention().spans_kept_slots(ledger::LIVE_BYTES.now());
    let slots = span.slots();
    if slots <= slots_max / SPANS_KEPT_LEAST {
        let mut kept = KEPT.lock();
        publish();
        span.give_span_up();
        kept.put(span);
        drop(kept);
        give_back_over(slots_max);
    } else {
        // SAFETY: the span is the caller's, so its slots are.
        unsafe { give(ARENAS.lock(), span, Age::Any, publish) };
        surplus::large_freed(slots * SLOT_SIZE);
    }
    sweeper::nudge();
}

/// Gives kept spans back until no more than `slots_max` slots are kept.
fn give_back_over(slots_max: usize) {
    while span_kept::bytes() > slots_max.saturating_mul(SLOT_SIZE) {
        // Under both locks, here and below: a forked child finds the span kept or its slots free.
        let arenas = ARENAS.lock();
        let Some(span) = KEPT.lock().take_over(slots_max) else { return };
        let slots = span.slots();
        // SAFETY: off its list, and nobody's.
        unsafe { give(arenas, span, Age::Any, || ()) };
        surplus::large_freed(slots * SLOT_SIZE);
    }
}

/// Gives a span's slots back to its arena, and has `publish` say what that means; those of an old one count as old.
/// Returns bytes that went to the system.
///
/// # Safety
///
/// Nobody uses the span, and it is on no list.
unsafe fn give(
    mut arenas: MutexGuard<'_, ArenaSet>,
    span: &'static Pool,
    age: Age,
    publish: impl FnOnce(),
) -> usize {
    let (start, slots) = (span.start(), span.slots());
    surplus::gave_up(Taker::Span, slots * SLOT_SIZE);
    publish();
    span.close();
    let empty_kept = config::retention().arenas_empty_kept();
    let give = if age == Age::Old { ArenaSet::give_old } else { ArenaSet::give };
    // SAFETY: the slots were taken for the span, which nobody uses.
    let vacated = unsafe { give(&mut arenas, start, slots, empty_kept) };
    drop(arenas);
    vacated.map_or(0, |arena| arena.unmap())
}

/// Makes a span hold `size` bytes without moving it. False if it cannot: nothing has changed then.
///
/// # Safety
///
/// `start` is a span of [`alloc`]'s, the caller's, and `size` is one that a span can have.
pub unsafe fn resize(start: NonNull<u8>, size: usize) -> bool {
    let span = record(start);
    let (from, to) = (span.slots(), slots_for(size));
    let before = span.requested().unwrap_or(0);
    // A span that may serve no other class keeps its tail, and one that grows what room it has.
    let shrinks = size < before && config::retention().classes_share();
    let to = if shrinks { to } else { to.max(from) };
    if to > from {
        limit::hand_out((to - from) * SLOT_SIZE, 0);
    }
    let mut arenas = ARENAS.lock();
    // SAFETY: the span is the caller's, and has `from` slots.
    let longer = (to > from).then(|| unsafe { arenas.extend(start, from..to) });
    if let Some(None) = longer {
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
    if span_kept::bytes() == 0 || !config::retention().classes_share() {
        return swept;
    }
    loop {
        let arenas = ARENAS.lock();
        let mut kept = KEPT.lock();
        let span = if age == Age::Any { kept.take_over(0) } else { kept.take_seen() };
        let Some(span) = span else {
            swept.young = kept.see();
            return swept;
        };
        drop(kept);
        // SAFETY: off its list, and nobody's.
        swept.bytes += unsafe { give(arenas, span, age, || ()) };
    }
}

fn record(start: NonNull<u8>) -> &'static Pool {
    // SAFETY: the callers' contract: the span is taken, so its arena is mapped.
    unsafe { Pool::at(start.addr().get()).as_ref() }
}

/// Locks the kept spans, for a fork.
pub fn lock_for_fork() {
    core::mem::forget(KEPT.lock());
}

/// Unlocks what [`lock_for_fork`] locked.
///
/// # Safety
///
/// The calling thread locked it, or is its copy in a child.
pub unsafe fn unlock_after_fork() {
    // SAFETY: the caller's contract.
    unsafe { KEPT.force_unlock() };
}
