//! Marks free memory for AddressSanitizer (`--cfg highwater_asan`, `.ci/sanitizers`): an access to a free
//! block behind its first word is reported, be it the program's or the allocator's.

use core::ffi::c_void;

unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const c_void, bytes: usize);
    fn __asan_unpoison_memory_region(start: *const c_void, bytes: usize);
}

/// The user's from now on: `bytes` from `block` on, which may be null.
pub fn open(block: *mut u8, bytes: usize) -> *mut u8 {
    if !block.is_null() {
        // SAFETY: only the tool's own notes change.
        unsafe { __asan_unpoison_memory_region(block.cast(), bytes) };
    }
    block
}

/// Nobody's from now on but for the first word, which may become a link.
pub fn close(block: *mut u8, bytes: usize) {
    const LINK: usize = size_of::<usize>();
    if bytes > LINK {
        // SAFETY: only the tool's own notes change.
        unsafe { __asan_poison_memory_region(block.wrapping_add(LINK).cast(), bytes - LINK) };
    }
}
