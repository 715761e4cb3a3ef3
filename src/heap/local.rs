//! The calling thread's heap: how a thread comes by one and loses it.

extern crate std;

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::NonNull;
use std::thread_local;

use super::ledger;
use super::outbox;
use super::registry;
use super::sweeper;
use super::thread_heap::{NOBODY, ThreadHeap};
use crate::base::class::SizeClass;
use crate::mem::pool::Pool;
use crate::sys::ExitKey;

thread_local! {
    /// `const` and without `Drop`: a plain load, valid until the thread is gone.
    static HEAP: Cell<&'static ThreadHeap> = const { Cell::new(&NOBODY) };
    /// The thread's end was seen, or cannot be: it holds no heap from one call to the next.
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

static EXIT: ExitKey = ExitKey::new();

/// The calling thread's heap; `NOBODY` if it has none.
#[inline(always)]
pub fn heap() -> &'static ThreadHeap {
    HEAP.try_with(Cell::get).unwrap_or(&NOBODY)
}

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
    let ended = ENDED.try_with(Cell::get).unwrap_or(true);
    if ended {
        return None;
    }
    // First `hold`: the very first one makes the key that `arm` needs.
    let heap = registry::hold()?;
    if EXIT.arm() {
        HEAP.set(heap);
        return Some(heap);
    }
    ENDED.set(true);
    registry::vacate(heap);
    None
}

/// Prepares for threads' ends. Once, before any thread gets a heap.
pub fn start() {
    EXIT.make(thread_ends);
}

unsafe extern "C" fn thread_ends(_: *mut c_void) {
    ENDED.set(true);
    let heap = HEAP.replace(&NOBODY);
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
