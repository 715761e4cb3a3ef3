//! A parcel: blocks of one pool that go back to its owner together.
//!
//! Who frees a block of another thread does not write to it: mostly its cache line is still with the owner's processor, or
//! has only been read, and a link would take it away, for the owner to wait for it when the block is allocated again. So
//! where the blocks lie is noted aside, in two bytes for each. When the parcel goes, the note is written into as few of its
//! blocks as can hold it, the *carriers*, which are linked; the owner links the others when it takes them in. If there are
//! none, it need not even look at what it takes.
//!
//! ```text
//! a carrier   | link | others | where the others lie ...
//! ```
//!
//! `parcel_hardened.rs` takes this file's place with the feature `hardened`.

use core::iter;
use core::ptr::NonNull;

use super::block::{self, Block};
use super::remote_word::Listed;
use crate::base::class::SizeClass;
use crate::base::geometry::{OUTBOX_BLOCKS, POOL_BIG};
use crate::sync::word::Word16;
use crate::sys::{fatal, poison};

/// Blocks lie at multiples of this: a place is a distance from the pool's start, counted in it.
const GRAIN: usize = 8;
const _: () = assert!(POOL_BIG / GRAIN <= u16::MAX as usize, "a place fits a number");

/// A parcel that can be posted.
pub struct Packed {
    /// How far behind the pool's start its first carrier lies.
    pub offset: usize,
    /// The last carrier.
    last: NonNull<Block>,
    /// Blocks that are none.
    pub others: usize,
}

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

    /// Begins anew, with a block that is to be added first: to go with `enough` blocks.
    pub fn begin(&self, enough: usize, first: NonNull<Block>) {
        self.left.set(enough as u16);
        self.enough.set(enough as u16);
        // It will be a carrier. Written to only when the parcel goes, it would be waited for: the exchange that posts the
        // parcel waits for all that was written before.
        block::expect(first.as_ptr());
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

    /// Calls `each` with every block, of the pool that starts at `start`: the oldest first.
    pub fn for_each(&self, start: NonNull<u8>, each: impl Fn(NonNull<Block>)) {
        self.places().iter().rev().for_each(|place| each(at(start, place.get())));
    }

    fn places(&self) -> &[Word16] {
        &self.places[self.left.get() as usize..self.enough.get() as usize]
    }

    /// Links the carriers and writes the note, for the pool of `class` that starts at `start`.
    ///
    /// # Safety
    ///
    /// It has blocks, which are of that pool and the caller's.
    pub unsafe fn pack(&self, start: NonNull<u8>, class: SizeClass) -> Packed {
        let (mut first, mut last, mut others) = (block::NONE, None, 0);
        // The oldest first: the list is then in the order of the frees.
        for part in self.places().rchunks(Note::room(class) + 1) {
            let [rest @ .., carrier] = part else { break };
            let carrier = at(start, carrier.get());
            // SAFETY: the carrier is the caller's, and has room for so many others.
            unsafe {
                Block::set_next(carrier, first);
                Note(carrier, class).write(rest);
            }
            first = carrier.as_ptr();
            last.get_or_insert(carrier);
            others += rest.len();
        }
        let Some(last) = last else {
            fatal::die("a parcel that goes has blocks", file!(), line!());
        };
        Packed { offset: first.addr().wrapping_sub(start.addr().get()), last, others }
    }
}

impl Packed {
    /// Has it lead to a carrier that lies so far behind the pool's start, `start`.
    ///
    /// # Safety
    ///
    /// It is not posted yet.
    pub unsafe fn lead(&self, start: NonNull<u8>, behind: Option<usize>) {
        // SAFETY: the last carrier is the caller's.
        unsafe { Block::set_next(self.last, carrier_at(start, behind)) };
    }
}

/// Puts the blocks of all parcels that wait for the pool of `class` that starts at `start` in front of `list`. Returns the first.
///
/// # Safety
///
/// The parcels are the caller's, and of that pool.
pub unsafe fn take_in(
    start: NonNull<u8>,
    class: SizeClass,
    listed: Listed,
    mut list: *mut Block,
) -> NonNull<Block> {
    // SAFETY: within the pool.
    let mut first: NonNull<Block> = unsafe { start.add(listed.offset) }.cast();
    if listed.others == 0 {
        // SAFETY: the caller's contract.
        unsafe { block::join(first, list) };
        return first;
    }
    // SAFETY: the caller's contract.
    let notes = unsafe { notes(first.as_ptr(), class) };
    let mut put = |block: NonNull<Block>| {
        // SAFETY: the caller's block.
        unsafe { Block::set_next(block, list) };
        (first, list) = (block, block.as_ptr());
    };
    let mut left = listed.count;
    for note in notes {
        // SAFETY: as above; the carrier's own link was read.
        let places = unsafe { note.places() };
        // A carrier that was freed twice may lead to itself.
        let carried = 1 + places.len();
        invariant!(carried <= left, "a list of free blocks has an end");
        left -= carried;
        places.for_each(|place| put(at(start, place)));
        note.close();
        put(note.0);
    }
    first
}

