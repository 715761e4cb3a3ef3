//! Carving a pool: blocks that never were become a list.

use core::ptr::NonNull;

use super::block::{self, Block};
use super::link;
use super::pool::Pool;
use crate::base::class::SizeClass;

impl Pool {
    /// Whether no block is left to carve, again or for the first time; the pool is of `class`.
    pub fn is_all_carved(&self, class: SizeClass) -> bool {
        self.carved() == class.capacity() && self.purged() == 0
    }

    /// Blocks that never were.
    pub fn uncarved(&self, class: SizeClass) -> usize {
        class.capacity() - self.carved()
    }

    /// Carves `count` blocks that never were into a list. Returns the first.
    ///
    /// # Safety
    ///
    /// The caller owns the pool, which is of `class`; `count` is not 0, and there are so many.
    pub unsafe fn carve(&self, class: SizeClass, count: usize) -> NonNull<Block> {
        let carved = self.carved();
        // SAFETY: blocks from `carved` up to the capacity lie within the pool, and nobody has them.
        let first = unsafe {
            let from = self.start().add(carved * class.block_size());
            block::carve(from, class.block_size(), count)
        };
        self.carved.set((carved + count) as u16);
        first
    }

    /// Links the blocks of a pool of which none is used one behind the other, if its list goes to and
    /// fro: following it would cost more than writing it. Not where there are so few blocks that
    /// looking costs as much.
    ///
    /// # Safety
    ///
    /// The caller owns the pool, which is of `class`.
    pub unsafe fn straighten(&self, class: SizeClass) {
        let is_worth_it = link::KEEPS_ORDER && Self::has_many(class);
        if !is_worth_it || self.absent() != 0 || self.carved() == 0 {
            return;
        }
        // SAFETY: the caller owns the pool, so its list, on which all its blocks are.
        unsafe {
            if !block::is_in_order(self.free.get(), class.block_size()) {
                let first = block::carve(self.start(), class.block_size(), self.carved());
                self.free.set(first.as_ptr());
            }
        }
    }
}
