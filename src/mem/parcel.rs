//! A parcel: blocks of one pool that go back to its owner together.
//!
//! Who frees a block of another thread does not write to it: mostly its cache line is still with the owner's processor, or
//! has only been read, and a link would take it away, for the owner to wait for it when the block is allocated again. So
//! where the blocks lie is noted aside, in two bytes for each. When the parcel goes, the note is written into as few of its
//! blocks as can hold it, the *carriers*; the owner links all blocks when it takes them in.
//!
//! ```text
//! a carrier   | next carrier | others | where the others lie ...
//! ```
//!
//! `parcel_hardened.rs` takes this file's place with the feature `hardened`.

use core::iter;
use core::ptr::NonNull;

use super::block::Block;
use crate::base::class::SizeClass;
use crate::base::geometry::{OUTBOX_BLOCKS, POOL_BIG};
use crate::sync::word::Word16;
use crate::sys::poison;

/// Blocks lie at multiples of this: a place is a distance from the pool's start, counted in it.
const GRAIN: usize = 8;
/// No carrier.
const END: u16 = 0;

const _: () = assert!(POOL_BIG / GRAIN < u16::MAX as usize, "one more than a place fits a number");

/// See the module.
#[repr(C)]
pub struct Parcel {
    /// Blocks for which there is room until it is to go.
    left: Word16,
    /// Blocks that it is to have.
    enough: Word16,
    /// Where they lie, the last one first: all from `left` up to `enough`.
    places: [Word16; OUTBOX_BLOCKS],
}

impl Parcel {
    pub const fn new() -> Self {
        let places = [const { Word16::new(0) }; OUTBOX_BLOCKS];
        Self { left: Word16::new(0), enough: Word16::new(0), places }
    }

    /// Begins anew: to go with `enough` blocks.
    pub fn begin(&self, enough: usize) {
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
        let left = usize::from(self.left.get()) - 1;
        // One comparison for the last one, and for the end of the places.
        let Some(place) = self.places[1..].get(left.wrapping_sub(1)) else { return false };
        place.set(Self::place(block, class));
        self.left.set(left as u16);
        true
    }

    /// Adds the last block, of `class`.
    ///
    /// # Safety
    ///
    /// As for [`Parcel::add`].
    pub unsafe fn add_last(&self, block: NonNull<Block>, class: SizeClass) {
        self.places[0].set(Self::place(block, class));
        self.left.set(0);
    }

    #[inline(always)]
    fn place(block: NonNull<Block>, class: SizeClass) -> u16 {
        ((block.addr().get() & (class.pool_size() - 1)) / GRAIN) as u16
    }

    /// Whether it has this block of the pool that starts at `start`.
    #[cfg(feature = "malloc")]
    pub fn has(&self, block: NonNull<Block>, start: NonNull<u8>) -> bool {
        self.places().iter().any(|place| at(start, place.get()) == block)
    }

    fn places(&self) -> &[Word16] {
        &self.places[self.left.get() as usize..self.enough.get() as usize]
    }

    /// Writes the note, for the pool of `class` that starts at `start`. Returns how far behind that its first
    /// carrier lies, and the last carrier, which [leads](lead) nowhere yet.
    ///
    /// # Safety
    ///
    /// It has blocks, which are of that pool and the caller's.
    pub unsafe fn pack(&self, start: NonNull<u8>, class: SizeClass) -> (usize, NonNull<Block>) {
        let others = Note::others(class);
        let (mut next, mut last) = (END, None);
        // The oldest first: the list is then in the order of the frees.
        for part in self.places().rchunks(others + 1) {
            let [others @ .., carrier] = part else { break };
            let note = Note(at(start, carrier.get()));
            // SAFETY: the carrier is the caller's, and has room for so many others.
            unsafe { note.write(next, others, class) };
            last.get_or_insert(note.0);
            next = carrier.get() + 1;
        }
        invariant!(next != END, "a parcel that goes has blocks");
        (usize::from(next - 1) * GRAIN, last.unwrap_or(start.cast()))
    }
}

/// Has the last carrier of a parcel lead to the first one of another, which lies so far behind the pool's start.
///
/// # Safety
///
/// `last` came from [`Parcel::pack`], and nobody has taken the parcel yet.
pub unsafe fn lead(last: NonNull<Block>, _start: NonNull<u8>, behind: Option<usize>) {
    let next = behind.map_or(END, |behind| (behind / GRAIN) as u16 + 1);
    // SAFETY: the caller's contract.
    unsafe { last.cast::<u16>().write(next) };
}

