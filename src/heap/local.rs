//! The calling thread's heap: how a thread comes by one and loses it.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

pub use super::slot::heap;

use super::fork;
use super::ledger;
use super::outbox;
use super::registry;
use super::slot;
use super::sweeper;
use super::thread_heap::{NOBODY, ThreadHeap};
use super::watch;
use crate::base::class::SizeClass;
use crate::mem::pool::Pool;
use crate::sys::{self, ExitKey};

static EXIT: ExitKey = ExitKey::new();

/// The heap that the calling thread really has, also while it is watched; `NOBODY` if it has none. For
/// everything but the paths that a watch is to see.
pub fn own() -> &'static ThreadHeap {
    let heap = heap();
    if heap.is_nobody() { watch::heap() } else { heap }
}

/// Calls `work` with the thread's heap, after giving it one if need be. A thread whose end was seen
/// (destructors of thread-locals may still run) gets one for this call only. `None` without memory.
pub fn with<R>(work: impl FnOnce(&'static ThreadHeap) -> R) -> Option<R> {
    if let Some(heap) = held() {
        return Some(work(heap));
    }
    let heap = registry::hold()?;
    let result = work(heap);
    give_up(heap);
    Some(result)
}

/// The thread's heap, given to it if it has none and can keep one.
pub fn held() -> Option<&'static ThreadHeap> {
    let heap = own();
    if !heap.is_nobody() {
        return Some(heap);
    }
    // It has ended, or is watched and could have none.
    if !slot::state().is_null() {
        return None;
    }
    // First `hold`: the very first one makes the key that `arm` needs.
    let heap = registry::hold()?;
    // Before what follows: the C library may allocate in it, if it allocates by us.
    slot::set_heap(heap);
    fork::start_once();
    if EXIT.arm() {
        return Some(heap);
    }
    slot::set_state(slot::ENDED);
    slot::set_heap(&NOBODY);
    give_up(heap);
    None
}

fn give_up(heap: &'static ThreadHeap) {
    registry::give_up(heap);
    sweeper::nudge();
    if registry::is_deserted() {
        sweeper::deserted();
    }
}

/// Prepares for threads' ends. Once, before any thread gets a heap.
pub fn start() {
    EXIT.make(thread_ends);
}

unsafe extern "C" fn thread_ends(_: *mut c_void) {
    slot::set_state(slot::ENDED);
    let heap = heap();
    slot::set_heap(&NOBODY);
    if !heap.is_nobody() {
        give_up(heap);
    }
}

/// Takes back a block that the calling thread's heap, `heap`, does not own: with the batch that it completes, or where it
/// is the first one of its pool.
///
/// # Safety
///
/// The block was allocated as one of `class`, in `pool`, and nobody uses it any more.
pub unsafe fn free_remote(
    mut heap: &'static ThreadHeap,
    block: NonNull<u8>,
    pool: &'static Pool,
    class: SizeClass,
) {
    if heap.is_nobody() {
        // SAFETY: the caller's contract.
        match unsafe { free_unheld(block, pool, class) } {
            Some(held) => heap = held,
            None => return,
        }
    }
    let inside = heap.enter();
    heap.count_free(class);
    // SAFETY: the caller's contract.
    let sent = unsafe { heap.outbox.add_or_send(block, pool, class, heap) };
    drop(inside);
    if sent {
        sweeper::nudge();
    }
}

/// As [`free_remote`] in a thread that has no heap, or is watched and seems to have none: unless the block
/// is to go into the outbox of the heap returned, it was taken back.
///
/// # Safety
///
/// As for [`free_remote`].
#[cold]
#[inline(never)]
unsafe fn free_unheld(
    block: NonNull<u8>,
    pool: &'static Pool,
    class: SizeClass,
) -> Option<&'static ThreadHeap> {
    watch::freed(class);
    // There may be no memory for a heap, which a free does not tell.
    let _errno = sys::keep_errno();
    match held() {
        // A heap adopted just now that owned the pool before, or that of a watched thread.
        Some(heap) if ptr::eq(pool.owner(), heap.as_owner()) => {
            // SAFETY: the caller's contract.
            unsafe { heap.push(block, class) };
            None
        }
        Some(heap) => Some(heap),
        None => {
            ledger::publish(class, -1);
            // SAFETY: the caller's contract.
            unsafe { outbox::send_one(block.cast(), class) };
            None
        }
    }
}
