//! How a free block says which one is next, and where blocks and pools are put: in order.
//!
//! `link_hardened.rs` takes this file's place with the feature `hardened`.

use core::ptr::NonNull;

use super::block::Block;
use super::slots::SlotSet;
use crate::sync::word::WordPtr;

/// The first word of a free block.
pub struct Link {
    next: *mut Block,
}

impl Link {
    /// The block behind this one; null at the end.
    ///
    /// # Safety
    ///
    /// Written by [`Link::write`], and the block is free since.
    #[inline(always)]
    pub unsafe fn read(link: NonNull<Link>) -> *mut Block {
        // SAFETY: the caller's contract.
        unsafe { (*link.as_ptr()).next }
    }

    /// As [`Link::read`], of a block that leaves its list.
    ///
    /// # Safety
    ///
    /// As for [`Link::read`].
    #[inline(always)]
    pub unsafe fn take(link: NonNull<Link>) -> *mut Block {
        // SAFETY: the caller's contract.
        unsafe { Self::read(link) }
    }

    /// Makes the block a free one whose list goes on with `next`.
    ///
    /// # Safety
    ///
    /// The block is valid for a write, and used by nobody.
    #[inline(always)]
    pub unsafe fn write(link: NonNull<Link>, next: *mut Block) {
        // SAFETY: the caller's contract.
        unsafe { link.write(Link { next }) };
    }
}

/// Puts a block onto a list, as its first.
///
/// # Safety
///
/// The block is nobody's, and the list the caller's.
#[inline(always)]
pub unsafe fn put(block: NonNull<Block>, list: &WordPtr<Block>) {
    // SAFETY: the caller's contract.
    unsafe { Block::set_next(block, list.get()) };
    list.set(block.as_ptr());
}

/// Nothing need be prepared.
#[inline(always)]
pub fn start() {}

/// Whether a list's order matters.
pub const KEEPS_ORDER: bool = true;

/// In which order the `count` blocks of a run are put in front of a list: the last first, so that the list
/// has them as they lie.
#[inline(always)]
pub fn order(count: usize) -> impl Iterator<Item = usize> {
    (0..count).rev()
}

/// Which of the free slots a pool or span is given: the lowest `slots` in a row at a multiple of `align`.
#[inline(always)]
pub fn place(free: &SlotSet, slots: usize, align: usize) -> Option<usize> {
    free.find(slots, align)
}
