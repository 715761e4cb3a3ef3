//! Around a fork: every lock is free in the child, and the heaps of threads that are not there can
//! be adopted.
//!
//! The system copies memory while other threads go on writing, one OS page after the other: in the
//! child, two words of a heap whose thread was running may be of different moments. What stands
//! under a lock is sound, because the forking thread holds every lock. The lists of other threads'
//! heaps are not: in the child, all blocks of their pools count as used. So a free block of another
//! thread's pool is lost to the child (it costs nothing until it is written to), and a used one can
//! be freed there as ever; and so with their spans. The forking thread's own heap goes on as it was, but for remote frees
//! that were on their way to it.

use super::registry::{REGISTRY, Registry};
use super::thread_heap::ThreadHeap;
use super::{large, ledger, limit, local, sweep, sweeper};
use crate::base::class::SizeClass;
use crate::base::geometry::{ARENA_SIZE, SLOT_SIZE};
use crate::mem::arena_set::{ARENAS, ArenaSet};
use crate::mem::pool::{Pool, State};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sys;

static STARTED: AtomicBool = AtomicBool::new(false);
/// The forking thread holds every lock. Said under all of them.
static HELD: AtomicBool = AtomicBool::new(false);

/// Asks for the hooks, if nobody has. Outside every lock: the C library may allocate for them. If it
/// has no memory, the next thread that gets a heap asks again.
pub fn start_once() {
    if !STARTED.load(Relaxed) && !STARTED.swap(true, Relaxed) {
        sys::ask_for_threads();
        STARTED.store(sys::at_fork(prepare, parent, child), Relaxed);
    }
}

/// Nothing where there is no other thread: then everything stands in the child as it does here, nobody has a lock, and each OS page that
/// is not written to need not be copied.
extern "C" fn prepare() {
    if sys::is_only_thread() {
        return;
    }
    sys::lock_streams_for_fork();
    limit::lock_for_fork();
    sweep::lock_for_fork();
    let heap = local::own();
    if !heap.is_nobody() {
        let _inside = heap.enter();
        heap.send_guests();
        heap.outbox.send_all();
        heap.collect_inbox();
        heap.spans.take_in();
    }
    // In the order of their ranks.
    let registry = REGISTRY.lock();
    // What nobody holds is believed in the child, so nobody may be at work on it. From now on nobody
    // begins to be: sweeps are locked out, and others claim a vacant heap under this lock.
    registry.for_each(|heap| {
        if heap.tenure.is_vacant() {
            heap.wait_while_claimed();
        }
    });
    core::mem::forget(registry);
    core::mem::forget(ARENAS.lock());
    large::lock_for_fork();
    sys::lock_left_for_fork();
    HELD.store(true, Relaxed);
}

extern "C" fn parent() {
    if !HELD.load(Relaxed) {
        return;
    }
    unlock_all();
    // SAFETY: `prepare` locked them on this thread.
    unsafe { sys::unlock_streams_after_fork() };
}

fn unlock_all() {
    HELD.store(false, Relaxed);
    // SAFETY: `prepare` locked them all on this thread, or its copy in the parent did.
    unsafe {
        sys::unlock_left_after_fork();
        large::unlock_after_fork();
        ARENAS.force_unlock();
        REGISTRY.force_unlock();
        sweep::unlock_after_fork();
        limit::unlock_after_fork();
    }
}

extern "C" fn child() {
    // Not whether there was another thread: of a child the C library says at once that it has one.
    if !HELD.load(Relaxed) {
        return;
    }
    unlock_all();
    sys::forget_streams_in_child();
    sweeper::forget();
    let own = local::own();
    let mut registry = REGISTRY.lock();
    if registry.count() > usize::from(!own.is_nobody()) {
        forget_others(&mut registry, own);
    }
    // In any case: a thread that maps large blocks needs no heap for it.
    recount_mapped(&ARENAS.lock(), registry.store_bytes());
}

