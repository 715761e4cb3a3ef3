//! Memory for a C program's request, from wherever its size and alignment say.

use core::ptr::{self, NonNull};

use super::super::settings;
use crate::base::class::SizeClass;
use crate::heap::{large, local, span, sweeper, watch};
use crate::sys;

/// The largest request that is not refused at once, bytes: what the difference of two pointers can say.
pub const REQUEST_MAX: usize = isize::MAX as usize;

/// A block, or null, and whether all its bytes are known to be zero.
pub fn allocate_at(size: usize, align: usize) -> (*mut u8, bool) {
    allocate_with_room(size, align, size)
}

/// As [`allocate_at`], with room to grow to `room` bytes where it is, if it is a span.
#[inline(always)]
pub fn allocate_with_room(size: usize, align: usize, room: usize) -> (*mut u8, bool) {
    if size > REQUEST_MAX {
        return (refused(), false);
    }
    match SizeClass::of(size, align) {
        Some(class) => (allocate_of(class), false),
        None => allocate_unpooled(size, align, room),
    }
}

/// A block of `class`, or null.
#[inline(always)]
pub fn allocate_of(class: SizeClass) -> *mut u8 {
    local::heap().pop_latest(class).map_or_else(|| refill(class), NonNull::as_ptr)
}

#[inline(never)]
fn allocate_unpooled(size: usize, align: usize, room: usize) -> (*mut u8, bool) {
    settings::read_environment_once();
    // A span that nothing was asked of is a kept one.
    let size = size.max(1);
    let found = match span::fits(size, align) {
        true => span::alloc_with_room(size, align, room),
        false => large::alloc(size, align),
    };
    sweeper::start_if_due();
    found.map_or_else(|| (refused(), false), |(block, zero)| (block.as_ptr(), zero))
}

/// The current list is exhausted, or the thread has no heap yet.
#[cold]
#[inline(never)]
fn refill(class: SizeClass) -> *mut u8 {
    settings::read_environment_once();
    let block = local::with(|heap| heap.pop(class).or_else(|| heap.refill(class)));
    sweeper::start_if_due();
    let Some(block) = block.flatten() else { return refused() };
    if local::heap().is_nobody() {
        watch::allocated(class);
    }
    block.as_ptr()
}

/// Null, and the error number that says why.
#[cold]
pub fn refused() -> *mut u8 {
    sys::set_errno(libc::ENOMEM);
    ptr::null_mut()
}
