//! The seal of a block in use: who asked for what, where its user's bytes end.
//!
//! ```text
//! a block of a pool     | the user's bytes | fill, up to 8 bytes | ... | seal |
//! a span, a large block | the user's bytes | seal | ...
//!
//! seal    tag, 40 bits | size, 16 bits | alignment, 6 bits | by malloc, 1 bit       (lowest first)
//! ```
//!
//! The tag ties the rest to the block's address and to a secret, so that a seal that was written over, or
//! copied from another block, is none. It begins with the byte behind the user's last, or the fill does, and
//! neither that byte nor any of the fill is ever zero: one zero too many, the commonest overflow, is seen.
//! Once freed, a pool's block has the seal's complement there: *broken*, and known as such.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::mem::link::Link;
use crate::mem::secret;

/// Bytes of a seal: so much more is asked of the allocator than its user asks for.
pub const SEAL_SIZE: usize = size_of::<u64>();

const TAG_BITS: u32 = 40;
const TAG: u64 = (1 << TAG_BITS) - 1;
const SIZE_BITS: u32 = 16;
const ALIGN_BITS: u32 = 6;
/// Set in every byte of the fill.
const NEVER_ZERO: u64 = 0x8080_8080_8080_8080;

/// What a block's user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    pub size: usize,
    align_shift: u32,
    /// By `malloc` or one of its fellows, not by a layout.
    pub by_malloc: bool,
}

impl Request {
    /// A Rust program's.
    #[inline(always)]
    pub fn of(layout: Layout) -> Request {
        let align_shift = layout.align().trailing_zeros();
        Request { size: layout.size(), align_shift, by_malloc: false }
    }

    /// A C program's.
    #[cfg(feature = "malloc")]
    pub fn malloced(size: usize, align: usize) -> Request {
        Request { size, align_shift: align.trailing_zeros(), by_malloc: true }
    }

    /// The same for another size.
    #[inline(always)]
    pub fn resized(self, size: usize) -> Request {
        Request { size, ..self }
    }

    /// Bytes; a power of two.
    #[inline(always)]
    pub fn align(&self) -> usize {
        1 << self.align_shift
    }

    /// Bytes with the seal; `None` if there is no such number.
    #[inline(always)]
    pub fn sealed(&self) -> Option<usize> {
        self.size.checked_add(SEAL_SIZE)
    }

    /// As [`Request::sealed`], and at least as many as a free block's link takes.
    #[inline(always)]
    pub fn pooled(&self) -> Option<usize> {
        const BESIDE: usize = size_of::<Link>().saturating_sub(SEAL_SIZE);
        self.size.max(BESIDE).checked_add(SEAL_SIZE)
    }

    /// All but the size's high bits.
    #[inline(always)]
    fn packed(&self) -> u64 {
        let size = self.size as u64 & ((1 << SIZE_BITS) - 1);
        let above = u64::from(self.align_shift) | u64::from(self.by_malloc) << ALIGN_BITS;
        size | above << SIZE_BITS
    }
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seal(u64);

impl Seal {
    /// The seal of what `request` was given at `block`.
    #[inline(always)]
    pub fn of(block: NonNull<u8>, request: Request) -> Seal {
        let packed = request.packed();
        let high = (request.size >> SIZE_BITS).rotate_left(usize::BITS / 4);
        let tag = secret::mix(block.addr().get() ^ high, packed as usize) as u64;
        Seal(packed << TAG_BITS | (tag & TAG) | 0x80)
    }

    /// What is written where the seal was when the block is freed.
    #[inline(always)]
    pub fn broken(self) -> Seal {
        Seal(!self.0)
    }

    /// What the seal says, if it is one of `block`'s; `size` is the request's if that is known otherwise.
    pub fn read(self, block: NonNull<u8>, size: Option<usize>) -> Option<Request> {
        let packed = self.0 >> TAG_BITS;
        let above = (packed >> SIZE_BITS) as u32;
        let request = Request {
            size: size.unwrap_or((packed & ((1 << SIZE_BITS) - 1)) as usize),
            align_shift: above & ((1 << ALIGN_BITS) - 1),
            by_malloc: above >> ALIGN_BITS == 1,
        };
        (Seal::of(block, request) == self).then_some(request)
    }

    /// What is found at `end`, as far as bytes are concerned: a seal or not.
    ///
    /// # Safety
    ///
    /// Eight bytes there are valid for a read.
    #[inline(always)]
    pub unsafe fn at(end: NonNull<u8>) -> Seal {
        // SAFETY: the caller's contract.
        Seal(u64::from_le(unsafe { end.cast::<u64>().read_unaligned() }))
    }

