//! A sweep: one visit to every heap and every arena, giving back what is old.
//!
//! First, heap by heap, the spans it keeps go, frees that are held back or wait are moved on, and current pools are let go
//! (`visit.rs`); then arena by arena, pools are hollowed or let go and free slots are purged; then large
//! blocks. What was seen at the last sweep, and has
//! not changed since, is old. It goes in steps, so that nobody waits long: neither the owner of a heap, which is
//! claimed for one step, nor who takes the step on a slow path.
//!
//! There is one place that has been come to, whoever goes on from there: who sweeps what is old, or a slow
//! path at a soft limit, for which everything is old enough.

use core::mem;
use core::ptr::{self, NonNull};

use super::registry::REGISTRY;
use super::thread_heap::ThreadHeap;
use super::visit::Visit;
use super::{config, large_return, ledger, local, vacancy};
use crate::base::geometry::{
    ARENA_SIZE, BLOCKS_A_PAGE, CLAIM_PAGES, CLAIM_STEP_PAGES, POOLS_PER_ARENA, STEP_PAGES,
    STEP_REST_US,
};
use crate::mem::arena::Arena;
use crate::mem::arena_set::ARENAS;
use crate::mem::pool::{Pool, State};
use crate::policy::retention::Retention;
use crate::sync::lock::{Mutex, RawLock};
use crate::sys;
use crate::sys::purge::Batch;

/// Held for a step of a sweep, or for all of one that leaves nothing out. Rank 0: taken with no lock held and
/// outside slow paths.
static SWEEPING: Mutex<Sweep> =
    Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, Sweep::none());

/// What is old enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
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

/// Whose a heap is for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// The caller's own, or one that no thread has.
    Whole,
    /// Another thread's, claimed: its fast path goes on.
    Claimed,
}

impl Swept {
    /// Adds what else was done.
    pub fn add(&mut self, other: Swept) {
        self.bytes += other.bytes;
        self.young |= other.young;
    }
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// What it gave back.
    pub swept: Swept,
    /// In OS pages that could be given back meanwhile.
    pub work: usize,
    /// The sweep is over.
    pub last: bool,
}

/// Where a sweep has come to.
struct Sweep {
    /// The heap that is next, and where in it.
    heap: Option<(&'static ThreadHeap, Visit)>,
    /// The arena that is visited, and what is left of its pools.
    arena: Option<NonNull<Arena>>,
    pools: Pools,
}

// SAFETY: the arena stays mapped as long as it is visited.
unsafe impl Send for Sweep {}

/// Gives back everything that the rung lets go, once no other thread sweeps.
pub fn sweep_all() -> Swept {
    let mut sweep = SWEEPING.lock();
    let mut swept = Swept::default();
    sweep.begin();
    loop {
        let step = sweep.step(Age::Any);
        swept.add(step.swept);
        if step.last {
            return swept;
        }
    }
}

/// Gives back what is old, a step at a time: a fork, or another sweep, can come between.
pub fn sweep_old() -> Swept {
    begin();
    let mut swept = Swept::default();
    loop {
        let step = SWEEPING.lock().steps(Age::Old, 0, CLAIM_STEP_PAGES);
        swept.add(step.swept);
        if step.last {
            return swept;
        }
        // An owner that waits for its heap comes first. And who has just slept is seldom interrupted, and so
        // not while an owner waits.
        sys::sleep_us(STEP_REST_US);
    }
}

/// Begins [`sweep_old`] anew.
pub fn begin() {
    SWEEPING.lock().begin();
}

/// A further part of [`sweep_old`], short enough for a slow path.
pub fn step_old() -> Step {
    SWEEPING.lock().steps(Age::Old, 0, STEP_PAGES)
}

/// A step of giving large blocks back that are to go at once.
pub fn step_owed() {
    // What is on its way to the system is in nobody's account.
    let _sweeping = SWEEPING.lock();
    large_return::give_back_owed();
}

/// Goes on where the last step stopped, or begins `anew`, whatever is old or not, until `enough` bytes are given back or `work`
/// OS pages were given back or looked through; `None` if another thread sweeps.
pub fn step_any(anew: bool, enough: usize, work: usize) -> Option<Step> {
    let mut sweep = SWEEPING.try_lock()?;
    if anew {
        sweep.begin();
    }
    Some(sweep.steps(Age::Any, enough, work))
}

impl Sweep {
    const fn none() -> Self {
        Self { heap: None, arena: None, pools: Pools::none() }
    }

