//! Surplus goes back at once: after a large drop, and in exchange for growth.
//!
//! Slow paths say what became free or resident, a pool's worth at a time; every so often
//! (`SURPLUS_SLOTS`) as much goes back as `policy/surplus.rs` says: first free slots of the arenas,
//! which lie together and cost least, then kept large mappings, OS pages of this heap's sparse pools,
//! and its kept empty pools. Each step is short enough for a slow path (`STEP_PAGES`).
//!
//! Each class remembers how many OS pages it gave up, and in which *epoch*. What it makes resident
//! again in the same epoch was given back in vain; what it wants in one of the next epochs served
//! somebody else meanwhile, but will be wanted in turns. The shares of those decide how reluctant the
//! process is from then on. An epoch ends when as much became resident as was given back.

use super::sweep::{hollow, work_of};
use super::thread_heap::ThreadHeap;
use super::{config, large, large_return, ledger, local};
use crate::base::class::SizeClass;
use crate::base::geometry::{
    RETURN_AFTER_MS, SLOT_SIZE, STEP_PAGES, SURPLUS_LEAST_PAGES, SURPLUS_SLOTS,
    SURPLUS_SLOTS_BEHIND,
};
use crate::mem::arena;
use crate::mem::arena_set::ARENAS;
use crate::mem::pool::{Pool, SPARSE};
use crate::policy::surplus::{self, EPOCHS_REMEMBERED, Epoch, Event, Past, Verdict};
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use crate::sys;
use crate::sys::purge::Batch;

/// What gives up and takes: a size class, spans, or direct mappings.
#[derive(Clone, Copy)]
pub enum Taker {
    Class(SizeClass),
    Span,
    Large,
}

/// OS pages that a taker gave up and has not taken again.
struct Credit {
    /// Given up when it last gave up anything.
    last: Given,
    /// Of the epochs before that, in the one that left most.
    before: Given,
}

/// OS pages given up in one epoch: its number above, the pages below. Of what other threads do at
/// the same moment some may be lost: it is a measure, no account.
struct Given(AtomicU64);

static CREDITS: [Credit; SizeClass::COUNT + 2] =
    [const { Credit { last: Given(AtomicU64::new(0)), before: Given(AtomicU64::new(0)) } };
        SizeClass::COUNT + 2];
static EPOCH: AtomicU32 = AtomicU32::new(1);
static GIVEN: AtomicUsize = AtomicUsize::new(0);
static GROWN: AtomicUsize = AtomicUsize::new(0);
static WANTED: AtomicUsize = AtomicUsize::new(0);
static AGAIN: AtomicUsize = AtomicUsize::new(0);
static RELUCTANCE: AtomicUsize = AtomicUsize::new(1);
/// OS pages of events for which nothing was given back yet.
static CARRIED: AtomicUsize = AtomicUsize::new(0);
/// OS pages of surplus that are still to go: by the sweeper, or the next slow path without one.
static OWED: AtomicUsize = AtomicUsize::new(0);
/// Bytes that spans and mappings freed since surplus was last given back for it.
static SHRUNK: AtomicUsize = AtomicUsize::new(0);

impl Credit {
    fn of(taker: Taker) -> &'static Credit {
        &CREDITS[match taker {
            Taker::Class(class) => class.index(),
            Taker::Span => SizeClass::COUNT,
            Taker::Large => SizeClass::COUNT + 1,
        }]
    }

    fn add(&self, pages: usize) {
        let (age, last) = self.last.get();
        if age == 0 {
            self.last.set(0, last + pages);
            return;
        }
        if last > self.before.get().1 {
            self.before.set(age, last);
        }
        self.last.set(0, pages);
    }

    /// Takes at most `pages`. Returns how many were given up in this epoch, and how many before.
    fn take(&self, pages: usize) -> (usize, usize) {
        let (age, last) = self.last.take(pages);
        let again = self.before.take(pages - last).1;
        if age == 0 { (last, again) } else { (0, last + again) }
    }
}

impl Given {
    /// How many epochs ago the pages were given up, and how many are left of them.
    fn get(&self) -> (u32, usize) {
        let word = self.0.load(Relaxed);
        let age = EPOCH.load(Relaxed).wrapping_sub((word >> 32) as u32);
        (age, if age <= EPOCHS_REMEMBERED { word as u32 as usize } else { 0 })
    }

    fn set(&self, age: u32, pages: usize) {
        let pages = pages.min(u32::MAX as usize) as u64;
        self.0.store(u64::from(EPOCH.load(Relaxed).wrapping_sub(age)) << 32 | pages, Relaxed);
    }

    /// Takes at most `pages`. Returns how old they are, and how many.
    fn take(&self, pages: usize) -> (u32, usize) {
        let (age, left) = self.get();
        let taken = left.min(pages);
        if taken > 0 {
            self.set(age, left - taken);
        }
        (age, taken)
    }
}