/// Makes every heap that another thread held fit to be adopted, and counts anew.
fn forget_others(registry: &mut Registry, own: &'static ThreadHeap) {
    distrust(&ARENAS.lock(), own);
    distrust_spans(&ARENAS.lock(), registry, own);
    registry.for_each(ThreadHeap::forget_inbox);
    let orphan = |registry: &Registry| {
        let mut found = None;
        registry.for_each(|heap| {
            if !core::ptr::eq(heap, own) && !heap.tenure.is_vacant() {
                found = Some(heap);
            }
        });
        found
    };
    while let Some(heap) = orphan(registry) {
        heap.forget();
        registry.vacate(heap);
    }
    recount(&ARENAS.lock(), own);
}

/// Puts every pool right whose words may be of different moments.
fn distrust(arenas: &ArenaSet, own: &'static ThreadHeap) {
    for_each_pool(arenas, |pool| {
        let Some(owner) = ThreadHeap::of_owner(pool.owner()) else {
            return;
        };
        if core::ptr::eq(owner, own) || owner.tenure.is_vacant() {
            pool.forget_remote();
        } else {
            pool.declare_full();
        }
    });
}

/// Has every span count as used of which it is not certain that it is kept: it was on another heap's list or on its way there,
/// or is in use, and its record of a moment before that.
fn distrust_spans(arenas: &ArenaSet, registry: &Registry, own: &'static ThreadHeap) {
    let doubtful = |span: &Pool| span.state() == State::Span && span.requested().is_none();
    let for_each = |each: fn(&Pool)| {
        arenas.for_each(|arena| {
            arena.for_each_record(|_, record| {
                if doubtful(record) {
                    each(record);
                }
            })
        });
    };
    for_each(Pool::forget_seen);
    registry.for_each(|heap| {
        if core::ptr::eq(heap, own) || heap.tenure.is_vacant() {
            heap.spans.kept.for_each(Pool::mark_seen);
        }
    });
    for_each(|span| {
        if !span.is_seen() {
            span.resize_span(span.span_slots(), span.span_slots() * SLOT_SIZE);
        }
    });
}

/// Counts anew what is live: what other threads had not published is not to be had.
fn recount(arenas: &ArenaSet, own: &'static ThreadHeap) {
    let mut counts = [(0usize, 0usize, 0usize); SizeClass::COUNT];
    if !own.is_nobody() {
        // Not `settle_all`: the locks are held, and `prepare` emptied outbox and inbox.
        SizeClass::all().for_each(|class| own.settle(class));
    }
    let (mut span_bytes, mut large_blocks) = (0, 0);
    arenas.for_each(|arena| {
        arena.for_each_record(|_, record| {
            if record.state() == State::Span {
                span_bytes += record.requested().unwrap_or(0);
                large_blocks += usize::from(record.requested().is_some());
            }
        });
    });
    for_each_pool(arenas, |pool| {
        let (live, carved, pools) = &mut counts[pool.class().index()];
        *live += own.used_in(pool);
        *carved += pool.carved() - pool.absent();
        *pools += 1;
    });
    for class in SizeClass::all() {
        let (live, carved, pools) = counts[class.index()];
        ledger::recount(class, live, carved, pools);
    }
    own.spans.forget_unpublished();
    let large = large::totals();
    ledger::recount_large(large_blocks + large.live_blocks, span_bytes + large.live_requested);
}

/// Counts anew what is mapped. What another thread was mapping or unmapping at that moment, outside
/// the locks, no structure of the child knows: it is not counted.
fn recount_mapped(arenas: &ArenaSet, store_bytes: usize) {
    let large = large::totals();
    let records = store_bytes + arenas.store_bytes() + large.records;
    let (arenas, _, _) = arenas.counts();
    let blocks = arenas * ARENA_SIZE + large.live_mapped + large.kept;
    sys::recount_mapped(records + blocks + sys::left_bytes());
}

fn for_each_pool(arenas: &ArenaSet, mut each: impl FnMut(&Pool)) {
    arenas.for_each(|arena| arena.for_each_pool(&mut each));
}
