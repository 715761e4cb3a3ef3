//! Spans: blocks too large for a pool, in slots of an arena.
//!
//! A span grows in place if the slots behind it are free, and shrinks in place. A freed one may be kept for the next
//! request of its length (`span_kept.rs`).

use core::iter;
use core::ptr::{self, NonNull};

use super::span_kept::{KeptSpans, Wanted};
use super::surplus::{self, Taker};
use super::sweep::{Age, Swept};
use super::thread_heap::ThreadHeap;
use super::{config, ledger, limit, local, registry, sweeper, vacancy, watch};
use crate::base::geometry::{
    SLOT_SIZE, SPAN_ALIGN_MAX, SPAN_LONG, SPAN_MAX, SPANS_A_STEP, SPANS_AT_ONCE, SPANS_KEPT_ANYWAY,
};
use crate::base::length::SpanLength;
use crate::mem::arena::Taken;
use crate::mem::arena_set::{ARENAS, ArenaSet, Vacated};

use crate::mem::pool::Pool;

/// Whether a request is one for a span, given that it is none for a pool.
pub const fn fits(size: usize, align: usize) -> bool {
    size <= SPAN_MAX && align <= SPAN_ALIGN_MAX
}

fn length_for(size: usize) -> SpanLength {
    SpanLength::of(size.div_ceil(SLOT_SIZE).max(1))
}

/// A span for `size` bytes at a multiple of `align`, and whether it is known to be zero. `None` if
/// the system gives no memory.
pub fn alloc(size: usize, align: usize) -> Option<(NonNull<u8>, bool)> {
    alloc_with_room(size, align, size)
}

/// As [`alloc`], with room to grow to `room` bytes where it is, as far as a span can.
pub fn alloc_with_room(size: usize, align: usize, room: usize) -> Option<(NonNull<u8>, bool)> {
    let length = length_for(size.max(room.min(SPAN_MAX)));
    let slots = length.slots();
    limit::hand_out(slots * SLOT_SIZE, 0);
    take_kept(length, align, size).or_else(|| take(slots, align, size)).or_else(|| {
        local::with(|heap| {
            let _inside = heap.enter();
            heap.give_back_kept()
        });
        take(slots, align, size)
    })
}

fn take(slots: usize, align: usize, size: usize) -> Option<(NonNull<u8>, bool)> {
    let align = align.div_ceil(SLOT_SIZE);
    let owner = local::held().map_or(ptr::null_mut(), ThreadHeap::as_owner);
    // Published under the lock, here and below: a forked child finds the sums right.
    let open = |span: &Pool| {
        span.open_span(slots, size, owner);
        ledger::publish_large(1, size as isize);
    };
    let shares = config::retention().classes_share();
    let found = if slots >= SPAN_LONG && shares { find_run(slots, align, open) } else { None };
    let taken = match found {
        Some(taken) => taken,
        None => ARENAS.lock().take(slots, align, open)?,
    };
    grew(&taken);
    make_up_for(taken.grown);
    Some((taken.start, taken.fresh))
}

/// Takes resident slots for a long span. If there is no such run, gives all kept spans up, which with what is free between them
/// may be one: fresh memory costs a fault for each OS page, a kept span that is wanted again a few hundred instructions.
#[cold]
#[inline(never)]
fn find_run(slots: usize, align: usize, open: impl FnOnce(&Pool)) -> Option<Taken> {
    let found = ARENAS.lock().take_resident(slots, align, open);
    let heap = local::own();
    if found.is_none() && !heap.is_nobody() {
        let _inside = heap.enter();
        heap.give_up_spans_over(0);
    }
    found
}

/// Slots became resident for a span.
fn grew(taken: &Taken) {
    ledger::refaulted(taken.refaulted);
    surplus::grew(Taker::Span, taken.grown * SLOT_SIZE);
    limit::grew(taken.grown * SLOT_SIZE);
}

/// Gives kept spans up for `slots` that became resident: they are of other lengths than are wanted now.
fn make_up_for(slots: usize) {
    let heap = local::own();
    if slots > 0 && !heap.is_nobody() {
        let _inside = heap.enter();
        heap.give_up_spans(slots);
    }
}

