//! What a thread has of the allocator's: two words, as thread-locals of the standard library.

extern crate std;

use core::cell::Cell;
use std::thread_local;

use super::thread_heap::{NOBODY, ThreadHeap};

thread_local! {
    /// `const` and without `Drop`: a plain load, valid until the thread is gone.
    static HEAP: Cell<&'static ThreadHeap> = const { Cell::new(&NOBODY) };
    /// The thread's end was seen, or cannot be: it holds no heap from one call to the next.
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread's heap; `NOBODY` if it has none.
#[inline(always)]
pub fn heap() -> &'static ThreadHeap {
    HEAP.try_with(Cell::get).unwrap_or(&NOBODY)
}

/// Gives the calling thread a heap.
pub fn set_heap(heap: &'static ThreadHeap) {
    HEAP.set(heap);
}

/// Whether the thread's end was seen, or cannot be.
pub fn has_ended() -> bool {
    ENDED.try_with(Cell::get).unwrap_or(true)
}

/// The thread holds no heap from one call to the next any more.
pub fn set_ended() {
    ENDED.set(true);
}
