//! A free block: what it begins with links it to the next (`link.rs`). A block in use is the user's alone.

use core::ptr::{self, NonNull};

use super::link::{self, Link};
use crate::base::geometry::{POOL_SMALL, SLOT_SIZE};
use crate::sync::atomic::{Ordering::SeqCst, compiler_fence};
use crate::sys::poison;

/// A free block. At least as large as a link, aligned to eight.
#[repr(transparent)]
pub struct Block {
    _link: Link,
}

impl Block {
    /// The block behind this one on its list; null at the end.
    ///
    /// # Safety
    ///
    /// The block is free, on a list, and the caller owns that list.
    #[inline(always)]
    pub unsafe fn next(block: NonNull<Block>) -> *mut Block {
        // SAFETY: a listed block begins with the link that `set_next` wrote.
        unsafe { Link::read(block.cast()) }
    }

    /// As [`Block::next`], of the list's first block, which leaves it.
    ///
    /// # Safety
    ///
    /// As for [`Block::next`].
    #[inline(always)]
    pub unsafe fn take_next(block: NonNull<Block>) -> *mut Block {
        // SAFETY: as in `next`.
        unsafe { Link::take(block.cast()) }
    }

    /// Makes `block` a free one whose list goes on with `next`.
    ///
    /// # Safety
    ///
    /// * `block` is as large as a link, aligned to eight, valid for a write, and used by nobody.
    #[inline(always)]
    pub unsafe fn set_next(block: NonNull<Block>, next: *mut Block) {
        poison::open(block.as_ptr().cast(), size_of::<Block>());
        // SAFETY: the caller gave the block up.
        unsafe { Link::write(block.cast(), next) };
    }
}

/// Links `count` blocks of `size` bytes from `start` upwards into a list, as they lie or, with the feature
/// `hardened`, in no order; returns the first.
///
/// # Safety
///
/// `start` is followed by `count * size` writable bytes that nobody uses; `count` is not 0.
pub unsafe fn carve(start: NonNull<u8>, size: usize, count: usize) -> NonNull<Block> {
    let mut next = NONE;
    for index in link::order(count) {
        // SAFETY: below `count`, so within the range.
        let block = unsafe { start.add(index * size) }.cast::<Block>();
        // SAFETY: the range is the caller's to give, and its blocks are multiples of eight bytes.
        unsafe { Block::set_next(block, next) };
        next = block.as_ptr();
    }
    // SAFETY: `count` is not 0, so `next` is a block.
    unsafe { NonNull::new_unchecked(next) }
}

/// No list has more blocks: the smallest are of eight bytes, and no class of them has larger pools; as many may be of other pools.
const BLOCKS_MOST: usize = 2 * (POOL_SMALL / 8);

/// The last block of a list and how many there are. Reads every link. A block that was freed twice may be
/// behind itself: whoever walks such a list ends the process.
///
/// # Safety
///
/// The caller owns the list that begins with `first`.
pub unsafe fn last(first: NonNull<Block>) -> (NonNull<Block>, usize) {
    let (mut block, mut count) = (first, 1);
    // SAFETY: each is on the caller's list.
    while let Some(next) = NonNull::new(unsafe { Block::next(block) }) {
        block = next;
        count += 1;
        invariant!(count <= BLOCKS_MOST, "a list of free blocks has an end");
    }
    (block, count)
}

/// The blocks of the list at `first`, each of which may be taken off it meanwhile; null has none.
///
/// # Safety
///
/// The caller owns the list.
pub unsafe fn each(first: *mut Block) -> impl Iterator<Item = NonNull<Block>> {
    let (mut next, mut count) = (first, 0);
    core::iter::from_fn(move || {
        let block = NonNull::new(next)?;
        // SAFETY: on the caller's list.
        next = unsafe { Block::next(block) };
        count += 1;
        invariant!(count <= BLOCKS_MOST, "a list of free blocks has an end");
        Some(block)
    })
}

/// Has a list go on with another one, whose first block is `list`: null is none.
///
/// # Safety
///
/// The caller owns both.
pub unsafe fn join(first: NonNull<Block>, list: *mut Block) {
    if !list.is_null() {
        // SAFETY: the caller's contract.
        unsafe { Block::set_next(last(first).0, list) };
    }
}

