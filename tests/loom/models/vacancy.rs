//! Abandon, adopt and the last remote free: whatever comes first, a pool without used blocks does not
//! stay with a heap that no thread has.

extern crate std;

use core::iter::empty;
use core::ptr::NonNull;
use std::sync::Arc;
use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::thread;
use parking_lot::lock_api::RawMutex;

use super::Preemptions::AtMost;
use super::{finds, holds};
use crate::heap::inbox::{Inbox, Queued};
use crate::heap::tenancy::{Claim, Tenancy};
use crate::heap::vacancy::{self, Tenure, Vacatable};
use crate::mem::remote_word::{Listed, RemoteWord};
use crate::sync::lock::RawLock;
use crate::sync::planted::planted;
use crate::sync::word::{WordPtr, WordSize};
use crate::sys::{self, Barrier};

/// A pool, with as many blocks as are used at the beginning.
struct Pool {
    remote: RemoteWord,
    queue_next: WordPtr<Pool>,
    used: WordSize,
}

impl Queued for Pool {
    fn link(&self) -> &WordPtr<Pool> {
        &self.queue_next
    }
}

/// What its pools would bear.
const PASS: usize = 64;

struct Heap {
    registry: RawLock,
    tenure: Tenure,
    tenancy: Tenancy,
    inbox: Inbox<Pool>,
    pool: Pool,
    /// The owner's or claimer's alone: how often the pool was let go.
    let_go: UnsafeCell<usize>,
}

// SAFETY: `let_go` is used by who is inside or has claimed; loom checks that it is.
unsafe impl Sync for Heap {}
// SAFETY: as above.
unsafe impl Send for Heap {}

struct Locked<'a>(&'a RawLock);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: locked when this was made.
        unsafe { self.0.unlock() };
    }
}

impl<'a> Vacatable for &'a Heap {
    type Claim = Claim<'a>;

    fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    fn has_mail(&self) -> bool {
        if planted("left_pending") { self.inbox.has_mail() } else { self.inbox.has_any() }
    }

    fn lock_registry(&self) -> impl Drop {
        self.registry.lock();
        Locked(&self.registry)
    }

    fn begin_claim(&self) -> Option<Claim<'a>> {
        self.tenancy.begin_claim()
    }

    fn take_in(&self) {
        self.inbox.refill();
        let collect = |pool: NonNull<Pool>| {
            // SAFETY: the pool lives as long as the heap.
            let count = unsafe { pool.as_ref() }.remote.collect().map_or(0, |listed| listed.count);
            self.freed(count);
        };
        // SAFETY: as above, and the heap is the caller's.
        while unsafe { self.inbox.take_next(collect) }.is_some() {
            self.inbox.refill();
        }
    }
}

impl Heap {
    fn new(used: usize) -> Arc<Heap> {
        // The owner's fence of the compiler's is nothing here.
        sys::model_barrier(Barrier::Interrupts);
        let none = core::ptr::null_mut;
        let pool = Pool {
            remote: RemoteWord::new(),
            queue_next: WordPtr::new(none()),
            used: WordSize::new(0),
        };
        let heap = Heap {
            registry: RawLock::INIT,
            tenure: Tenure::new(),
            tenancy: Tenancy::zero(),
            inbox: Inbox::new(),
            pool,
            let_go: UnsafeCell::new(0),
        };
        // Every atomic is made before threads share it.
        drop((&heap).lock_registry());
        heap.tenure.set_held();
        heap.tenancy.reset(PASS);
        heap.inbox.forget();
        heap.pool.remote.forget();
        heap.pool.queue_next.set(none());
        heap.pool.used.set(used);
        Arc::new(heap)
    }

    /// Blocks came back to the pool; without a used one it goes. For the owner or claimer.
    fn freed(&self, count: usize) {
        let used = self.pool.used.get();
        assert!(count <= used, "no more comes back than was used");
        self.pool.used.set(used - count);
        if count > 0 && used == count {
            // SAFETY: inside or claimed; loom checks that nobody else is.
            self.let_go.with_mut(|let_go| unsafe { *let_go += 1 });
        }
    }

    fn free_own(&self, count: usize) {
        let _inside = self.tenancy.enter();
        self.freed(count);
    }

    /// The thread's end.
    fn give_up(&self) {
        {
            let _inside = self.tenancy.enter();
            let heap = self;
            heap.take_in();
        }
        {
            let heap = self;
            let _registry = heap.lock_registry();
            self.tenure.set_vacant();
        }
        vacancy::left(self);
    }

    /// A thread's beginning. False if the heap is not vacant.
    fn adopt(&self) -> bool {
        let heap = self;
        let _registry = heap.lock_registry();
        let is_vacant = self.tenure.is_vacant();
        if is_vacant {
            self.tenure.set_held();
        }
        is_vacant
    }

    /// Another thread frees the pool's `block`.
    fn free_remote(&self, block: usize) {
        let batch = Listed { offset: block * 16, count: 1, others: 0 };
        let posted = self.pool.remote.post(batch, || self.pool.used.get(), |_| ());
        if posted.queue {
            self.inbox.put(&self.pool);
        }
        if posted.drained {
            vacancy::tend(self);
        } else if posted.queue && !planted("tended_when_drained_only") {
            vacancy::sent(self);
        }
    }

