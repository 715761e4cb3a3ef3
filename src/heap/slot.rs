//! What a thread has of the allocator's: two words, as thread-locals of the standard library.

extern crate std;

use core::cell::Cell;
use core::ptr;
use std::thread_local;

use super::thread_heap::{NOBODY, ThreadHeap};
use super::watch::Watch;

thread_local! {
    /// `const` and without `Drop`: a plain load, valid until the thread is gone. A pointer: a constant
    /// that refers to what may change is refused by older compilers, with which other targets are tested.
    static HEAP: Cell<*const ThreadHeap> = const { Cell::new(&raw const NOBODY) };
    /// See [`state`].
    static STATE: Cell<*const Watch> = const { Cell::new(ptr::null()) };
}

/// What a thread's state is that holds no heap from one call to the next: its end was seen, or cannot be.
pub const ENDED: *const Watch = ptr::without_provenance(1);

/// The calling thread's heap; `NOBODY` if it has none, or is watched.
#[inline(always)]
pub fn heap() -> &'static ThreadHeap {
    let heap = HEAP.try_with(Cell::get).unwrap_or(&raw const NOBODY);
    // SAFETY: always points to a heap; heaps are never freed.
    unsafe { &*heap }
}

/// Gives the calling thread a heap.
pub fn set_heap(heap: &'static ThreadHeap) {
    HEAP.set(ptr::from_ref(heap));
}

/// Null, or [`ENDED`], or the watch that the thread is in.
pub fn state() -> *const Watch {
    STATE.try_with(Cell::get).unwrap_or(ENDED)
}

/// Says what [`state`] is from now on.
pub fn set_state(state: *const Watch) {
    STATE.set(state);
}