fn take_kept(length: SpanLength, align: usize, size: usize) -> Option<(NonNull<u8>, bool)> {
    let wanted = Wanted { length, longer_too: config::retention().classes_share(), align };
    let heap = local::held()?;
    let _inside = heap.enter();
    let span = heap.spans.take(&wanted)?;
    heap.spans.count(1, size as isize);
    span.resize_span(span.span_slots(), size);
    watch::count_large(1, size as isize);
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
    let found = span.requested();
    invariant!(found.is_some(), "a span that is freed is one in use");
    let requested = found.unwrap_or(0) as isize;
    // Who outgrew it wants a longer one next, of which its slots can be part.
    let given = match config::retention().keeps_spans() && !span.is_outgrown() {
        true => keep(span, requested),
        false => {
            ledger::add_large(-1, -requested);
            give_each(iter::once(span), Age::Any).slots
        }
    };
    watch::count_large(-1, -requested);
    if given > 0 {
        surplus::large_freed(given * SLOT_SIZE);
    }
    sweeper::nudge();
}

/// Keeps a span that nobody uses, for who allocated it. Slots of others that were given back for it.
fn keep(span: &'static Pool, requested: isize) -> usize {
    span.give_span_up();
    let heap = local::own();
    let owner = ThreadHeap::of_owner(span.owner()).filter(|owner| !ptr::eq(*owner, heap));
    if heap.is_nobody() {
        ledger::add_large(-1, -requested);
        return match owner.is_some_and(|owner| post(owner, span)) {
            true => 0,
            false => give_each(iter::once(span), Age::Any).slots,
        };
    }
    let _inside = heap.enter();
    heap.spans.count(-1, -requested);
    if owner.is_some_and(|owner| post(owner, span)) {
        return 0;
    }
    span.set_span_owner(heap.as_owner());
    let kept = heap.spans.kept.put(span);
    if kept > heap.spans.kept_max.get() { give_back_over(heap) } else { 0 }
}

/// Sends a span that nobody uses to the heap that it was allocated by, unless its thread has ended or too many wait there.
fn post(owner: &'static ThreadHeap, span: &'static Pool) -> bool {
    let posted = !owner.tenure.is_vacant()
        && (owner.spans.post(span, owner.spans.posted_max.get())
            || owner.spans.post(span, posted_max_now(owner)));
    if posted {
        vacancy::sent(owner);
    }
    posted
}

/// How many may wait for a heap is looked at again when there seem to be too many.
#[cold]
#[inline(never)]
fn posted_max_now(owner: &ThreadHeap) -> usize {
    let [_, posted_max] = kept_max();
    owner.spans.posted_max.set(posted_max);
    posted_max
}

/// Slots of spans that the policy of now lets a heap keep, and has wait for it.
fn kept_max() -> [usize; 2] {
    config::retention().spans_kept_slots(ledger::LIVE_BYTES.now(), registry::held())
}

/// If a heap keeps more than it may, gives spans back until it has three quarters. Slots given back. For the owner.
#[cold]
#[inline(never)]
fn give_back_over(heap: &ThreadHeap) -> usize {
    let (spans, [own_max, _]) = (&heap.spans, kept_max());
    spans.kept_max.set(own_max);
    if spans.kept.slots() <= own_max {
        return 0;
    }
    let left = own_max - own_max / 4;
    give_each(iter::from_fn(|| spans.kept.take_over(left)), Age::Any).slots
}

/// What [`give_each`] gave.
#[derive(Default)]
struct Given {
    spans: usize,
    slots: usize,
    /// Bytes of arenas unmapped for it.
    bytes: usize,
}

/// Gives the slots of each of `spans` back to its arena; those of an old one count as old. The spans are nobody's, and on no
/// list. What is between its list and its arena when another thread forks is lost to the child.
fn give_each(mut spans: impl Iterator<Item = &'static Pool>, age: Age) -> Given {
    let mut given = Given::default();
    let empty_kept = config::retention().arenas_empty_kept();
    let give = if age == Age::Old { ArenaSet::give_old } else { ArenaSet::give };
    // A thread that ends, or a sweep, mostly finds none.
    let Some(first) = spans.next() else { return given };
    let mut arenas = ARENAS.lock();
    for span in iter::once(first).chain(spans) {
        let (start, slots) = (span.start(), span.span_slots());
        surplus::gave_up(Taker::Span, slots * SLOT_SIZE);
        given.spans += 1;
        given.slots += slots;
        span.close();
        // SAFETY: the slots were taken for the span, which was kept, or just freed: nobody uses it.
        let vacated = unsafe { give(&mut arenas, start, slots, empty_kept) };
        if vacated.is_some() || given.spans.is_multiple_of(SPANS_AT_ONCE) {
            drop(arenas);
            given.bytes += vacated.map_or(0, Vacated::unmap);
            arenas = ARENAS.lock();
        }
    }
    given
}