    /// Somebody who sweeps takes in what there is, if he gets the heap.
    fn sweep(&self) {
        let heap = self;
        let Some(claim) = self.tenancy.claim(empty()) else { return };
        heap.take_in();
        drop(claim);
        vacancy::left(self);
    }

    /// As [`Heap::sweep`], by who takes out what there is and then has done enough.
    fn begin_sweep(&self) {
        let Some(claim) = self.tenancy.claim(empty()) else { return };
        self.inbox.refill();
        drop(claim);
        vacancy::left(self);
    }

    /// All threads are gone: so must the pool be.
    fn assert_gone(&self) {
        let waits = self.pool.remote.waiting();
        self.let_go.with(|let_go| {
            // SAFETY: the other threads are gone.
            let let_go = unsafe { *let_go };
            assert_eq!((let_go, waits), (1, 0), "the pool is let go, once");
        });
    }
}

fn spawn(heap: &Arc<Heap>, work: impl FnOnce(&Heap) + 'static) -> thread::JoinHandle<()> {
    let heap = Arc::clone(heap);
    thread::spawn(move || work(&heap))
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// The owner frees `own` blocks and ends, while `senders` threads free one each.
fn end_while_others_free(own: usize, senders: usize) -> impl Fn() + Send + Sync + 'static {
    move || {
        let heap = Heap::new(own + senders);
        let senders = (0..senders).map(|block| spawn(&heap, move |heap| heap.free_remote(block)));
        let senders = senders.collect();
        heap.free_own(own);
        heap.give_up();
        join(senders);
        heap.assert_gone();
    }
}

/// A heap is vacant; one thread adopts it and ends while another frees its last block.
fn adoption_while_another_frees() {
    let heap = Heap::new(1);
    heap.give_up();
    let sender = spawn(&heap, |heap| heap.free_remote(0));
    if heap.adopt() {
        heap.give_up();
    }
    join(std::vec![sender]);
    heap.assert_gone();
}

/// A heap is vacant; two threads free its last blocks.
fn two_free_the_last_blocks() {
    let heap = Heap::new(2);
    heap.give_up();
    let senders = (0..2).map(|block| spawn(&heap, move |heap| heap.free_remote(block)));
    join(senders.collect());
    heap.assert_gone();
}

/// A heap is vacant; one thread sweeps it while another frees its last block.
fn sweep_while_another_frees(sweep: fn(&Heap)) -> impl Fn() + Send + Sync + 'static {
    move || {
        let heap = Heap::new(1);
        heap.give_up();
        // The owner that would be interrupted is gone.
        sys::model_barrier(Barrier::Fences);
        let sender = spawn(&heap, |heap| heap.free_remote(0));
        sweep(&heap);
        join(std::vec![sender]);
        heap.assert_gone();
    }
}

#[test]
fn a_thread_ends_while_another_frees_its_last_block() {
    holds(AtMost(3), end_while_others_free(0, 1));
}

#[test]
fn a_thread_frees_a_block_and_ends_while_another_frees_the_last() {
    holds(AtMost(2), end_while_others_free(1, 1));
}

#[test]
#[ignore = "takes a minute"]
fn a_thread_ends_while_two_others_free_its_last_blocks() {
    holds(AtMost(2), end_while_others_free(0, 2));
}

#[test]
fn a_heap_is_adopted_while_its_last_block_is_freed() {
    holds(AtMost(2), adoption_while_another_frees);
}

#[test]
fn two_threads_free_the_last_blocks_of_a_vacant_heap() {
    holds(AtMost(2), two_free_the_last_blocks);
}

#[test]
fn a_vacant_heap_is_swept_while_its_last_block_is_freed() {
    holds(AtMost(2), sweep_while_another_frees(Heap::sweep));
    holds(AtMost(2), sweep_while_another_frees(Heap::begin_sweep));
}

#[test]
fn a_thread_that_gives_up_without_a_fence_is_found() {
    finds("left_without_fence", "is let go", end_while_others_free(1, 1));
}

#[test]
fn a_sender_that_looks_before_it_has_put_is_found() {
    finds("sent_looks_relaxed", "is let go", end_while_others_free(1, 1));
}

#[test]
fn a_sender_of_last_blocks_without_a_fence_is_found() {
    finds("tend_without_fence", "is let go", end_while_others_free(0, 1));
}

/// As it was until loom saw it: two threads free a pool's last blocks; the second takes in what there is
/// before the first has put the pool into the inbox.
#[test]
fn a_sender_that_tends_only_a_pool_that_seems_drained_is_found() {
    finds("tended_when_drained_only", "is let go", two_free_the_last_blocks);
    finds("tended_when_drained_only", "is let go", end_while_others_free(1, 1));
}

/// As it was until loom saw it: one thread takes in what there is while another finds the heap claimed.
#[test]
fn a_claim_that_ends_without_a_look_behind_a_fence_is_found() {
    finds("tended_without_fence", "is let go", two_free_the_last_blocks);
}

/// As it was until a test saw it: a sweep's step leaves what it took out, and meanwhile the sender finds the heap
/// claimed.
#[test]
fn a_step_that_leaves_what_it_took_out_is_found() {
    finds("left_pending", "is let go", sweep_while_another_frees(Heap::begin_sweep));
}
