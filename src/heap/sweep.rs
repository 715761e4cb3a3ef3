//! A sweep: one visit to every heap and every arena, giving back what is old.
//!
//! First every heap's remote frees and held-back frees are moved on; then arena by arena, pools are
//! hollowed or let go and free slots are purged. What was seen at the last sweep, and has not changed
//! since, is old. Heaps are claimed one at a time, for at most one arena's pools.

use core::ptr::{self, NonNull};

use super::registry::REGISTRY;
use super::thread_heap::ThreadHeap;
use super::{config, large, ledger, local, vacancy};
use crate::base::geometry::POOLS_PER_ARENA;
use crate::mem::arena::Arena;
use crate::mem::arena_set::ARENAS;
use crate::mem::pool::{Pool, State};
use crate::policy::retention::Retention;
use crate::sync::lock::{Mutex, RawLock};
use crate::sys;
use crate::sys::purge::Batch;

/// Held by whoever sweeps, or for a step of a sweep. Rank 0: taken with no lock held and outside slow paths.
static SWEEPING: Mutex<()> =
    Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, ());

/// What is old enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Age {
    /// What was seen at the last sweep and has not changed since.
    Old,
    /// Everything.
    Any,
}

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Bytes given back.
    pub bytes: usize,
    /// Something is left that may be old at the next sweep.
    pub young: bool,
}

impl Swept {
    fn add(&mut self, other: Swept) {
        self.bytes += other.bytes;
        self.young |= other.young;
    }
}

/// Gives back everything that the rung lets go, once no other thread sweeps.
pub fn sweep_all() -> Swept {
    let _sweeping = SWEEPING.lock();
    let rung = config::retention();
    let mut swept = Swept::default();
    for_each_heap(|heap| swept.bytes += move_frees_on(heap));
    ARENAS.lock().begin_visit();
    while let Some(arena) = next_arena() {
        swept.add(visit(arena, rung, Age::Any));
    }
    if rung >= Retention::ReturnArenas {
        swept.add(large::give_back_old(true));
    }
    swept.bytes += sys::unmap_left();
    swept
}

/// Gives back what is old, a heap and an arena at a time: a fork, or another sweep, can come between.
pub fn sweep_old() -> Swept {
    let mut swept = begin_old();
    loop {
        let step = step_old();
        swept.add(step.swept);
        if step.last {
            return swept;
        }
    }
}

/// The first part of [`sweep_old`]: frees move on.
pub fn begin_old() -> Swept {
    let mut swept = Swept::default();
    for_each_heap(|heap| {
        let _sweeping = SWEEPING.lock();
        swept.bytes += move_frees_on(heap);
    });
    let _sweeping = SWEEPING.lock();
    ARENAS.lock().begin_visit();
    swept
}

/// One step of a sweep.
pub struct Step {
    /// What it did.
    pub swept: Swept,
    /// The sweep is over.
    pub last: bool,
}

/// A further part of [`sweep_old`]: one arena, or, at last, the large blocks.
pub fn step_old() -> Step {
    let _sweeping = SWEEPING.lock();
    match next_arena() {
        Some(arena) => {
            let swept = visit(arena, config::retention(), Age::Old);
            Step { swept, last: false }
        }
        None => {
            let mut swept = large::give_back_old(false);
            swept.bytes += sys::unmap_left();
            Step { swept, last: true }
        }
    }
}

fn next_arena() -> Option<NonNull<Arena>> {
    ARENAS.lock().visit_next()
}

/// As long as this lives, nobody sweeps.
pub fn pause() -> impl Drop {
    SWEEPING.lock()
}

/// Locks out sweeps, for a fork.
pub fn lock_for_fork() {
    core::mem::forget(SWEEPING.lock());
}

/// Undoes [`lock_for_fork`].
///
/// # Safety
///
/// The calling thread locked it, or is its copy in a child.
pub unsafe fn unlock_after_fork() {
    // SAFETY: the caller's contract.
    unsafe { SWEEPING.force_unlock() };
}

/// Sends what a heap holds back, and has it take in what was sent to it. Returns bytes that went to
/// the system.
fn move_frees_on(heap: &'static ThreadHeap) -> usize {
    let mut bytes = 0;
    with_heap(heap, |heap| heap.outbox.send_all());
    while let Some(collected) = with_heap(heap, |heap| heap.collect_pools(false)) {
        bytes += collected.bytes;
        if !collected.more {
            break;
        }
    }
    bytes
}

