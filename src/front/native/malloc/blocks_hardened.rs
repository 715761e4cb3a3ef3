//! Allocating by size, and taking blocks back by address, none of which is believed.

use core::ptr::{self, NonNull};

use super::super::guarded::{Inner, expect_malloced};
use super::super::seal::Request;
use super::serve::{allocate_at, refused};
use crate::base::malloc_class::MALLOC_ALIGN;

/// Addresses given back that are no block of this allocator's: each ends the process.
pub fn strays() -> u64 {
    0
}

/// A block of `size` bytes, also for 0, or null with the error number set.
pub fn allocate(size: usize) -> *mut u8 {
    open(Request::malloced(size, MALLOC_ALIGN)).0
}

/// As [`allocate`], all bytes zero.
pub fn allocate_zeroed(size: usize) -> *mut u8 {
    let (block, zero) = open(Request::malloced(size, MALLOC_ALIGN));
    if !zero && !block.is_null() {
        // SAFETY: a block of this size, just allocated.
        unsafe { block.write_bytes(0, size) };
    }
    block
}

/// As [`allocate`], at a multiple of `align`, a power of two.
pub fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    open(Request::malloced(size, align.max(MALLOC_ALIGN))).0
}

/// A block, or null, and whether all its bytes are known to be zero.
fn open(request: Request) -> (*mut u8, bool) {
    let Some(inner) = Inner::of(request) else { return (refused(), false) };
    let (start, zero) = allocate_at(inner.layout.size(), inner.layout.align());
    match NonNull::new(start) {
        // SAFETY: just served for the layout.
        Some(start) => (unsafe { inner.open(start, request) }.as_ptr(), zero),
        None => (ptr::null_mut(), false),
    }
}

/// Takes a block back; null is none. Ends the process if it is no block in use.
///
/// # Safety
///
/// Nobody uses the block any more.
pub unsafe fn release(block: *mut u8) {
    if !block.is_null() {
        // SAFETY: the caller's contract; it is a block in use.
        unsafe { expect_malloced(block).give_back() };
    }
}

/// Bytes that the user of `block` may use, which are those that were asked for: 0 for null.
///
/// # Safety
///
/// As for [`release`], and the block is in use.
pub unsafe fn usable_size(block: *mut u8) -> usize {
    if block.is_null() { 0 } else { expect_malloced(block).request.size }
}

/// Makes a block hold `size` bytes, elsewhere if it must: null with the error number set if there is no
/// memory, and the block is then as it was.
///
/// # Safety
///
/// As for [`release`], and neither is `block` null nor `size` 0.
pub unsafe fn resize(block: *mut u8, size: usize) -> *mut u8 {
    let live = expect_malloced(block);
    let to = live.request.resized(size);
    // SAFETY: the caller's contract; it is a block in use.
    if let Some(resized) = unsafe { live.resize_in_place(to) } {
        return resized.as_ptr();
    }
    let new = open(to).0;
    if !new.is_null() {
        // SAFETY: two blocks, each of at least the bytes copied; then the old one is given up.
        unsafe {
            ptr::copy_nonoverlapping(block, new, live.request.size.min(size));
            live.give_back();
        }
    }
    new
}
