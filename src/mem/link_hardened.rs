//! How a free block says which one is next, so that nobody else can; and where blocks and pools are put:
//! at random.
//!
//! ```text
//! a free block   | next ^ key ^ address | bond(address, next) | ...
//! ```
//!
//! The second word ties the first to where it lies. Both are looked at whenever the link is read, and wiped
//! when the block leaves its list: so a link that was written over, by who had freed the block or by who ran
//! on from the block before, ends the process at the block's next use; and so does a block that comes off a
//! list twice.

use core::ptr::{self, NonNull};

use super::block::Block;
use super::slots::SlotSet;
use super::{find, secret};
use crate::base::geometry::{POOL_BIG, POOL_SMALL};
use crate::sync::word::WordPtr;
use crate::sys;

pub use super::secret::start;

/// The first two words of a free block.
#[repr(C)]
pub struct Link {
    next: usize,
    bond: usize,
}

impl Link {
    /// Of a block that is on no list.
    const NONE: Link = Link { next: 0, bond: 0 };

    fn of(at: usize, next: usize) -> Link {
        Link { next: next ^ secret::key() ^ at, bond: secret::mix(at, next) }
    }

    /// Where the link leads; `None` if it is none that was written at `at`.
    fn leads_to(&self, at: usize) -> Option<usize> {
        let next = self.next ^ secret::key() ^ at;
        // All blocks of a list are of one pool, and no pool reaches across a multiple of the largest size.
        let is_near = next == 0 || (next ^ at) < POOL_BIG;
        (is_near && self.bond == secret::mix(at, next)).then_some(next)
    }

    /// Whether a link was written here, and nothing over it: the block is on some list.
    ///
    /// # Safety
    ///
    /// Valid for reads.
    pub unsafe fn is_whole(link: NonNull<Link>) -> bool {
        // SAFETY: the caller's contract; nothing is said of the alignment.
        unsafe { link.read_unaligned() }.leads_to(link.addr().get()).is_some()
    }

    /// The block behind this one; null at the end.
    ///
    /// # Safety
    ///
    /// Written by [`Link::write`], and the block is free since.
    #[inline(always)]
    pub unsafe fn read(link: NonNull<Link>) -> *mut Block {
        // SAFETY: the caller's contract.
        match unsafe { link.read() }.leads_to(link.addr().get()) {
            Some(next) => ptr::with_exposed_provenance_mut(next),
            None => overwritten(link),
        }
    }

    /// As [`Link::read`], of a block that leaves its list.
    ///
    /// # Safety
    ///
    /// As for [`Link::read`], and nobody else reads it.
    #[inline(always)]
    pub unsafe fn take(link: NonNull<Link>) -> *mut Block {
        // SAFETY: the caller's contract.
        unsafe {
            let next = Self::read(link);
            link.write(Link::NONE);
            next
        }
    }

    /// Makes the block a free one whose list goes on with `next`.
    ///
    /// # Safety
    ///
    /// The block has two words, is valid for a write of them, and used by nobody.
    #[inline(always)]
    pub unsafe fn write(link: NonNull<Link>, next: *mut Block) {
        // SAFETY: the caller's contract.
        unsafe { link.write(Link::of(link.addr().get(), next.addr())) };
    }
}

#[cold]
#[inline(never)]
fn overwritten(link: NonNull<Link>) -> ! {
    // SAFETY: a free block lies in a pool, whose arena is mapped.
    let size = match unsafe { find::find(link.addr().get()) } {
        find::Found::Pool(_, class) => class.block_size(),
        _ => 0,
    };
    sys::fatal::complain(format_args!("write after free: {link:p}, a free block of {size} bytes"));
    sys::abort()
}

/// Puts a block onto a list: as its first or its second, which nobody outside can tell.
///
/// # Safety
///
/// The block is nobody's, and the list the caller's.
#[inline(always)]
pub unsafe fn put(block: NonNull<Block>, list: &WordPtr<Block>) {
    const COIN: usize = 1 << (usize::BITS - 1);
    let first = list.get();
    if secret::mix(block.addr().get(), first.addr()) & COIN != 0
        && let Some(first) = NonNull::new(first)
    {
        // SAFETY: the caller's contract: both are free blocks of the caller's.
        unsafe {
            Block::set_next(block, Block::next(first));
            Block::set_next(first, block.as_ptr());
        }
        return;
    }
    // SAFETY: the caller's contract.
    unsafe { Block::set_next(block, first) };
    list.set(block.as_ptr());
}

/// Blocks in the pool that has the most.
const BLOCKS_MAX: usize = POOL_SMALL / 8;

/// Numbers below a count, each once, in an order that nobody outside can tell.
struct Shuffled {
    left: [u16; BLOCKS_MAX],
    count: usize,
}

impl Iterator for Shuffled {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let last = self.count.checked_sub(1)?;
        let chosen = secret::below(self.count);
        let number = self.left[chosen];
        self.left[chosen] = self.left[last];
        self.count = last;
        Some(number as usize)
    }
}