/// `taker` gave up `bytes` that were resident.
pub fn gave_up(taker: Taker, bytes: usize) {
    Credit::of(taker).add(pages_in(bytes));
}

/// `pages` OS pages were given back as surplus. What grew before the first of an epoch says nothing of it.
fn count_given(pages: usize) {
    if pages > 0 && GIVEN.fetch_add(pages, Relaxed) == 0 {
        forget_growth();
    }
}

fn forget_growth() {
    for count in [&GROWN, &WANTED, &AGAIN] {
        count.store(0, Relaxed);
    }
}

/// Adds `pages` to a count, which all threads share: only if it changes. Returns the sum.
fn add(count: &AtomicUsize, pages: usize) -> usize {
    if pages == 0 { count.load(Relaxed) } else { count.fetch_add(pages, Relaxed) + pages }
}

/// `taker` made `bytes` resident.
#[inline]
pub fn grew(taker: Taker, bytes: usize) {
    if bytes > 0 {
        grew_by(taker, pages_in(bytes));
    }
}

fn grew_by(taker: Taker, pages: usize) {
    let (wanted, again) = Credit::of(taker).take(pages);
    let epoch = Epoch {
        given: GIVEN.load(Relaxed),
        grown: add(&GROWN, pages),
        wanted: add(&WANTED, wanted),
        again: add(&AGAIN, again),
    };
    let verdict = surplus::judge(epoch, RELUCTANCE.load(Relaxed));
    if verdict == Verdict::Open
        // Another thread has judged the same epoch, or more was given back: the next one that grows sees to it.
        || GIVEN.compare_exchange(epoch.given, 0, Relaxed, Relaxed).is_err()
    {
        return;
    }
    if let Verdict::Over(reluctance) = verdict {
        RELUCTANCE.store(reluctance, Relaxed);
        EPOCH.fetch_add(1, Relaxed);
    }
    forget_growth();
}

/// Bytes that are free and may be resident.
pub fn free_bytes() -> usize {
    ledger::free_bytes() + arena::idle_slots() * SLOT_SIZE + large::idle_bytes()
}

/// Whether so little is free that it waits longer than the delay.
pub fn is_breath() -> bool {
    surplus::is_breath(free_bytes(), ledger::LIVE_BYTES.now())
}

/// Whether anything goes before its time: not under rungs that do not wait, and not where the
/// program asked for a longer delay than the default one.
fn is_on() -> bool {
    config::retention().waits() && config::return_after_ms() <= RETURN_AFTER_MS
}

/// A span or mapping of `bytes` was freed. Called outside slow paths' sections and locks.
pub fn large_freed(bytes: usize) {
    if SHRUNK.fetch_add(bytes, Relaxed) + bytes < SURPLUS_SLOTS * SLOT_SIZE || !is_on() {
        return;
    }
    let event = Event::Freed(pages_in(SHRUNK.swap(0, Relaxed)));
    on_own_heap(|heap| give_back(event, heap));
}

/// Calls `work` on a slow path with the calling thread's heap, if it has one.
fn on_own_heap<R>(work: impl FnOnce(Option<&'static ThreadHeap>) -> R) -> R {
    let heap = local::own();
    if heap.is_nobody() {
        return work(None);
    }
    let _inside = heap.enter();
    work(Some(heap))
}

/// How much surplus there is when a mapping is freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Surplus {
    /// None.
    None,
    /// Less than the mapping.
    Part,
    /// The whole mapping.
    Whole,
}

/// What there is of surplus once a mapping of `bytes` is freed.
pub fn with_freed_mapping(bytes: usize) -> Surplus {
    let pages = pages_in(bytes);
    let owed = if is_on() { owed(Event::Freed(pages), free_bytes() + bytes) } else { 0 };
    match owed {
        0 => Surplus::None,
        owed if owed < pages => Surplus::Part,
        _ => Surplus::Whole,
    }
}

/// A mapping of `bytes` goes because it is surplus.
pub fn gave_mapping(bytes: usize) {
    gave_up(Taker::Large, bytes);
    count_given(pages_in(bytes));
}

impl ThreadHeap {
    /// `slots` became resident for a pool of this heap.
    pub fn grew(&'static self, slots: usize) {
        let grown = self.grown.get() as usize + slots;
        self.grown.set(grown as u32);
        if grown >= SURPLUS_SLOTS {
            self.grown.set(0);
            self.give_up_spans(grown);
            if is_on() {
                give_back(Event::Grown(pages_in(grown * SLOT_SIZE)), Some(self));
            }
        }
    }

