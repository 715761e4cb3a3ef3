//! Spans: blocks too large for a pool, in slots of an arena.
//!
//! A span grows in place if the slots behind it are free, and shrinks in place. Under a rung on
//! which classes do not share, a freed span stays on the list of its length.

use core::ptr::NonNull;

use super::bin::PoolList;
use super::surplus::{self, Taker};
use super::{config, ledger, limit, local, sweeper};
use crate::base::geometry::{SLOT_SIZE, SPAN_ALIGN_MAX, SPAN_MAX};
use crate::mem::arena::Taken;
use crate::mem::arena_set::ARENAS;
use crate::mem::pool::Pool;
use crate::sync::lock::{Mutex, RawLock};

const LENGTHS: usize = SPAN_MAX / SLOT_SIZE + 1;

/// Freed spans that may serve no other class, by length in slots. Rank 3: taken with no lock held.
static KEPT: Mutex<KeptSpans> = Mutex::from_raw(
    <RawLock as parking_lot::lock_api::RawMutex>::INIT,
    KeptSpans { lists: [const { PoolList::new() }; LENGTHS], count: 0 },
);

struct KeptSpans {
    lists: [PoolList; LENGTHS],
    count: usize,
}

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
    let slots = slots_for(size);
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
    let mut kept = KEPT.lock();
    if kept.count == 0 {
        return None;
    }
    let list = &kept.lists[slots];
    let aligned = |span: &&Pool| span.start().addr().get().is_multiple_of(align);
    let span = list.iter().find(aligned)?;
    list.remove(span);
    kept.count -= 1;
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
    let rung = config::retention();
    if !rung.classes_share() {
        let mut kept = KEPT.lock();
        publish();
        span.give_span_up();
        kept.lists[span.slots()].push_front(span);
        kept.count += 1;
        return;
    }
    let slots = span.slots();
    // SAFETY: the span is the caller's, so its slots are.
    unsafe { give(span, publish) };
    surplus::large_freed(slots * SLOT_SIZE);
    sweeper::nudge();
}

/// Gives a span's slots back to its arena, and has `publish` say what that means. Returns bytes that
/// went to the system.
///
/// # Safety
///
/// Nobody uses the span, and it is on no list.
unsafe fn give(span: &'static Pool, publish: impl FnOnce()) -> usize {
    let (start, slots) = (span.start(), span.slots());
    surplus::gave_up(Taker::Span, slots * SLOT_SIZE);
    let mut arenas = ARENAS.lock();
    publish();
    span.close();
    // SAFETY: the slots were taken for the span, which nobody uses.
    let vacated = unsafe { arenas.give(start, slots, config::retention().arenas_empty_kept()) };
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
    // A span that may serve no other class keeps its tail.
    let to = if config::retention().classes_share() { to } else { to.max(from) };
    let before = span.requested().unwrap_or(0);
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

/// Lets the kept spans go, if the rung says that classes share. Returns bytes given back.
pub fn give_back_kept() -> usize {
    if !config::retention().classes_share() {
        return 0;
    }
    let mut bytes = 0;
    for length in 0..LENGTHS {
        loop {
            let mut kept = KEPT.lock();
            if kept.count == 0 {
                return bytes;
            }
            let Some(span) = kept.lists[length].pop_front() else {
                break;
            };
            kept.count -= 1;
            drop(kept);
            // SAFETY: off its list, and nobody's.
            bytes += unsafe { give(span, || ()) };
        }
    }
    bytes
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
