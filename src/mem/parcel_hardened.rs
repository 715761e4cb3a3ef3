//! A parcel: blocks of one pool that go back to its owner together, each linked to the one that was freed before it.
//!
//! The links cost a cache line's way to and fro for each block (`parcel.rs`), and are worth it here: they show a block that is
//! freed twice, or written to, before its owner has it (`link_hardened.rs`).

use core::ptr::{self, NonNull};

use super::block::{self, Block};
use crate::base::class::SizeClass;
use crate::sync::word::{Word16, WordPtr};

/// See the module.
pub struct Parcel {
    first: WordPtr<Block>,
    last: WordPtr<Block>,
    /// Blocks for which there is room until it is to go.
    left: Word16,
    /// Blocks that it is to have.
    enough: Word16,
}

impl Parcel {
    pub const fn new() -> Self {
        Self {
            first: WordPtr::new(ptr::null_mut()),
            last: WordPtr::new(ptr::null_mut()),
            left: Word16::new(0),
            enough: Word16::new(0),
        }
    }

    /// Begins anew: to go with `enough` blocks.
    pub fn begin(&self, enough: usize) {
        self.first.set(block::NONE);
        self.left.set(enough as u16);
        self.enough.set(enough as u16);
    }

    /// Blocks that it has.
    pub fn count(&self) -> usize {
        (self.enough.get() - self.left.get()) as usize
    }

    /// Adds a block of `class`, unless it would be the last one. Whether it did.
    ///
    /// # Safety
    ///
    /// Begun; nobody uses the block any more, and all are of one pool.
    #[inline(always)]
    pub unsafe fn add(&self, block: NonNull<Block>, class: SizeClass) -> bool {
        let is_last = self.left.get() == 1;
        if !is_last {
            // SAFETY: the caller's contract.
            unsafe { self.add_last(block, class) };
        }
        !is_last
    }

    /// Adds the last block.
    ///
    /// # Safety
    ///
    /// As for [`Parcel::add`].
    pub unsafe fn add_last(&self, block: NonNull<Block>, _class: SizeClass) {
        let behind = self.first.get();
        if behind.is_null() {
            self.last.set(block.as_ptr());
        }
        // SAFETY: the caller's contract.
        unsafe { Block::set_next(block, behind) };
        self.first.set(block.as_ptr());
        self.left.set(self.left.get() - 1);
    }

    /// How far behind the pool's start, `start`, its first block lies, and its last block, which [leads](lead) nowhere yet.
    ///
    /// # Safety
    ///
    /// It has blocks, which are of that pool and the caller's.
    pub unsafe fn pack(&self, start: NonNull<u8>, _class: SizeClass) -> (usize, NonNull<Block>) {
        let last = NonNull::new(self.last.get());
        let offset = self.first.get().addr().wrapping_sub(start.addr().get());
        (offset, last.unwrap_or(start.cast()))
    }
}

/// Has the last block of a parcel lead to the first one of another, which lies so far behind the pool's start.
///
/// # Safety
///
/// `last` came from [`Parcel::pack`], and nobody has taken the parcel yet.
pub unsafe fn lead(last: NonNull<Block>, start: NonNull<u8>, behind: Option<usize>) {
    // SAFETY: the caller's contract; the blocks of a list are within their pool.
    unsafe {
        Block::set_next(last, behind.map_or(block::NONE, |behind| at(start, behind).as_ptr()))
    };
}

/// Puts the blocks of all parcels from the one on that lies `first` bytes behind the pool's start, `start`, in front of `list`.
/// Returns the list's first block.
///
/// # Safety
///
/// The parcels are the caller's, and of the pool that starts there.
pub unsafe fn unpack(
    start: NonNull<u8>,
    _class: SizeClass,
    first: usize,
    list: *mut Block,
) -> *mut Block {
    let first = at(start, first);
    if !list.is_null() {
        // SAFETY: the caller's blocks.
        unsafe { Block::set_next(block::last(first).0, list) };
    }
    first.as_ptr()
}

/// The block that lies so many bytes behind a pool's start.
fn at(start: NonNull<u8>, offset: usize) -> NonNull<Block> {
    // SAFETY: within the pool, as every block of its lists.
    unsafe { start.add(offset).cast() }
}
