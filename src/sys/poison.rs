//! Marks free memory for a tool that watches every access: there is none in a build that is used.

#![forbid(unsafe_code)]

/// The user's from now on: `bytes` from `block` on, which may be null.
#[inline(always)]
pub fn open(block: *mut u8, _bytes: usize) -> *mut u8 {
    block
}

/// Nobody's from now on but for the first word, which may become a link.
#[inline(always)]
pub fn close(_block: *mut u8, _bytes: usize) {}
