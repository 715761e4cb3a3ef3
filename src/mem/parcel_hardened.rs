//! A parcel: blocks of one pool that go back to its owner together, each linked to the one that was freed before it.
//!
//! The links cost a cache line's way to and fro for each block (`parcel.rs`), and are worth it here: they show a block that is
//! freed twice, or written to, before its owner has it (`link_hardened.rs`).

use core::ptr::{self, NonNull};

use super::block::{self, Block};
use super::remote_word::Listed;
use crate::base::class::SizeClass;
use crate::sync::word::{Word16, WordPtr};
use crate::sys::fatal;

/// A parcel that can be posted.
pub struct Packed {
    /// How far behind the pool's start its first block lies.
    pub offset: usize,
    last: NonNull<Block>,
    /// Blocks that are not linked: none.
    pub others: usize,
}

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
    pub fn begin(&self, enough: usize, _first: NonNull<Block>) {
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

    /// Calls `each` with every block.
    pub fn for_each(&self, _start: NonNull<u8>, each: impl Fn(NonNull<Block>)) {
        // SAFETY: they are the parcel's.
        unsafe { block::each(self.first.get()) }.take(self.count()).for_each(each);
    }

    /// As its blocks are linked already, for the pool that starts at `start`.
    ///
    /// # Safety
    ///
    /// It has blocks, which are of that pool and the caller's.
    pub unsafe fn pack(&self, start: NonNull<u8>, _class: SizeClass) -> Packed {
        let Some(last) = NonNull::new(self.last.get()) else {
            fatal::die("a parcel that goes has blocks", file!(), line!());
        };
        let offset = self.first.get().addr().wrapping_sub(start.addr().get());
        Packed { offset, last, others: 0 }
    }
}

impl Packed {
    /// Has it lead to a block that lies so far behind the pool's start, `start`.
    ///
    /// # Safety
    ///
    /// It is not posted yet.
    pub unsafe fn lead(&self, start: NonNull<u8>, behind: Option<usize>) {
        let behind =
            behind.map_or(block::NONE, |behind| start.as_ptr().wrapping_add(behind).cast());
        // SAFETY: the last block is the caller's.
        unsafe { Block::set_next(self.last, behind) };
    }
}

/// Puts the blocks of all parcels that wait for the pool that starts at `start` in front of `list`. Returns the first.
///
/// # Safety
///
/// The parcels are the caller's, and of that pool.
pub unsafe fn take_in(
    start: NonNull<u8>,
    _class: SizeClass,
    listed: Listed,
    list: *mut Block,
) -> NonNull<Block> {
    // SAFETY: within the pool.
    let first = unsafe { start.add(listed.offset) }.cast();
    // SAFETY: the caller's contract.
    unsafe { block::join(first, list) };
    first
}
