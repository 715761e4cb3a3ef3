//! glibc's further names for the same functions. Programs linked long ago, and some allocation
//! wrappers, call them: a block that came from behind one of them must come from here too.

use core::ffi::{c_int, c_void};

use super::family;

/// As `free`, from before C had it.
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn cfree(block: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// As `malloc`.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn __libc_malloc(size: usize) -> *mut c_void {
    family::malloc(size)
}

/// As `free`.
///
/// # Safety
///
/// As for [`family::free`].
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __libc_free(block: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { family::free(block) };
}

/// As `calloc`.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    family::calloc(count, size)
}

/// As `realloc`.
///
/// # Safety
///
/// As for [`family::realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { family::realloc(block, size) }
}

/// As `reallocarray`.
///
/// # Safety
///
/// As for [`family::reallocarray`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { family::reallocarray(block, count, size) }
}

/// As `memalign`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_memalign(align: usize, size: usize) -> *mut c_void {
    family::memalign(align, size)
}

/// As `valloc`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_valloc(size: usize) -> *mut c_void {
    family::valloc(size)
}

/// As `pvalloc`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_pvalloc(size: usize) -> *mut c_void {
    family::pvalloc(size)
}

/// As `posix_memalign`.
///
/// # Safety
///
/// As for [`family::posix_memalign`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    size: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { family::posix_memalign(out, align, size) }
}