    fn begin(&mut self) {
        let mut arenas = ARENAS.lock();
        if let Some(arena) = self.arena.take() {
            arenas.leave(arena);
        }
        arenas.begin_visit();
        drop(arenas);
        self.pools = Pools::none();
        self.heap = REGISTRY.lock().first().map(|first| (first, Visit::begin()));
    }

    /// Steps until `enough` bytes were given back, if that is not 0, or about `work` OS pages were worked
    /// on, or the sweep is over: then the next one is begun.
    fn steps(&mut self, age: Age, enough: usize, work: usize) -> Step {
        let mut all = Step::default();
        loop {
            let step = self.step(age);
            all.swept.add(step.swept);
            all.work += step.work;
            all.last = step.last;
            if all.last {
                self.begin();
            }
            if all.last || all.work >= work || (enough > 0 && all.swept.bytes >= enough) {
                return all;
            }
        }
    }

    /// The shortest part of a sweep.
    fn step(&mut self, age: Age) -> Step {
        if let Some((heap, visit)) = &mut self.heap {
            let step = with_heap(heap, |heap, hold| visit.step(heap, hold, age));
            if step.is_none() || visit.is_over {
                // Heaps are only ever added, in front of the first.
                // SAFETY: heaps are never freed.
                let next = NonNull::new(heap.next.get()).map(|next| unsafe { next.as_ref() });
                self.heap = next.map(|next| (next, Visit::begin()));
            }
            return step.unwrap_or_default();
        }
        let rung = config::retention();
        if let Some(arena) = self.arena {
            return match self.pools.next_owner() {
                Some(owner) => self.pools.visit_some(owner, rung, age),
                None => {
                    self.arena = None;
                    end_visit(arena, rung, age)
                }
            };
        }
        if let Some(arena) = next_arena() {
            if !stays_huge(arena, age) {
                self.pools = Pools::of(arena);
                self.arena = Some(arena);
            }
            return Step { work: 1, ..Step::default() };
        }
        let (mut swept, last) = match rung >= Retention::ReturnArenas {
            true => large_return::give_back_some_old(age == Age::Any),
            false => (Swept::default(), true),
        };
        if last {
            swept.bytes += sys::unmap_left();
        }
        Step { swept, work: STEP_PAGES, last }
    }
}

fn next_arena() -> Option<NonNull<Arena>> {
    ARENAS.lock().visit_next()
}

/// Whether an arena that is visited is left as it is, for the sake of its huge page: its visit is then over.
fn stays_huge(arena: NonNull<Arena>, age: Age) -> bool {
    let keeps = |live| age == Age::Old && Retention::keeps_huge(live, ARENA_SIZE);
    let mut arenas = ARENAS.lock();
    let stays = arenas.stays_huge(arena, keeps);
    if stays {
        arenas.leave(arena);
    }
    stays
}

/// As long as this lives, nobody sweeps.
pub fn pause() -> impl Drop {
    SWEEPING.lock()
}

/// Locks out sweeps, for a fork.
pub fn lock_for_fork() {
    mem::forget(SWEEPING.lock());
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

/// Calls `work` with a heap that is the caller's for so long: its own, or a claimed one. `None` if
/// it cannot be claimed.
fn with_heap<R>(
    heap: &'static ThreadHeap,
    work: impl FnOnce(&'static ThreadHeap, Hold) -> R,
) -> Option<R> {
    if ptr::eq(heap, local::own()) {
        let _inside = heap.enter();
        return Some(work(heap, Hold::Whole));
    }
    // Where the system has no barrier, what ended threads left can be had all the same.
    let whole = vacancy::claim_vacant(&heap).map(|claim| (claim, Hold::Whole));
    let (claim, hold) = whole.or_else(|| Some((heap.claim()?, Hold::Claimed)))?;
    let result = work(heap, hold);
    drop(claim);
    vacancy::left(heap);
    Some(result)
}

fn visit_pool(
    heap: &'static ThreadHeap,
    pool: &'static Pool,
    rung: Retention,
    age: Age,
    batch: &mut Batch,
) -> Step {
    let mut step = Step::default();
    let is_old = age == Age::Any || pool.is_seen();
    match pool.state() {
        State::Empty if is_old => {
            step.swept.bytes = heap.release_old_empty(pool);
            step.work = 1;
        }
        State::Partial if !rung.hollows() || pool.is_looked_at() => {}
        State::Partial if is_old => {
            heap.mark(pool, Pool::mark_looked_at);
            step.work = work_of(pool);
            // SAFETY: the heap is the caller's for now, and owns the pool.
            unsafe { hollow(pool, batch) };
        }
        State::Partial => {
            heap.mark(pool, Pool::mark_seen);
            step.swept.young = true;
        }
        State::Empty => {
            pool.mark_seen();
            step.swept.young = true;
        }
        _ => {}
    }
    step
}

/// The work of hollowing a pool.
pub fn work_of(pool: &Pool) -> usize {
    pool.class().pool_size() / sys::page_size() + pool.listed() / BLOCKS_A_PAGE + 1
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

fn end_visit(arena: NonNull<Arena>, rung: Retention, age: Age) -> Step {
    let at_once = age == Age::Any;
    let kept = if at_once && rung >= Retention::ReturnArenas { 0 } else { rung.arenas_old_kept() };
    // Where nothing waits, an arena whose last pool left during the visit would have left with it.
    let visited = ARENAS.lock().end_visit(arena, rung.waits(), at_once || !rung.waits(), kept);
    let unmapped = visited.vacated.map_or(0, |arena| arena.unmap());
    let bytes = visited.purged + unmapped;
    let swept = Swept { bytes, young: visited.young };
    Step { swept, work: bytes / sys::page_size(), last: false }
}

/// The pools of one arena that a sweep may do something about.
struct Pools {
    pools: [Option<&'static Pool>; POOLS_PER_ARENA],
    used: usize,
}

impl Pools {
    const fn none() -> Pools {
        Pools { pools: [None; POOLS_PER_ARENA], used: 0 }
    }

    fn of(arena: NonNull<Arena>) -> Pools {
        let mut found = Pools::none();
        let _arenas = ARENAS.lock();
        // SAFETY: a visited arena's record is alive, and read under the set's lock.
        unsafe { arena.as_ref() }.for_each_pool(|record| {
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

    /// Visits some of `owner`'s pools, which are then no longer among these: all, if it cannot be claimed.
    fn visit_some(&mut self, owner: &'static ThreadHeap, rung: Retention, age: Age) -> Step {
        let done = with_heap(owner, |heap, _| {
            let mut step = Step { work: CLAIM_PAGES, ..Step::default() };
            let mut batch = Batch::new();
            self.of_owner(owner, |pool| {
                let visited = visit_pool(heap, pool, rung, age, &mut batch);
                step.swept.add(visited.swept);
                step.work += visited.work;
                step.work < CLAIM_STEP_PAGES
            });
            // Before the heap is its owner's again, who may carve what is to be purged.
            step.swept.bytes += batch.purge();
            step
        });
        done.unwrap_or_else(|| {
            self.of_owner(owner, |_| true);
            Step { swept: Swept { bytes: 0, young: true }, ..Step::default() }
        })
    }

    /// Takes out pools that `owner` owns, and calls `each` with them for as long as it says so.
    fn of_owner(
        &mut self,
        owner: &'static ThreadHeap,
        mut each: impl FnMut(&'static Pool) -> bool,
    ) {
        for place in &mut self.pools[..self.used] {
            if let Some(pool) = *place
                && ptr::eq(pool.owner(), owner.as_owner())
            {
                *place = None;
                if !each(pool) {
                    return;
                }
            }
        }
    }
}