/// Whether a block is in one of the parcels from the carrier on that lies `first` bytes behind the pool's start.
///
/// # Safety
///
/// Nobody takes the parcels meanwhile; they are of the pool of `class` that starts at `start`.
#[cfg(feature = "malloc")]
pub unsafe fn has(
    start: NonNull<u8>,
    class: SizeClass,
    first: Option<usize>,
    block: NonNull<Block>,
) -> bool {
    // SAFETY: the caller's contract.
    unsafe { notes(carrier_at(start, first), class) }.any(|note| {
        // SAFETY: as above.
        let carries = unsafe { note.places() }.any(|place| at(start, place) == block);
        note.close();
        note.0 == block || carries
    })
}

/// The carriers from the first one on. What leads to the next is read before one is given out.
///
/// # Safety
///
/// The parcels stay, until what is given out of them was read.
unsafe fn notes(first: *mut Block, class: SizeClass) -> impl Iterator<Item = Note> {
    let mut next = first;
    iter::from_fn(move || {
        let carrier = NonNull::new(next)?;
        // SAFETY: the caller's contract.
        next = unsafe { Block::next(carrier) };
        Some(Note(carrier, class))
    })
}

/// The block at a place of the pool that starts at `start`.
#[inline(always)]
fn at(start: NonNull<u8>, place: u16) -> NonNull<Block> {
    // SAFETY: within the pool, as every place is.
    unsafe { start.add(usize::from(place) * GRAIN).cast() }
}

/// The carrier that lies so far behind a pool's start.
fn carrier_at(start: NonNull<u8>, offset: Option<usize>) -> *mut Block {
    offset.map_or(block::NONE, |offset| start.as_ptr().wrapping_add(offset).cast())
}

/// What a carrier of a class says behind its link: how many others there are, and their places. The smallest blocks have no
/// room for it.
struct Note(NonNull<Block>, SizeClass);

impl Note {
    /// Bytes before the places.
    const HEAD: usize = size_of::<Block>() + size_of::<u16>();
    /// A note is no longer than two cache lines, which hold a whole parcel.
    const BYTES_MOST: usize = 128;

    /// Other blocks of `class` that one of them can carry.
    fn room(class: SizeClass) -> usize {
        class.block_size().min(Self::BYTES_MOST).saturating_sub(Self::HEAD) / size_of::<u16>()
    }

    /// # Safety
    ///
    /// The block is the caller's, and carries no more than it can.
    unsafe fn write(&self, others: &[Word16]) {
        let Some(numbers) = self.open() else { return };
        // SAFETY: the caller's contract.
        unsafe {
            numbers.write(others.len() as u16);
            for (index, place) in others.iter().enumerate() {
                numbers.add(1 + index).write(place.get());
            }
        }
        self.close();
    }

    /// Where the others lie. To be [closed](Note::close) when they were read.
    ///
    /// # Safety
    ///
    /// Written, and not taken yet.
    unsafe fn places(&self) -> impl ExactSizeIterator<Item = u16> {
        let numbers = self.open();
        // SAFETY: the caller's contract.
        let others = numbers.map_or(0, |numbers| unsafe { numbers.read() });
        // Of no meaning without numbers: then there are no others.
        let numbers = numbers.unwrap_or(NonNull::dangling());
        // SAFETY: as above, below the count.
        (0..others).map(move |index| unsafe { numbers.add(1 + usize::from(index)).read() })
    }

    /// The numbers, if there is room for any.
    fn open(&self) -> Option<NonNull<u16>> {
        if Self::room(self.1) == 0 {
            return None;
        }
        poison::open(self.0.as_ptr().cast(), self.1.block_size());
        // SAFETY: the block is larger than a link.
        Some(unsafe { self.0.add(1).cast() })
    }

    /// Nobody's again but for the link.
    fn close(&self) {
        poison::close(self.0.as_ptr().cast(), self.1.block_size());
    }
}
