//! A global allocator that counts what is asked for, to the byte, before any rounding.
//!
//! No allocator can tell what a B-tree or a hash map asks for per entry, and measuring inside a contender
//! would disturb it. What is asked for does not depend on who answers, so the parent, which is not measured,
//! counts it once: it makes the same objects as the children of `sizes` do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::contenders::Accounts;
use crate::report::Figures;

thread_local! {
    /// Bytes asked for and not yet given up by this thread, so that the thread of the progress bar does
    /// not count. Wraps when one thread frees what another asked for; only differences are read.
    static ASKED_BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Where bytes are counted. Called inside the allocator, so it may not allocate.
pub trait Counter {
    /// `asked` bytes were asked for in one call, and `given_up` bytes were given up in it.
    fn count(&self, asked: usize, given_up: usize);
}

/// A count for each thread.
pub struct PerThread;

impl Counter for PerThread {
    /// Adds and takes away in one step; nothing is counted in a thread that is ending.
    fn count(&self, asked: usize, given_up: usize) {
        let _ = ASKED_BYTES.try_with(|bytes| {
            bytes.set(bytes.get().wrapping_add(asked as u64).wrapping_sub(given_up as u64));
        });
    }
}

/// The system's allocator, with a count.
pub struct Tally<C = PerThread>(C);

impl Tally {
    pub const fn new() -> Tally {
        Tally(PerThread)
    }
}

impl<C> Tally<C> {
    pub const fn counting_in(counter: C) -> Tally<C> {
        Tally(counter)
    }

    pub fn counter(&self) -> &C {
        &self.0
    }
}

impl Default for Tally {
    fn default() -> Tally {
        Tally::new()
    }
}

// SAFETY: every method hands its arguments to `System` as they are; counting does not allocate.
unsafe impl<C: Counter> GlobalAlloc for Tally<C> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.count(layout.size(), 0);
        // SAFETY: the caller's contract is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.count(layout.size(), 0);
        // SAFETY: the caller's contract is System's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.count(size, layout.size());
        // SAFETY: the caller's contract is System's.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.0.count(0, layout.size());
        // SAFETY: the caller's contract is System's.
        unsafe { System.dealloc(block, layout) }
    }
}

impl Accounts for Tally {
    fn describe(&self) -> String {
        "what is asked for".to_owned()
    }

    fn figures(&self) -> Option<Figures> {
        None
    }

    fn block_bytes(&self) -> Option<u64> {
        ASKED_BYTES.try_with(Cell::get).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_is_what_is_asked_for_less_what_is_given_up() {
        let tally = Tally::new();
        let layout = Layout::array::<u8>(20).expect("a small layout");
        let before = tally.block_bytes().expect("a living thread");
        // SAFETY: the layout's size is not zero.
        let block = unsafe { tally.alloc(layout) };
        assert_eq!(tally.block_bytes(), Some(before + 20));
        // SAFETY: `block` came from this allocator with this layout.
        unsafe { tally.dealloc(block, layout) };
        assert_eq!(tally.block_bytes(), Some(before));
    }
}