/// Whether a list's order matters: it has none. Linking it anew would also hide what was written over.
pub const KEEPS_ORDER: bool = false;

/// In which order the `count` blocks of a run are put in front of a list.
pub fn order(count: usize) -> impl Iterator<Item = usize> {
    let mut left = [0; BLOCKS_MAX];
    for (number, place) in left[..count].iter_mut().enumerate() {
        *place = number as u16;
    }
    Shuffled { left, count }
}

/// How many places are chosen among for a pool. More would scatter what must lie together: spans need rows of
/// slots.
const PLACES: usize = 4;

/// Which of the free slots are given: to a pool, which lies at a multiple of its own size, one of the lowest few
/// places; to a span the lowest `slots` in a row at a multiple of `align`.
pub fn place(free: &SlotSet, slots: usize, align: usize) -> Option<usize> {
    let mut chosen = free.find(slots, align)?;
    let places = if align == slots { PLACES } else { 1 };
    for _ in 0..secret::below(places) {
        let mut beyond = *free;
        beyond.remove(0..chosen + slots);
        match beyond.find(slots, align) {
            Some(next) => chosen = next,
            None => break,
        }
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::base::geometry::SLOTS_PER_ARENA;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// Two blocks of 16 bytes in one window of the largest pool's size.
    #[repr(align(64))]
    struct Blocks([usize; 4]);

    fn blocks(room: &mut Blocks) -> [NonNull<Block>; 2] {
        start();
        let first = NonNull::from(&mut room.0).cast::<u8>();
        first.as_ptr().expose_provenance();
        // SAFETY: within the room.
        [first.cast(), unsafe { first.add(16) }.cast()]
    }

    #[test]
    fn a_link_reads_as_it_was_written_and_hides_where_it_leads() {
        let mut room = Blocks([0; 4]);
        let [first, second] = blocks(&mut room);
        // SAFETY: two blocks of the test's own.
        unsafe {
            Block::set_next(first, second.as_ptr());
            assert_eq!(Block::next(first), second.as_ptr());
            assert_ne!(first.cast::<usize>().read(), second.addr().get());
            Block::set_next(first, ptr::null_mut());
            assert!(Block::next(first).is_null());
            assert_ne!(first.cast::<usize>().read(), 0);
            assert!(Link::is_whole(first.cast()));
            assert!(Block::take_next(first).is_null());
            assert!(!Link::is_whole(first.cast()), "what left its list is on none");
        }
    }

    #[test]
    fn a_change_of_any_bit_of_a_link_is_seen() {
        let mut room = Blocks([0; 4]);
        let [first, second] = blocks(&mut room);
        for next in [second.as_ptr(), ptr::null_mut()] {
            for bit in 0..2 * usize::BITS as usize {
                let (word, bit) = (bit / usize::BITS as usize, bit % usize::BITS as usize);
                // SAFETY: two blocks of the test's own.
                unsafe {
                    Block::set_next(first, next);
                    let word = first.cast::<usize>().add(word);
                    word.write(word.read() ^ (1 << bit));
                    assert!(!Link::is_whole(first.cast()), "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_link_that_was_copied_elsewhere_is_none() {
        let mut room = Blocks([0; 4]);
        let [first, second] = blocks(&mut room);
        // SAFETY: two blocks of the test's own.
        unsafe {
            Block::set_next(first, ptr::null_mut());
            first.cast::<Link>().copy_to_nonoverlapping(second.cast(), 1);
            assert!(!Link::is_whole(second.cast()));
        }
    }

    #[test]
    fn every_block_of_a_run_comes_once_and_in_no_order_that_comes_again() {
        start();
        for count in [1, 2, 3, 100, BLOCKS_MAX] {
            let numbers: Vec<usize> = order(count).collect();
            assert_eq!(numbers.len(), count);
            assert!(numbers.iter().copied().collect::<BTreeSet<_>>().into_iter().eq(0..count));
        }
        let orders: BTreeSet<Vec<usize>> = (0..20).map(|_| order(50).collect()).collect();
        assert_eq!(orders.len(), 20);
    }

    #[test]
    fn places_are_free_aligned_and_not_always_the_lowest() {
        start();
        let mut free = SlotSet::empty();
        free.insert(5..SLOTS_PER_ARENA);
        let places: BTreeSet<usize> = (0..200).filter_map(|_| place(&free, 4, 4)).collect();
        assert!(places.iter().copied().eq([8, 12, 16, 20]), "{places:?}");
        let mut one = SlotSet::empty();
        one.insert(8..13);
        assert!((0..50).all(|_| place(&one, 4, 4) == Some(8)));
        assert_eq!(place(&one, 6, 1), None);
        assert!((0..50).all(|_| place(&free, 9, 1) == Some(5)), "spans lie close together");
    }
}
