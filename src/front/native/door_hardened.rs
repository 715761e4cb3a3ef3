//! [`GlobalAlloc`]: the door through which a Rust program comes in. Nothing that it gives back is believed.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use super::beyond;
use super::global::Highwater;
use super::guarded::{self, Inner};
use super::seal::Request;
use crate::heap::local;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How often a Rust program comes for more blocks before accesses to guards are heard of: Rust's own handler is set in
/// the midst of its first allocations, and would take the place of one that came before.
const COMES_BEFORE: usize = 64;

/// A Rust program comes for more blocks.
#[inline]
pub fn comes_for_more() {
    static COMES: AtomicUsize = AtomicUsize::new(0);
    if COMES.fetch_add(1, Relaxed) == COMES_BEFORE {
        beyond::hear();
    }
}

impl Highwater {
    /// Has `serve` serve what is asked for; null if it does.
    #[inline(never)]
    fn open(request: Request, serve: impl FnOnce(Layout) -> *mut u8) -> *mut u8 {
        let Some(inner) = Inner::of(request) else { return ptr::null_mut() };
        match NonNull::new(serve(inner.layout)) {
            // SAFETY: just served for the layout.
            Some(start) => unsafe { inner.open(start, request) }.as_ptr(),
            None => ptr::null_mut(),
        }
    }

    /// Takes back what is of no small class, or wrong: the process then ends.
    #[inline(never)]
    fn take_back_more(block: *mut u8, request: Request) {
        let live = guarded::expect(block, request);
        if let Some(inner) = Inner::of(request) {
            // SAFETY: a live block that was served for that layout, and its user gave it up.
            unsafe { Self::take_back(live.give_up(), inner.layout) };
        }
    }
}

// SAFETY: as without the feature; what the program gets lies within what the allocator serves for a larger
// layout of the same alignment, behind whole OS pages if at all.
unsafe impl GlobalAlloc for Highwater {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let request = Request::of(layout);
        let Some(class) = guarded::small_class(request) else {
            return Self::open(request, |inner| self.serve(inner));
        };
        let block = self.serve_pooled(class);
        if let Some(block) = NonNull::new(block) {
            // SAFETY: just served, of the class for the request.
            unsafe { guarded::open_small(block, class, request) };
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let request = Request::of(layout);
        let Some(class) = guarded::small_class(request) else {
            return Self::take_back_more(block, request);
        };
        // SAFETY: the caller gives the block up.
        match unsafe { guarded::close_small(block, class, request) } {
            // SAFETY: a block of the class that was in use.
            Some(block) => unsafe { local::heap().push(block, class) },
            None => Self::take_back_more(block, request),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let request = Request::of(layout);
        if guarded::small_class(request).is_none() {
            return Self::open(request, |inner| self.serve_zeroed(inner));
        }
        // SAFETY: as for `alloc`.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: a block of this size, just allocated.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (from, to) = (Request::of(layout), Request::of(layout).resized(size));
        if let Some(class) = guarded::small_class(from)
            && guarded::small_class(to) == Some(class)
            // SAFETY: the caller's contract: nobody uses the block meanwhile.
            && let Some(block) = unsafe { guarded::close_small(block, class, from) }
        {
            // SAFETY: the same block, of the class for what it is now.
            unsafe { guarded::open_small(block, class, to) };
            return block.as_ptr();
        }
        // SAFETY: the caller's contract: a live block with its layout.
        if let Some(resized) = unsafe { guarded::expect(block, from).resize_in_place(to) } {
            return resized.as_ptr();
        }
        let new = Self::open(to, |inner| self.serve(inner));
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