/// Makes a span hold `size` bytes without moving it. False if it cannot: nothing has changed then.
///
/// # Safety
///
/// `start` is a span of [`alloc`]'s, the caller's, and `size` is one that a span can have.
pub unsafe fn resize(start: NonNull<u8>, size: usize) -> bool {
    let span = record(start);
    let (from, to) = (span.span_slots(), length_for(size).slots());
    let before = span.requested().unwrap_or(0);
    // A span that may serve no other class keeps its tail, and one that grows what room it has.
    let shares = config::retention().classes_share();
    let shrinks = size < before && shares;
    let to = if shrinks { to } else { to.max(from) };
    let grows = size as isize - before as isize;
    if to == from {
        span.resize_span(to, size);
        publish(grows);
        return true;
    }
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
    drop(arenas);
    publish(grows);
    longer.flatten().iter().for_each(grew);
    true
}

/// The calling thread has so many bytes more in spans, or fewer.
fn publish(bytes: isize) {
    match local::own() {
        heap if heap.is_nobody() => ledger::add_large(0, bytes),
        heap => {
            let _inside = heap.enter();
            heap.spans.count(0, bytes);
        }
    }
    watch::count_large(0, bytes);
}

fn of_age(kept: &KeptSpans, age: Age) -> Option<&'static Pool> {
    if age == Age::Any { kept.take_over(0) } else { kept.take_seen() }
}

impl ThreadHeap {
    /// Lets some of the spans of this age go that the heap keeps. What it did, and whether that was all of them. For who has
    /// the heap.
    pub fn give_back_some_spans(&self, age: Age) -> (Swept, bool) {
        let mut left = SPANS_A_STEP;
        let next = || {
            left = left.checked_sub(1)?;
            of_age(&self.spans.kept, age)
        };
        self.spans.take_some_in();
        let given = give_each(iter::from_fn(next), age);
        let is_all = given.spans < SPANS_A_STEP && !self.spans.has_mail();
        (Swept { bytes: given.bytes, young: is_all && self.spans.kept.see() }, is_all)
    }

    /// Gives kept spans of at least `slots` slots up, which serve others then, but for a few; none where classes do not share.
    /// For who has the heap.
    pub fn give_up_spans(&self, slots: usize) {
        let kept = self.spans.kept.slots();
        if kept > SPANS_KEPT_ANYWAY && config::retention().classes_share() {
            self.give_up_spans_over(kept.saturating_sub(slots).max(SPANS_KEPT_ANYWAY));
        }
    }

    /// Gives kept spans up until no more than `slots` slots are kept. Bytes that went to the system. For who has the heap.
    fn give_up_spans_over(&self, slots: usize) -> usize {
        give_each(iter::from_fn(|| self.spans.kept.take_over(slots)), Age::Any).bytes
    }

    /// Lets all spans of the heap go: its thread ends, and the next one may want others. For who has the heap.
    pub fn give_back_spans(&self) -> usize {
        self.spans.take_in();
        self.give_up_spans_over(0)
    }
}

/// Spans and their requested bytes that heaps' threads have more than the ledger knows.
pub fn unpublished() -> (isize, isize) {
    let mut sum = (0, 0);
    registry::REGISTRY.lock().for_each(|heap| {
        let (blocks, bytes) = heap.spans.unpublished();
        sum = (sum.0 + blocks, sum.1 + bytes);
    });
    sum
}

fn record(start: NonNull<u8>) -> &'static Pool {
    // SAFETY: the callers' contract: the span is taken, so its arena is mapped.
    unsafe { Pool::at(start.addr().get()).as_ref() }
}