    /// Writes it to `end`.
    ///
    /// # Safety
    ///
    /// Eight bytes there are valid for a write, and nobody else's.
    #[inline(always)]
    pub unsafe fn write(self, end: NonNull<u8>) {
        // SAFETY: the caller's contract.
        unsafe { end.cast::<u64>().write_unaligned(self.0.to_le()) };
    }

    /// Seals a block whose seal belongs at `seal_at`, bytes from its start, and fills what lies between.
    ///
    /// # Safety
    ///
    /// The block has `seal_at` and eight bytes more, and `size` is at most `seal_at`.
    #[inline(always)]
    pub unsafe fn close(self, block: NonNull<u8>, size: usize, seal_at: usize) {
        // SAFETY: the caller's contract: both lie within the block.
        unsafe {
            if size < seal_at {
                self.fill().write(block.add(size));
            }
            self.write(block.add(seal_at));
        }
    }

    /// Whether the block has this seal at `seal_at`, and between it and the user's bytes the fill.
    ///
    /// # Safety
    ///
    /// As for [`Seal::close`].
    #[inline(always)]
    pub unsafe fn is_whole(self, block: NonNull<u8>, size: usize, seal_at: usize) -> bool {
        // SAFETY: the caller's contract: both lie within the block.
        let (found, filled) = unsafe { (Seal::at(block.add(seal_at)), Seal::at(block.add(size))) };
        let between = seal_at - size;
        let bits = if between < SEAL_SIZE { (1 << (8 * between)) - 1 } else { u64::MAX };
        found == self && (filled.0 ^ self.fill().0) & bits == 0
    }

    fn fill(self) -> Seal {
        Seal(self.0 | NEVER_ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(size: usize, align: usize) -> Request {
        Request::of(Layout::from_size_align(size, align).unwrap())
    }

    /// Calls `with` with a block of 96 bytes that is closed for a request, and its seal.
    fn closed(size: usize, align: usize, seal_at: usize, with: impl Fn(NonNull<u8>, Seal)) {
        secret::start();
        let mut room = [0u64; 12];
        let block = NonNull::from(&mut room).cast::<u8>();
        let seal = Seal::of(block, request(size, align));
        // SAFETY: within the room.
        unsafe { seal.close(block, size, seal_at) };
        with(block, seal);
    }

    #[test]
    fn a_seal_says_what_was_asked_for() {
        for (size, align) in [(0, 1), (1, 1), (50, 8), (88, 64)] {
            closed(size, align, 88, |block, seal| {
                // SAFETY: within the room.
                let found = unsafe { Seal::at(block.add(88)) };
                assert!(found.read(block, None) == Some(request(size, align)));
                assert!(found.broken().read(block, None).is_none());
                assert!(found.broken().broken().read(block, None).is_some());
                // SAFETY: as above.
                assert!(unsafe { seal.is_whole(block, size, 88) });
            });
        }
    }

    #[test]
    fn a_seal_is_of_one_block_and_one_request() {
        closed(50, 8, 88, |block, seal| {
            for other in [request(51, 8), request(50, 16), request(50 + (1 << 16), 8)] {
                assert!(seal != Seal::of(block, other), "{other:?}");
            }
            // SAFETY: within the room.
            assert!(seal != Seal::of(unsafe { block.add(16) }, request(50, 8)));
            assert!(seal.read(block, Some(50 + (1 << 16))).is_none());
        });
    }

    #[test]
    fn any_byte_behind_the_users_last_that_changes_is_seen() {
        for size in [0, 80, 81, 85, 87, 88] {
            for byte in (size..size + 8).chain(88..96) {
                for value in [0, 1, 0xFF] {
                    closed(size, 8, 88, |block, seal| {
                        // SAFETY: within the room.
                        unsafe {
                            let place = block.add(byte);
                            let changes = place.read() != value;
                            place.write(value);
                            assert_eq!(seal.is_whole(block, size, 88), !changes, "byte {byte}");
                        }
                    });
                }
            }
        }
    }

    #[test]
    fn the_byte_behind_the_users_last_is_never_zero() {
        for size in 60..=88 {
            // SAFETY: within the room.
            closed(size, 1, 88, |block, _| assert_ne!(unsafe { block.add(size).read() }, 0));
        }
    }
}