/// Puts the blocks of all parcels from the carrier on that lies `first` bytes behind the pool's start, `start`, in front of `list`.
/// Returns the list's first block.
///
/// # Safety
///
/// The parcels are the caller's, and of the pool of `class` that starts there.
pub unsafe fn unpack(
    start: NonNull<u8>,
    class: SizeClass,
    first: usize,
    mut list: *mut Block,
) -> *mut Block {
    let mut put = |block: NonNull<Block>| {
        // SAFETY: the caller's block.
        unsafe { Block::set_next(block, list) };
        list = block.as_ptr();
    };
    // SAFETY: the caller's contract.
    for note in unsafe { notes(start, first) } {
        // SAFETY: as above; the carrier's own link is written when all was read.
        unsafe { note.places() }.for_each(|place| put(at(start, place)));
        put(note.0);
        poison::close(note.0.as_ptr().cast(), class.block_size());
    }
    list
}

/// Whether a block is in one of the parcels from the carrier on that lies `first` bytes behind the pool's start.
///
/// # Safety
///
/// Nobody takes the parcels meanwhile.
#[cfg(feature = "malloc")]
pub unsafe fn has(start: NonNull<u8>, first: Option<usize>, block: NonNull<Block>) -> bool {
    let Some(first) = first else { return false };
    // SAFETY: the caller's contract.
    unsafe { notes(start, first) }.any(|note| {
        // SAFETY: as above.
        note.0 == block || unsafe { note.places() }.any(|place| at(start, place) == block)
    })
}

/// The carriers from the one on that lies `first` bytes behind `start`. What leads to the next is read before one is given out.
///
/// # Safety
///
/// The parcels stay, until what is given out of them was read.
unsafe fn notes(start: NonNull<u8>, first: usize) -> impl Iterator<Item = Note> {
    let mut next = (first / GRAIN) as u16 + 1;
    iter::from_fn(move || {
        let note = Note(at(start, next.checked_sub(1)?));
        // SAFETY: the caller's contract.
        next = unsafe { note.next() };
        Some(note)
    })
}

/// The block at a place of the pool that starts at `start`.
#[inline(always)]
fn at(start: NonNull<u8>, place: u16) -> NonNull<Block> {
    // SAFETY: within the pool, as every place is.
    unsafe { start.add(usize::from(place) * GRAIN).cast() }
}

/// What a carrier says.
struct Note(NonNull<Block>);

impl Note {
    /// Numbers before the places.
    const HEAD: usize = 2;
    /// A note is no longer than two cache lines, which hold a whole parcel.
    const BYTES_MOST: usize = 128;

    /// Other blocks of `class` that one of them can carry.
    fn others(class: SizeClass) -> usize {
        class.block_size().min(Self::BYTES_MOST) / size_of::<u16>() - Self::HEAD
    }

    /// # Safety
    ///
    /// The block is the caller's, of `class`, and carries no more than it can.
    unsafe fn write(&self, next: u16, others: &[Word16], class: SizeClass) {
        poison::open(self.0.as_ptr().cast(), class.block_size());
        let numbers = self.0.cast::<u16>();
        // SAFETY: the caller's contract.
        unsafe {
            numbers.write(next);
            numbers.add(1).write(others.len() as u16);
            for (index, place) in others.iter().enumerate() {
                numbers.add(Self::HEAD + index).write(place.get());
            }
        }
    }

    /// One more than the place of the next carrier, or [`END`].
    ///
    /// # Safety
    ///
    /// Written, and not taken yet.
    unsafe fn next(&self) -> u16 {
        // SAFETY: the caller's contract.
        unsafe { self.0.cast::<u16>().read() }
    }

    /// Where the others lie.
    ///
    /// # Safety
    ///
    /// As for [`Note::next`].
    unsafe fn places(&self) -> impl Iterator<Item = u16> {
        let numbers = self.0.cast::<u16>();
        // SAFETY: the caller's contract.
        let others = usize::from(unsafe { numbers.add(1).read() });
        // SAFETY: as above, below the count.
        (0..others).map(move |index| unsafe { numbers.add(Self::HEAD + index).read() })
    }
}