fn for_each_heap(mut each: impl FnMut(&'static ThreadHeap)) {
    let mut heap = REGISTRY.lock().first();
    while let Some(found) = heap {
        each(found);
        // Heaps are only ever added, in front of the first.
        // SAFETY: heaps are never freed.
        heap = NonNull::new(found.next.get()).map(|next| unsafe { next.as_ref() });
    }
}

/// Calls `work` with a heap that is the caller's for so long: its own, or a claimed one. `None` if
/// it cannot be claimed.
fn with_heap<R>(
    heap: &'static ThreadHeap,
    work: impl FnOnce(&'static ThreadHeap) -> R,
) -> Option<R> {
    if ptr::eq(heap, local::own()) {
        let _inside = heap.enter();
        return Some(work(heap));
    }
    // Where the system has no barrier, what ended threads left can be had all the same.
    let claim = vacancy::claim_vacant(&heap).or_else(|| heap.claim())?;
    let result = work(heap);
    drop(claim);
    vacancy::left(heap);
    Some(result)
}

fn visit(arena: NonNull<Arena>, rung: Retention, age: Age) -> Swept {
    let mut swept = Swept::default();
    let mut pools = Pools::of(arena);
    while let Some(owner) = pools.next_owner() {
        let done = with_heap(owner, |heap| {
            let mut batch = Batch::new();
            pools.of_owner(owner, |pool| swept.add(visit_pool(heap, pool, rung, age, &mut batch)));
            // Before the heap is its owner's again, who may carve what is to be purged.
            swept.bytes += batch.purge();
        });
        if done.is_none() {
            pools.of_owner(owner, |_| {});
            swept.young = true;
        }
    }
    swept.add(end_visit(arena, rung, age));
    swept
}

fn visit_pool(
    heap: &'static ThreadHeap,
    pool: &'static Pool,
    rung: Retention,
    age: Age,
    batch: &mut Batch,
) -> Swept {
    let mut swept = Swept::default();
    let is_old = age == Age::Any || pool.is_seen();
    match pool.state() {
        State::Empty if is_old => swept.bytes = heap.release_old_empty(pool),
        State::Partial if !rung.hollows() || pool.is_looked_at() => {}
        State::Partial if is_old => {
            heap.mark(pool, Pool::mark_looked_at);
            // SAFETY: the heap is the caller's for now, and owns the pool.
            unsafe { hollow(pool, batch) };
        }
        State::Partial => {
            heap.mark(pool, Pool::mark_seen);
            swept.young = true;
        }
        State::Empty => {
            pool.mark_seen();
            swept.young = true;
        }
        _ => {}
    }
    swept
}

/// Gives back the OS pages of a pool in use that hold no used block. Returns how many.
///
/// # Safety
///
/// The caller owns the pool, which is not current, and purges the batch before that changes.
pub unsafe fn hollow(pool: &Pool, batch: &mut Batch) -> usize {
    let page_size = sys::page_size();
    // SAFETY: the caller's contract.
    let Some(hollowed) = (unsafe { pool.hollow(page_size) }) else { return 0 };
    ledger::carved(pool.class(), -(hollowed.blocks as isize));
    for page in (0..u32::BITS as usize).filter(|page| hollowed.pages & (1 << page) != 0) {
        // SAFETY: an OS page of the pool that holds no used block, and no listed one any more.
        unsafe { batch.add(pool.start().add(page * page_size), page_size) };
    }
    hollowed.pages.count_ones() as usize
}

fn end_visit(arena: NonNull<Arena>, rung: Retention, age: Age) -> Swept {
    let at_once = age == Age::Any;
    let kept = if at_once && rung >= Retention::ReturnArenas { 0 } else { rung.arenas_old_kept() };
    let visited = ARENAS.lock().end_visit(arena, rung.waits(), at_once, kept);
    let unmapped = visited.vacated.map_or(0, |arena| arena.unmap());
    Swept { bytes: visited.purged + unmapped, young: visited.young }
}

/// The pools of one arena that a sweep may do something about.
struct Pools {
    pools: [Option<&'static Pool>; POOLS_PER_ARENA],
    used: usize,
}

impl Pools {
    fn of(arena: NonNull<Arena>) -> Pools {
        let mut found = Pools { pools: [None; POOLS_PER_ARENA], used: 0 };
        let _arenas = ARENAS.lock();
        // SAFETY: a visited arena's record is alive, and read under the set's lock.
        unsafe { arena.as_ref() }.for_each_record(|_, record| {
            if matches!(record.state(), State::Partial | State::Empty) {
                // SAFETY: the arena stays mapped as long as it is visited.
                found.pools[found.used] = Some(unsafe { &*ptr::from_ref(record) });
                found.used += 1;
            }
        });
        found
    }

    /// The owner of the first pool that is left.
    fn next_owner(&self) -> Option<&'static ThreadHeap> {
        let left = self.pools[..self.used].iter().flatten();
        left.filter_map(|pool| ThreadHeap::of_owner(pool.owner())).next()
    }

    /// Takes out the pools that `owner` owns, and calls `each` with them.
    fn of_owner(&mut self, owner: &'static ThreadHeap, mut each: impl FnMut(&'static Pool)) {
        for place in &mut self.pools[..self.used] {
            if let Some(pool) = *place
                && ptr::eq(pool.owner(), owner.as_owner())
            {
                *place = None;
                each(pool);
            }
        }
    }
}
