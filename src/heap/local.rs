//! The calling thread's heap: how a thread comes by one and loses it.

use core::ffi::c_void;
use core::ptr::NonNull;

pub use super::slot::heap;

use super::fork;
use super::ledger;
use super::outbox;
use super::registry;
use super::slot;
use super::sweeper;
use super::thread_heap::{NOBODY, ThreadHeap};
use crate::base::class::SizeClass;
use crate::mem::pool::Pool;
use crate::sys::{self, ExitKey};

static EXIT: ExitKey = ExitKey::new();

/// Calls `work` with the thread's heap, after giving it one if need be. A thread whose end was seen
/// (destructors of thread-locals may still run) gets one for this call only. `None` without memory.
pub fn with<R>(work: impl FnOnce(&'static ThreadHeap) -> R) -> Option<R> {
    if let Some(heap) = held() {
        return Some(work(heap));
    }
    let heap = registry::hold()?;
    let result = work(heap);
    heap.abandon();
    registry::vacate(heap);
    Some(result)
}

/// The thread's heap, given to it if it has none and can keep one.
fn held() -> Option<&'static ThreadHeap> {
    let heap = heap();
    if !heap.is_nobody() {
        return Some(heap);
    }
    if slot::has_ended() {
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
    slot::set_ended();
    slot::set_heap(&NOBODY);
    heap.abandon();
    registry::vacate(heap);
    None
}

/// Prepares for threads' ends. Once, before any thread gets a heap.
pub fn start() {
    EXIT.make(thread_ends);
}

unsafe extern "C" fn thread_ends(_: *mut c_void) {
    slot::set_ended();
    let heap = heap();
    slot::set_heap(&NOBODY);
    if !heap.is_nobody() {
        heap.abandon();
        registry::vacate(heap);
        sweeper::nudge();
    }
}

/// Takes back a block that the calling thread's heap does not own.
///
/// # Safety
///
/// The block was allocated as one of `class`, in `pool`, and nobody uses it any more.
#[cold]
#[inline(never)]
pub unsafe fn free_remote(block: NonNull<u8>, pool: &'static Pool, class: SizeClass) {
    let before = heap();
    if !before.is_nobody() {
        let inside = before.enter();
        before.count_free(class);
        // SAFETY: the caller's contract.
        let sent = unsafe { before.outbox.add(block, pool, class) };
        drop(inside);
        if sent {
            sweeper::nudge();
        }
        return;
    }
    // There may be no memory for a heap, which a free does not tell.
    let _errno = sys::keep_errno();
    match held() {
        // SAFETY: the caller's contract. The heap may be one that owns the pool.
        Some(heap) => unsafe { heap.push(block, class) },
        // SAFETY: the caller's contract: a batch of one.
        None => unsafe {
            ledger::publish(class, -1);
            outbox::send(pool, block.cast(), block.cast(), 1)
        },
    }
}
