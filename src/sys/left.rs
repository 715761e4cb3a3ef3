//! Ranges that are left over: nobody needs them, no record names them, and the system did not take
//! them back when it should have, which it does to a process with too many mappings. They stay
//! counted as mapped, and are offered to the system again at a sweep's end.
//!
//! A range's own first bytes link it to the next, so that no memory is needed to keep it in mind.

use core::ptr::NonNull;

use super::{guard, unmap};
use crate::sync::lock::{Mutex, RawLock};

/// Rank 4: taken with any lock held.
static LEFT: Mutex<LeftOver> = Mutex::from_raw(
    <RawLock as parking_lot::lock_api::RawMutex>::INIT,
    LeftOver { first: None, bytes: 0 },
);

struct LeftOver {
    first: Option<NonNull<Range>>,
    bytes: usize,
}

// SAFETY: the ranges are nobody else's.
unsafe impl Send for LeftOver {}

/// What stands at the start of a range.
struct Range {
    next: Option<NonNull<Range>>,
    bytes: usize,
}

/// Bytes left over.
pub fn left_bytes() -> usize {
    LEFT.lock().bytes
}

/// Gives a range of whole OS pages back, now or, if the system refuses, later.
///
/// # Safety
///
/// The range is mapped and counted as mapped, and nothing refers to it any more.
pub unsafe fn unmap_or_leave(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's contract.
    if !unsafe { unmap(start, bytes) } {
        // SAFETY: the caller's contract.
        unsafe { leave(start, bytes) };
    }
}

/// Leaves a range of whole OS pages over.
///
/// # Safety
///
/// As for [`unmap_or_leave`].
pub unsafe fn leave(start: NonNull<u8>, bytes: usize) {
    // An arena begins with a guard, where there are any.
    // SAFETY: the caller's contract: at least an OS page, and nobody needs what is in it.
    unsafe { guard::remove(start, super::page_size()) };
    let mut left = LEFT.lock();
    let range = start.cast::<Range>();
    // SAFETY: the caller gave up at least an OS page, at a multiple of one.
    unsafe { range.write(Range { next: left.first, bytes }) };
    left.first = Some(range);
    left.bytes += bytes;
}

/// Offers what is left over to the system again, until it refuses. Returns bytes given back.
pub fn unmap_left() -> usize {
    let mut given = 0;
    loop {
        let mut left = LEFT.lock();
        let Some(range) = left.first else { return given };
        // SAFETY: a range that was left over, under the lock.
        let Range { next, bytes } = unsafe { range.read() };
        left.first = next;
        left.bytes -= bytes;
        drop(left);
        // SAFETY: mapped, counted, and nobody's.
        if !unsafe { unmap(range.cast(), bytes) } {
            // SAFETY: as above.
            unsafe { leave(range.cast(), bytes) };
            return given;
        }
        given += bytes;
    }
}

/// Locks what is left over, for a fork.
pub fn lock_left_for_fork() {
    core::mem::forget(LEFT.lock());
}

/// Unlocks what [`lock_left_for_fork`] locked.
///
/// # Safety
///
/// The calling thread locked it, or is its copy in a child.
pub unsafe fn unlock_left_after_fork() {
    // SAFETY: the caller's contract.
    unsafe { LEFT.force_unlock() };
}
