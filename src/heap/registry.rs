//! All thread heaps: who holds one, and which are vacant.
//!
//! A heap is held by one thread at a time. When its thread ends it is vacated, with the pools that
//! still have used blocks, and the next thread that needs a heap adopts it whole: blocks know their
//! pools, pools their heap, so nothing else changes.

use core::ptr::{self, NonNull};

use super::tenancy::Claim;
use super::thread_heap::ThreadHeap;
use super::vacancy::{self, Tenure, Vacatable};
use super::{config, local};
use crate::mem::store::Store;
use crate::sync::lock::{Mutex, RawLock};
use crate::sync::word::WordSize;
use crate::sys;

/// Every thread heap. Rank 1: taken with no lock held.
pub static REGISTRY: Mutex<Registry> =
    Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, Registry::new());

/// Heaps that a thread has. Changed under the lock.
static HELD: WordSize = WordSize::new(0);

/// See the module.
pub struct Registry {
    all: *mut ThreadHeap,
    vacant: *mut ThreadHeap,
    store: Store<ThreadHeap>,
    count: usize,
    started: bool,
}

// SAFETY: the pointers are to heaps in the registry's own store, which are never freed.
unsafe impl Send for Registry {}

impl Registry {
    const fn new() -> Self {
        let none = ptr::null_mut();
        Self { all: none, vacant: none, store: Store::new(), count: 0, started: false }
    }

    /// The heap made last, which leads to all others.
    pub fn first(&self) -> Option<&'static ThreadHeap> {
        // SAFETY: heaps are never freed.
        NonNull::new(self.all).map(|heap| unsafe { heap.as_ref() })
    }

    /// Heaps that exist.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes mapped for heaps.
    pub fn store_bytes(&self) -> usize {
        self.store.bytes()
    }

    /// Calls `each` with every heap.
    pub fn for_each(&self, mut each: impl FnMut(&'static ThreadHeap)) {
        let mut heap = self.all;
        while let Some(found) = NonNull::new(heap) {
            // SAFETY: heaps are never freed.
            let found = unsafe { found.as_ref() };
            each(found);
            heap = found.next.get();
        }
    }

    /// Adopts the heap last vacated, or makes one.
    fn hold(&mut self) -> Option<&'static ThreadHeap> {
        if !core::mem::replace(&mut self.started, true) {
            sys::prepare_barrier();
            local::start();
            ThreadHeap::start();
        }
        if let Some(heap) = NonNull::new(self.vacant) {
            // SAFETY: heaps are never freed.
            let heap = unsafe { heap.as_ref() };
            self.unlist(heap);
            HELD.set(HELD.get() + 1);
            return Some(heap);
        }
        // SAFETY: makes a whole heap of the store's room; none is ever taken back.
        let heap = unsafe { self.store.add_in_place(|room| ThreadHeap::make(room)) }?;
        // SAFETY: just made, never freed, and only ever used through shared references.
        let heap: &'static ThreadHeap = unsafe { heap.as_ref() };
        heap.number.set(self.count as u32);
        heap.next.set(self.all);
        self.all = ptr::from_ref(heap).cast_mut();
        self.count += 1;
        HELD.set(HELD.get() + 1);
        Some(heap)
    }

    fn unlist(&mut self, heap: &'static ThreadHeap) {
        let (before, behind) = (heap.vacant_prev.get(), heap.vacant_next.get());
        match NonNull::new(before) {
            // SAFETY: heaps are never freed.
            Some(before) => unsafe { before.as_ref() }.vacant_next.set(behind),
            None => self.vacant = behind,
        }
        if let Some(behind) = NonNull::new(behind) {
            // SAFETY: as above.
            unsafe { behind.as_ref() }.vacant_prev.set(before);
        }
        heap.tenure.set_held();
    }

    /// Lists a heap as vacant, that was held and that nobody uses.
    pub fn vacate(&mut self, heap: &'static ThreadHeap) {
        heap.vacant_prev.set(ptr::null_mut());
        heap.vacant_next.set(self.vacant);
        if let Some(behind) = NonNull::new(self.vacant) {
            // SAFETY: heaps are never freed.
            unsafe { behind.as_ref() }.vacant_prev.set(ptr::from_ref(heap).cast_mut());
        }
        self.vacant = ptr::from_ref(heap).cast_mut();
        heap.tenure.set_vacant();
        HELD.set(HELD.get() - 1);
    }
}

/// A heap for the calling thread; `None` if the system gives no memory for one.
pub fn hold() -> Option<&'static ThreadHeap> {
    REGISTRY.lock().hold()
}

/// Gives a heap up, which the calling thread held and uses no more.
pub fn give_up(heap: &'static ThreadHeap) {
    heap.abandon();
    REGISTRY.lock().vacate(heap);
    vacancy::left(heap);
}

/// Whether no thread has a heap.
pub fn is_deserted() -> bool {
    let _registry = REGISTRY.lock();
    held() == 0
}

/// How many heaps a thread has, at about this moment.
pub fn held() -> usize {
    HELD.get()
}

impl Vacatable for &'static ThreadHeap {
    type Claim = Claim<'static>;

    fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    fn has_mail(&self) -> bool {
        // What a sweep's step took out and left is for its next step, but where nothing waits for that.
        let has_pools = match config::retention().leaves_at_once() {
            true => self.inbox.has_any(),
            false => self.inbox.has_mail(),
        };
        has_pools || self.spans.has_mail()
    }

    fn lock_registry(&self) -> impl Drop {
        REGISTRY.lock()
    }

    fn begin_claim(&self) -> Option<Claim<'static>> {
        self.tenancy.begin_claim()
    }

    fn take_in(&self) {
        self.collect_inbox();
        if !config::retention().waits() {
            self.release_empties(|_| true);
        }
        self.spans.take_in();
        if config::retention().classes_share() {
            self.give_back_spans();
        }
    }
}

impl ThreadHeap {
    /// Makes the heap fit to be vacated: nothing is held back, nothing is current, nothing empty is
    /// kept unless the rung keeps everything.
    pub fn abandon(&'static self) {
        let _inside = self.enter();
        self.home.set(0);
        self.outbox.send_all();
        self.collect_inbox();
        for class in crate::base::class::SizeClass::all() {
            if self.current_pool(class).is_some() {
                // Which settles the class, with one walk along its list.
                self.uninstall(class);
            } else {
                self.settle(class);
            }
        }
        self.spans.publish();
        if config::retention().classes_share() {
            self.release_empties(|_| true);
            self.give_back_spans();
        }
    }
}