/// How many blocks the list at `first` has; null has none.
///
/// # Safety
///
/// The caller owns the list.
pub unsafe fn length(first: *mut Block) -> usize {
    // SAFETY: the caller's contract.
    NonNull::new(first).map_or(0, |first| unsafe { last(first) }.1)
}

/// Whether the first blocks of a list lie side by side, in either direction: then so do most of the
/// others, and the processor fetches them ahead. Reads a few links.
///
/// # Safety
///
/// The caller owns the list, whose blocks are of `size` bytes.
pub unsafe fn is_in_order(first: *mut Block, size: usize) -> bool {
    let mut block = first;
    (0..LINKS_LOOKED_AT).all(|_| {
        let Some(here) = NonNull::new(block) else { return true };
        // SAFETY: on the caller's list.
        block = unsafe { Block::next(here) };
        block.is_null() || block.addr().abs_diff(here.addr().get()) == size
    })
}

/// Links by which a list is judged.
const LINKS_LOOKED_AT: usize = 4;

/// Has the processor fetch, to be written to, a block that will be allocated soon; any address is allowed.
/// Blocks in random order, or which another processor wrote last, would be waited for: one instruction more
/// on the fast path makes batches of mixed sizes a tenth faster (`docs/benchmarks.md`, "Prefetching").
#[inline(always)]
pub fn expect(block: *mut Block) {
    let _address = block.addr();
    // The intrinsic would not fetch for writing unless told of newer processors; older ones do nothing.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: changes nothing that the program sees, and does not fault.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) _address, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) _address, options(nomem, nostack, preserves_flags));
    }
}

/// Fills the `size` bytes from `start` with zeros: piece by piece, or, of a large block that ends where an OS page does, the
/// last line by itself.
///
/// A single call would use the processor's string store. That takes long to begin: what is in a cache is filled sooner by
/// pieces. And it comes to the block's end, and looks up the page behind. Behind the last block that was
/// ever in use is one that nobody has touched, so it looks long, and for nothing: for blocks of 4 KiB, one after the other,
/// 117 ns in place of 49 (`docs/benchmarks.md`, "Zeroed blocks").
///
/// # Safety
///
/// The bytes are the caller's to write.
#[inline(always)]
pub unsafe fn zero(start: *mut u8, size: usize) {
    let ends_a_page = start.addr().wrapping_add(size).is_multiple_of(SLOT_SIZE);
    let piece = match size {
        ..=PIECES_MAX => PIECE,
        _ if ends_a_page => size - LAST_LINE,
        _ => size,
    };
    let mut done = 0;
    while done < size {
        let bytes = piece.min(size - done);
        // SAFETY: the caller's contract.
        unsafe { start.add(done).write_bytes(0, bytes) };
        // For the compiler only, which would make one of all again.
        compiler_fence(SeqCst);
        done += bytes;
    }
}

/// Bytes, so few that no string store is used for them: the C library's `memset` has one from more than 2 KiB on.
const PIECE: usize = 2 << 10;
/// The largest block that is filled in such pieces. What is longer is seldom in a cache, and a string store then fetches
/// nothing before it is overwritten.
const PIECES_MAX: usize = 8 << 10;
/// As [`PIECE`].
const LAST_LINE: usize = 64;

/// No block.
pub const NONE: *mut Block = ptr::null_mut();

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::base::class::SizeClass;

    #[test]
    fn no_pool_has_more_blocks_than_the_longest_list() {
        assert!(SizeClass::all().all(|class| class.capacity() <= BLOCKS_MOST));
    }

    #[test]
    fn a_block_is_zero_from_end_to_end_and_nothing_beside_it_is() {
        let mut room = vec![0_u8; 6 * SLOT_SIZE];
        let pages = room.as_ptr().align_offset(SLOT_SIZE);
        for start in [pages, pages + 8, pages + SLOT_SIZE - 16] {
            for size in
                [0, 1, PIECE, PIECE + 1, SLOT_SIZE, SLOT_SIZE + 16, 2 * SLOT_SIZE, 3 * SLOT_SIZE]
            {
                room.fill(1);
                // SAFETY: within the room.
                unsafe { zero(room.as_mut_ptr().add(start), size) };
                let is_right = |(at, &byte): (usize, &u8)| {
                    byte == u8::from(!(start..start + size).contains(&at))
                };
                assert!(room.iter().enumerate().all(is_right), "{size} bytes from {start}");
            }
        }
    }
}
