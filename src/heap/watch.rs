//! Counting what one thread allocates and frees, exactly, though the fast path counts nothing.
//!
//! A watched thread seems to have no heap: where the fast path looks for one it finds `NOBODY`, from which
//! nothing can be taken and which owns no pool. So each call of the thread leaves the fast path as that of a
//! new thread does, is counted there, and goes to the heap that the thread really has. Nothing else knows
//! the difference, and a thread that is not watched pays nothing.

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::ptr;

use super::thread_heap::{NOBODY, ThreadHeap};
use super::{local, slot};
use crate::base::class::SizeClass;
use crate::base::flow::Flow;

/// What is counted of one thread from [`Watch::during`]'s begin to its end.
pub struct Watch {
    classes: [Cell<Flow>; SizeClass::COUNT],
    large_blocks: Cell<Flow>,
    large_bytes: Cell<Flow>,
    blocks: Cell<Flow>,
    bytes: Cell<Flow>,
    /// The heap that the thread really has; `NOBODY` if it can have none.
    heap: Cell<&'static ThreadHeap>,
    /// What the thread's word said before: null, that it has ended, or a watch around this one.
    outer: Cell<*const Watch>,
    /// The thread's word points here.
    _pinned: PhantomPinned,
}

/// The flows of a watch.
pub struct Flows {
    /// Blocks of each class.
    pub classes: [Flow; SizeClass::COUNT],
    /// Spans and direct mappings.
    pub large_blocks: Flow,
    /// Their requested bytes.
    pub large_bytes: Flow,
    /// All blocks.
    pub blocks: Flow,
    /// Their bytes: small blocks at their block size, large ones as requested.
    pub bytes: Flow,
}

impl Watch {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self {
            classes: [const { Cell::new(Flow::NONE) }; SizeClass::COUNT],
            large_blocks: Cell::new(Flow::NONE),
            large_bytes: Cell::new(Flow::NONE),
            blocks: Cell::new(Flow::NONE),
            bytes: Cell::new(Flow::NONE),
            heap: Cell::new(&NOBODY),
            outer: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }

    /// Does `work`, whose allocations and frees on this thread are counted. A watch around this one counts
    /// them too. If `work` unwinds, the watch ends.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        // A heap is the thread's from here on, unless it can have none.
        local::with(|_| ());
        self.heap.set(local::own());
        self.outer.set(slot::state());
        slot::set_state(self);
        slot::set_heap(&NOBODY);
        let _ends = Ends(self);
        work()
    }

    /// What was counted.
    pub fn flows(&self) -> Flows {
        Flows {
            classes: self.classes.each_ref().map(Cell::get),
            large_blocks: self.large_blocks.get(),
            large_bytes: self.large_bytes.get(),
            blocks: self.blocks.get(),
            bytes: self.bytes.get(),
        }
    }

    fn end(&self) {
        // A stack that moves from thread to thread would take the heap along.
        invariant!(ptr::eq(slot::state(), self), "a watch ends on its thread, the innermost first");
        let outer = self.outer.get();
        slot::set_state(outer);
        slot::set_heap(if outer.is_null() { self.heap.get() } else { &NOBODY });
    }

    fn count_all(&self, blocks: isize, bytes: isize) {
        add(&self.blocks, blocks);
        add(&self.bytes, bytes);
    }
}

/// Ends the watch, also by unwinding.
struct Ends<'a>(&'a Watch);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn add(to: &Cell<Flow>, change: isize) {
    to.set(to.get().and(change));
}

/// The watch that `state`, a thread's word, leads to.
fn at(state: *const Watch) -> Option<&'static Watch> {
    if state.is_null() || ptr::eq(state, slot::ENDED) {
        return None;
    }
    // SAFETY: a watch that this thread is in: `during` is below on its stack, and takes the word back
    // before it ends. No caller in this module keeps the reference.
    Some(unsafe { &*state })
}

/// Calls `each` with every watch that the thread is in.
fn for_each(each: impl Fn(&Watch)) {
    let mut watch = at(slot::state());
    while let Some(found) = watch {
        each(found);
        watch = at(found.outer.get());
    }
}

/// The heap that a watched thread really has; `NOBODY` if it is not watched.
pub fn heap() -> &'static ThreadHeap {
    at(slot::state()).map_or(&NOBODY, |watch| watch.heap.get())
}

/// The calling thread, if it is watched, allocated a block of `class`.
pub fn allocated(class: SizeClass) {
    count(class, 1);
}

/// The calling thread, if it is watched, freed a block of `class`.
pub fn freed(class: SizeClass) {
    count(class, -1);
}

fn count(class: SizeClass, blocks: isize) {
    for_each(|watch| {
        add(&watch.classes[class.index()], blocks);
        watch.count_all(blocks, blocks * class.block_size() as isize);
    });
}

/// The calling thread, if it is watched, has `blocks` large blocks and `bytes` requested bytes more, or
/// fewer.
#[inline(always)]
pub fn count_large(blocks: isize, bytes: isize) {
    if !slot::state().is_null() {
        count_large_watched(blocks, bytes);
    }
}

#[cold]
#[inline(never)]
fn count_large_watched(blocks: isize, bytes: isize) {
    for_each(|watch| {
        add(&watch.large_blocks, blocks);
        add(&watch.large_bytes, bytes);
        watch.count_all(blocks, bytes);
    });
}
