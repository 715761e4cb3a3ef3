//! Bursts: many blocks at once, then none, in one size after the other.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;

pub const MIB: usize = 1 << 20;

/// The size of each burst's blocks: neighbours come from different places of the allocator.
const SIZES: [usize; 9] = [64, 1000, 200, 16 << 10, 48, 100 << 10, 3000, 700 << 10, 400];

/// What every block is filled with, behind its link.
const FILLING: u8 = 0xA5;

/// Blocks, each of which leads to the one made before it. Filled, so that they are resident.
pub struct Burst<'a, A: GlobalAlloc> {
    allocator: &'a A,
    last: *mut u8,
    layout: Layout,
}

impl<'a, A: GlobalAlloc> Burst<'a, A> {
    /// Blocks of `size` bytes, at least a pointer's, `bytes` in all.
    pub fn new(allocator: &'a A, bytes: usize, size: usize) -> Self {
        let layout = Layout::from_size_align(size, 8).unwrap();
        let mut burst = Burst { allocator, last: ptr::null_mut(), layout };
        for _ in 0..bytes / size {
            // SAFETY: not of size 0.
            let block = unsafe { allocator.alloc(layout) };
            assert!(!block.is_null());
            // SAFETY: a block of this size, ours.
            unsafe { fill(block, size) };
            burst.push(block);
        }
        burst
    }

    /// One block, made `from` bytes large and grown by doubling up to `to`.
    #[allow(dead_code, reason = "not every test file grows one")]
    pub fn grown(allocator: &'a A, from: usize, to: usize) -> Self {
        let mut burst = Burst::new(allocator, from, from);
        while burst.layout.size() < to {
            let size = (burst.layout.size() * 2).min(to);
            // SAFETY: a live block with its layout.
            let block = unsafe { allocator.realloc(burst.last, burst.layout, size) };
            assert!(!block.is_null());
            burst.layout = Layout::from_size_align(size, 8).unwrap();
            burst.last = block;
            // SAFETY: a block of this size, ours; it is the only one, so its link is null.
            unsafe { fill(block, size) };
            burst.last = ptr::null_mut();
            burst.push(block);
        }
        burst
    }

    fn push(&mut self, block: *mut u8) {
        // SAFETY: at least a pointer's size, and aligned for one.
        unsafe { block.cast::<*mut u8>().write(self.last) };
        self.last = block;
    }

    /// Every block holds what it was filled with.
    #[allow(dead_code, reason = "not every test file looks")]
    #[track_caller]
    pub fn assert_whole(&self) {
        let mut block = self.last;
        while !block.is_null() {
            let link = size_of::<*mut u8>();
            // SAFETY: a live block of this size.
            let filling =
                unsafe { std::slice::from_raw_parts(block.add(link), self.layout.size() - link) };
            assert!(filling.iter().all(|&byte| byte == FILLING));
            // SAFETY: its link.
            block = unsafe { block.cast::<*mut u8>().read() };
        }
    }
}

/// # Safety
///
/// `block` is valid for writes of `size` bytes.
unsafe fn fill(block: *mut u8, size: usize) {
    // SAFETY: the caller's contract.
    unsafe { block.write_bytes(FILLING, size) };
}

impl<A: GlobalAlloc> Drop for Burst<'_, A> {
    fn drop(&mut self) {
        while !self.last.is_null() {
            let block = self.last;
            // SAFETY: a live block with its link; then it is given up with its layout.
            unsafe {
                self.last = block.cast::<*mut u8>().read();
                self.allocator.dealloc(block, self.layout);
            }
        }
    }
}

/// A burst of `bytes` bytes in each size, one after the other, each dropped before the next.
pub fn burst_and_drop(allocator: &impl GlobalAlloc, bytes: usize) {
    for size in SIZES {
        drop(Burst::new(allocator, bytes, size));
    }
}
