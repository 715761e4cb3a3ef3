//! `dlopen` without `RTLD_DEEPBIND`.
//!
//! A library that is loaded with that flag looks its names up in itself and in what it is linked with, and only then in the
//! program and what was preloaded: so it finds the C library's `free`, not ours. But the C library's own `strdup` or
//! `getline` find our `malloc`, and the library's first `free` of what they returned gives glibc a block that it never
//! had. PHP loads its extensions so. Without the flag every name has one meaning in the process.
//!
//! What is lost is what the flag is for: a library that brings a name which the program has too, and means its own, gets the
//! program's.

use core::ffi::{c_char, c_int, c_void};
use core::{mem, ptr};

use super::behind;
use crate::sync::atomic::{AtomicPtr, Ordering::Relaxed};

type Open = unsafe extern "C-unwind" fn(*const c_char, c_int) -> *mut c_void;

/// The C library's function, once it was looked for.
static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// As the C library's, but for the flag.
///
/// # Safety
///
/// As for the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void {
    let mut next = NEXT.load(Relaxed);
    if next.is_null() {
        // Two threads find the same.
        next = behind::function(c"dlopen");
        NEXT.store(next, Relaxed);
    }
    if next.is_null() {
        return next;
    }
    // SAFETY: the C library's function of that name takes a path and flags.
    let next: Open = unsafe { mem::transmute(next) };
    // The last thing done, so that an optimised build jumps there: the C library sees from where it was called, and looks
    // where that caller's library says, not ours.
    // SAFETY: the caller's contract.
    unsafe { next(path, flags & !libc::RTLD_DEEPBIND) }
}
