//! The C names: what C, POSIX and the usual headers declare.
//!
//! As glibc has it where the standards leave room: `malloc(0)` is a block of its own, `realloc(p, 0)`
//! frees and returns null, `memalign` rounds an alignment up to a power of two.

// Later compilers want `malloc` and `free` to be `extern "C"`, which is called in the same way. Nothing here unwinds, but
// where the compiler cannot see that, `extern "C"` catches it: no way to the slow path is then a jump, and each short
// path moves the stack pointer twice.
#![allow(unknown_lints, reason = "Rust 1.95 does not know the next one")]
#![allow(invalid_runtime_symbol_definitions, reason = "the same call, and shorter paths")]

use core::ffi::{c_int, c_void};
use core::ptr;

use super::super::global::trim;
use super::{blocks, serve};
use crate::sys;

/// A block of `size` bytes at a multiple of 16; null, and `ENOMEM`, if there is no memory.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn malloc(size: usize) -> *mut c_void {
    blocks::allocate(size).cast()
}

/// Gives a block back; null is none. Leaves the error number alone.
///
/// # Safety
///
/// `block` is null or a block of this family's, used by nobody any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn free(block: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { blocks::release(block.cast()) };
}

/// A block for `count` values of `size` bytes, all zero.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => blocks::allocate_zeroed(bytes).cast(),
        None => serve::refused().cast(),
    }
}

/// Makes a block hold `size` bytes; see the module for `size` 0.
///
/// # Safety
///
/// `block` is null or a block of this family's, the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    if size == 0 {
        // SAFETY: the caller's contract.
        unsafe { free(block) };
        return ptr::null_mut();
    }
    // SAFETY: the caller's contract.
    unsafe { blocks::resize(block.cast(), size) }.cast()
}

/// As [`realloc`] for `count` values of `size` bytes.
///
/// # Safety
///
/// As for [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's contract.
        Some(bytes) => unsafe { realloc(block, bytes) },
        None => serve::refused().cast(),
    }
}

/// Stores a block of `size` bytes at a multiple of `align` in `out`. Returns 0; or `EINVAL` if `align`
/// is no power of two times the size of a pointer, or `ENOMEM`, and `out` is then as it was.
///
/// # Safety
///
/// `out` is valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return libc::EINVAL;
    }
    let _errno = sys::keep_errno();
    let block = blocks::allocate_aligned(size, align);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's contract.
    unsafe { out.write(block.cast()) };
    0
}

/// A block of `size` bytes at a multiple of `align`; null, and `EINVAL`, if that is no power of two.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        return invalid();
    }
    blocks::allocate_aligned(size, align).cast()
}

/// As [`aligned_alloc`], but rounds `align` up to a power of two.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => blocks::allocate_aligned(size, align).cast(),
        None => invalid(),
    }
}

fn invalid() -> *mut c_void {
    sys::set_errno(libc::EINVAL);
    ptr::null_mut()
}

/// A block of `size` bytes at the start of an OS page.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    blocks::allocate_aligned(size, sys::page_size()).cast()
}

/// As [`valloc`], of whole OS pages, at least one.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.max(1).checked_next_multiple_of(sys::page_size()) {
        Some(bytes) => valloc(bytes),
        None => serve::refused().cast(),
    }
}

/// Bytes of a block that its user may use: at least as many as were asked for. 0 for null.
///
/// # Safety
///
/// `block` is null or a block of this family's, in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller's contract.
    unsafe { blocks::usable_size(block.cast()) }
}

/// Gives back what the retention in force lets go: 1 if anything went, else 0. `pad`, what to keep of
/// the one heap that other allocators have, means nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(_pad: usize) -> c_int {
    c_int::from(trim() > 0)
}

/// As [`free`]. The size is not needed, and not relied on: programs are known to pass a wrong one.
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the caller's contract.
    unsafe { free(block) };
}

/// As [`free_sized`].
///
/// # Safety
///
/// As for [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's contract.
    unsafe { free(block) };
}
