//! Guards: OS pages that nobody may touch, so that a write that runs on ends the process there.
//!
//! A guard costs no memory. Linux 6.13 and later keeps it in the page table; elsewhere it is a mapping
//! of its own, of which a process can have some 65,000 (`vm.max_map_count`). The calls are in none of
//! the counts that `stats` shows. What the system refuses is left unguarded.

use core::ffi::c_void;
use core::ptr::NonNull;

use super::page_size;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

const MADV_GUARD_INSTALL: libc::c_int = 102;
#[cfg(target_os = "linux")]
const MADV_GUARD_REMOVE: libc::c_int = 103;

/// The kernel once refused a guard in the page table: some may be mappings.
static MAPPED: AtomicBool = AtomicBool::new(!cfg!(target_os = "linux"));

/// Bytes of a guard at the start of a mapping of `bytes`: one OS page, if that leaves half of it.
pub fn bytes_before(bytes: usize) -> usize {
    if 2 * page_size() <= bytes { page_size() } else { 0 }
}

/// Makes a range one that nobody may touch; its contents go. Nothing if it is not whole OS pages.
///
/// # Safety
///
/// The range is mapped, and nobody needs its contents.
pub unsafe fn install(start: NonNull<u8>, bytes: usize) {
    if !is_whole(start, bytes) {
        return;
    }
    let _errno = super::keep_errno();
    let (start, protection) = (start.as_ptr().cast(), libc::PROT_NONE);
    // SAFETY: the caller's contract.
    unsafe {
        if !MAPPED.load(Relaxed) {
            if libc::madvise(start, bytes, MADV_GUARD_INSTALL) == 0 {
                return;
            }
            MAPPED.store(true, Relaxed);
        }
        let _ = libc::mprotect(start, bytes, protection);
    }
}

/// How often a guard is tried to be lifted before the process is ended: the system refuses for a moment, if at all.
const ATTEMPTS: usize = 16;

/// Undoes [`install`]: the range can be used, whatever is in it. Ends the process if the system refuses for good:
/// who is given the range next would end with no line at all.
///
/// # Safety
///
/// The range is mapped, was given to [`install`], and nobody needs its contents.
pub unsafe fn remove(start: NonNull<u8>, bytes: usize) {
    if !is_whole(start, bytes) {
        return;
    }
    let _errno = super::keep_errno();
    // SAFETY: the caller's contract.
    let is_lifted = (0..ATTEMPTS).any(|_| unsafe { lift(start.as_ptr().cast(), bytes) });
    invariant!(is_lifted, "the system lifts a guard");
}

/// Lifts a guard, or puts fresh memory in the range's place.
///
/// # Safety
///
/// As for [`remove`].
unsafe fn lift(start: *mut c_void, bytes: usize) -> bool {
    // SAFETY: the caller's contract: a mapped range, given to `install`, whose contents nobody needs.
    let unmarked = unsafe { unmark(start, bytes) };
    if unmarked && !MAPPED.load(Relaxed) {
        return true;
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: whole OS pages of the allocator's own, to which nobody refers.
    if unmarked && unsafe { libc::mprotect(start, bytes, protection) } == 0 {
        return true;
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: as above; what the new mapping replaces is that range alone.
    unsafe { libc::mmap(start, bytes, protection, flags, -1, 0) != libc::MAP_FAILED }
}

/// Takes a guard out of the page table. True if none is there any more, which a kernel that knows none answers
/// with `EINVAL`.
///
/// # Safety
///
/// As for [`remove`].
#[cfg(target_os = "linux")]
unsafe fn unmark(start: *mut c_void, bytes: usize) -> bool {
    // SAFETY: the range is mapped and the allocator's own; the advice touches no contents.
    unsafe { libc::madvise(start, bytes, MADV_GUARD_REMOVE) == 0 || super::errno() == libc::EINVAL }
}

/// There are none in the page table.
///
/// # Safety
///
/// None is asked.
#[cfg(not(target_os = "linux"))]
unsafe fn unmark(_start: *mut c_void, _bytes: usize) -> bool {
    true
}

fn is_whole(start: NonNull<u8>, bytes: usize) -> bool {
    bytes > 0 && (start.addr().get() | bytes).is_multiple_of(page_size())
}
