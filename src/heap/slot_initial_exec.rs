//! What a thread has of the allocator's: two words in the part of thread-local memory that exists as
//! long as the thread and lies at a fixed distance from its pointer.
//!
//! In a shared object the standard library's thread-locals cost a call, and that call may allocate:
//! inside `malloc` it must not. The compiler can be told so only by an option that is not stable, so
//! the words are declared and read in assembly; in an executable the linker makes one load of the two.
//! The price: a program that loads the object at run time needs a few bytes of what the C library sets
//! aside for such words, or is told that there are none left.

use core::arch::{asm, global_asm};
use core::ptr;

use super::thread_heap::{NOBODY, ThreadHeap};
use super::watch::Watch;

// The heap, and the state.
global_asm!(
    ".pushsection .tdata.highwater_slot, \"awT\", @progbits",
    ".balign 16",
    ".globl highwater_slot",
    ".hidden highwater_slot",
    ".type highwater_slot, @object",
    ".size highwater_slot, 16",
    "highwater_slot:",
    ".quad {nobody}",
    ".quad 0",
    ".popsection",
    nobody = sym NOBODY,
);

/// What a thread's state is that holds no heap from one call to the next: its end was seen, or cannot be.
pub const ENDED: *const Watch = ptr::without_provenance(1);

/// The calling thread's heap; `NOBODY` if it has none, or is watched.
#[inline(always)]
pub fn heap() -> &'static ThreadHeap {
    let heap: *const ThreadHeap;
    // SAFETY: reads the first word above, which always points to a heap; heaps are never freed.
    unsafe {
        asm!(
            "mov {word}, qword ptr [rip + highwater_slot@GOTTPOFF]",
            "mov {word}, qword ptr fs:[{word}]",
            word = out(reg) heap,
            options(pure, readonly, nostack, preserves_flags),
        );
        &*heap
    }
}

/// Gives the calling thread a heap.
pub fn set_heap(heap: &'static ThreadHeap) {
    // SAFETY: writes the first word above, which no reference leads to.
    unsafe {
        asm!(
            "mov {place}, qword ptr [rip + highwater_slot@GOTTPOFF]",
            "mov qword ptr fs:[{place}], {heap}",
            place = out(reg) _,
            heap = in(reg) ptr::from_ref(heap),
            options(nostack, preserves_flags),
        );
    }
}

/// Null, or [`ENDED`], or the watch that the thread is in.
pub fn state() -> *const Watch {
    let state: *const Watch;
    // SAFETY: reads the second word above.
    unsafe {
        asm!(
            "mov {word}, qword ptr [rip + highwater_slot@GOTTPOFF]",
            "mov {word}, qword ptr fs:[{word} + 8]",
            word = out(reg) state,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    state
}

/// Says what [`state`] is from now on.
pub fn set_state(state: *const Watch) {
    // SAFETY: writes the second word above, which no reference leads to.
    unsafe {
        asm!(
            "mov {place}, qword ptr [rip + highwater_slot@GOTTPOFF]",
            "mov qword ptr fs:[{place} + 8], {state}",
            place = out(reg) _,
            state = in(reg) state,
            options(nostack, preserves_flags),
        );
    }
}