    /// A pool's worth of this heap's blocks of `class` became free.
    pub fn shrank(&'static self, class: SizeClass) {
        let shrunk = self.shrunk.get() as usize + class.pool_size() / SLOT_SIZE;
        self.shrunk.set(shrunk as u32);
        if shrunk >= SURPLUS_SLOTS {
            self.shrunk.set(0);
            if is_on() {
                give_back(Event::Freed(pages_in(shrunk * SLOT_SIZE)), Some(self));
            }
        }
    }

    /// Gives back about `wanted` OS pages of this heap's pools: of sparse ones, then of empty ones. Returns how many.
    fn give_back_own(&'static self, wanted: usize) -> usize {
        let given = if config::retention().hollows() { self.hollow_sparse(wanted) } else { 0 };
        count_given(given);
        if given >= wanted {
            return given;
        }
        self.release_some((wanted - given) * sys::page_size() / SLOT_SIZE);
        given + give_back_shared(wanted - given)
    }

    /// Purges about `wanted` OS pages of this heap's sparse pools. Returns how many.
    fn hollow_sparse(&'static self, wanted: usize) -> usize {
        let mut batch = Batch::new();
        let (mut found, mut work) = (0, 0);
        for class in SizeClass::all() {
            while let Some(pool) = self.bin(class).partial[SPARSE].first() {
                if found >= wanted || work >= STEP_PAGES {
                    batch.purge();
                    if found < wanted {
                        // More is to be looked through than a step may: the next one comes sooner.
                        self.shrunk.set((SURPLUS_SLOTS - SURPLUS_SLOTS_BEHIND) as u32);
                    }
                    return found;
                }
                work += work_of(pool);
                self.mark(pool, Pool::mark_looked_at);
                // SAFETY: this heap's, listed, and the batch is purged below.
                let pages = unsafe { hollow(pool, &mut batch) };
                gave_up(Taker::Class(class), pages * sys::page_size());
                found += pages;
            }
        }
        batch.purge();
        found
    }
}

/// OS pages in `bytes`: a shift, as their size is a power of two.
#[inline]
fn pages_in(bytes: usize) -> usize {
    let page_size = sys::page_size();
    (bytes + (page_size - 1)) >> page_size.trailing_zeros()
}

/// Gives back what no heap has: at most `wanted` OS pages. Returns how many.
fn give_back_shared(wanted: usize) -> usize {
    if wanted == 0 {
        return 0;
    }
    let mut given = ARENAS.lock().purge_idle(wanted);
    if given < wanted {
        given += large_return::purge_kept(wanted - given);
    }
    count_given(given);
    given
}

/// OS pages to give back for `event`, beside `free` bytes.
fn owed(event: Event, free: usize) -> usize {
    let live = ledger::LIVE_BYTES.now();
    let past = Past { has_begun: GIVEN.load(Relaxed) > 0, reluctance: RELUCTANCE.load(Relaxed) };
    surplus::owed(event, past, free, live, sys::page_size())
}

/// Gives back what `event` calls for, at most one step of it. `heap` is the caller's, which is on a
/// slow path.
#[cold]
fn give_back(event: Event, heap: Option<&'static ThreadHeap>) {
    let event = event.with(CARRIED.swap(0, Relaxed));
    let owed = owed(event, free_bytes());
    if owed < SURPLUS_LEAST_PAGES {
        // The reluctant make few steps, not small ones: each interrupts every running thread. Where
        // nothing is owed there is no surplus, and nothing to carry on.
        CARRIED.store(if owed > 0 { event.pages() } else { 0 }, Relaxed);
        return;
    }
    let step = owed.min(STEP_PAGES);
    let given = give_back_by(step, heap);
    // What did not fit into one step: of a large block, at once.
    let more = matches!(event, Event::Freed(_)) && given >= step;
    OWED.store(if more { owed - step } else { 0 }, Relaxed);
}

/// Gives back about `wanted` OS pages: of what no heap has, then of `heap`. Returns how many.
fn give_back_by(wanted: usize, heap: Option<&'static ThreadHeap>) -> usize {
    let given = give_back_shared(wanted);
    match heap {
        Some(heap) if given < wanted => given + heap.give_back_own(wanted - given),
        _ => given,
    }
}

/// Whether surplus is left that no step had room for.
pub fn owes() -> bool {
    OWED.load(Relaxed) > 0
}

/// A step of giving it back, if it is surplus still. Called outside slow paths' sections and locks.
pub fn give_back_owed() {
    let surplus = owed(Event::Freed(usize::MAX), free_bytes());
    let owed = OWED.swap(0, Relaxed).min(surplus);
    let step = owed.min(STEP_PAGES);
    if on_own_heap(|heap| give_back_by(step, heap)) >= step {
        OWED.store(owed - step, Relaxed);
    }
}
