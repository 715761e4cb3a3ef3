//! [`GlobalAlloc`]: the door through which a Rust program comes in. What it says is believed.
//!
//! `door_hardened.rs` takes this file's place with the feature `hardened`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use super::global::Highwater;
use crate::base::class::SizeClass;
use crate::sys::poison;

/// A Rust program comes for more blocks: nothing to be done.
#[inline(always)]
pub fn comes_for_more() {}

// SAFETY: blocks come from mapped memory that no other block overlaps, at least as large and as
// aligned as asked (class.rs tests every size); nothing here unwinds or allocates from elsewhere.
unsafe impl GlobalAlloc for Highwater {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        poison::open(self.serve(layout), layout.size())
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller passes a block that `alloc` returned, which is not null, and its layout.
        unsafe { Self::take_back(NonNull::new_unchecked(block), layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.serve_zeroed(layout)
    }

    // Not inlined: what it saves is little beside the copy, and every growing collection has a call.
    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller has checked that `size` and the alignment make a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, align) };
        let new = match (SizeClass::inlined(layout.size(), align), SizeClass::inlined(size, align))
        {
            (Some(from), Some(to)) if from == to => return poison::open(block, size),
            (Some(_), Some(_)) => self.serve(wanted),
            _ => {
                // SAFETY: the caller passes a block that `alloc` returned, which is not null.
                let old = unsafe { NonNull::new_unchecked(block) };
                // SAFETY: the caller's contract.
                if let Some(resized) = unsafe { Self::resize(old, layout, size) } {
                    return poison::open(resized.as_ptr(), size);
                }
                self.alloc_moved(layout.size(), wanted)
            }
        };
        poison::open(new, size);
        if !new.is_null() {
            // SAFETY: two blocks, each of at least the bytes copied; then the old one is given up.
            unsafe {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        new
    }
}
