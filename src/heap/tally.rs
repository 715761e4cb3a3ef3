//! A tally: what a free to a pool that is not current needs of its class, on one cache line.

use core::cell::UnsafeCell;

use super::tenancy::Countdown;
use crate::base::class::SizeClass;

/// See the module.
pub struct Tally {
    /// Frees but for those to current pools, until they are published: from one pool's capacity on.
    pub frees: Countdown,
    /// What is left of a block's address when the part inside its pool is taken away; the upper bits
    /// are all like the highest of these. In tables by itself it would be one more line.
    pool_mask: UnsafeCell<i32>, // No word of `sync`: an atomic load cannot widen it in the same instruction.
}

// SAFETY: the mask is written by `begin` only, before anything reads it.
unsafe impl Sync for Tally {}

impl Tally {
    /// All bits zero.
    pub const fn zero() -> Self {
        Self { frees: Countdown::zero(), pool_mask: UnsafeCell::new(0) }
    }

    /// Writes what is not zero.
    ///
    /// # Safety
    ///
    /// No other thread has the heap yet, or a block that it could free as if it had.
    pub unsafe fn begin(&self, class: SizeClass) {
        self.frees.set(class.capacity() as u32);
        // SAFETY: the caller's contract.
        unsafe { *self.pool_mask.get() = -(class.pool_size() as i32) };
    }

    /// See the field.
    #[inline(always)]
    pub fn pool_mask(&self) -> usize {
        // SAFETY: not written any more.
        unsafe { *self.pool_mask.get() as isize as usize }
    }
}
