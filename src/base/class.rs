//! Size classes: which block size serves a request.
//!
//! 8, 16 ... 128 in steps of 8 bytes, then eight classes to a doubling up to 32 KiB: at most an
//! eighth is lost to rounding. A block is aligned as its size is: 24-byte blocks to 8, 64-byte
//! blocks to 64. A request for more alignment is rounded up to a multiple of it, and every such
//! multiple is, or lies below, a class of at least that alignment (tested for every size).

use core::ops::Range;

use super::geometry::{
    BLOCK_MAX, INLINE_MAX, POOL_BIG, POOL_MEDIUM, POOL_MEDIUM_BLOCK_MAX, POOL_SMALL,
    POOL_SMALL_BLOCK_MAX, SLOT_SIZE,
};

/// Bytes between two small classes: the alignment that most Rust values ask for.
const STEP: usize = 8;
/// The largest block size that is a multiple of [`STEP`] for being so.
const STEPPED_MAX: usize = 128;
const STEPPED: usize = STEPPED_MAX / STEP;
/// Classes to one doubling above [`STEPPED_MAX`].
const PER_DOUBLING: usize = 8;
const DOUBLINGS: usize = (BLOCK_MAX / STEPPED_MAX).trailing_zeros() as usize;

/// The index of a block size. Invariant: below [`SizeClass::COUNT`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeClass(usize); // As wide as an index: passing it to a call and indexing with it convert nothing.

const BLOCK_SIZES: [u16; SizeClass::COUNT] = block_sizes();
static SPARSE: [u16; SizeClass::COUNT] = sparse();
/// The first classes of medium and of big pools.
const FIRST_LARGER: [usize; 2] = [
    SizeClass::holding(POOL_SMALL_BLOCK_MAX).index() + 1,
    SizeClass::holding(POOL_MEDIUM_BLOCK_MAX).index() + 1,
];
const CAPACITIES: [u16; SizeClass::COUNT] = capacities();
/// Class of every size up to [`INLINE_MAX`], by the number of 8-byte steps that cover it.
static CLASS_OF: [u8; INLINE_MAX / STEP + 1] = class_of();
/// A static copy of the constants, for look-ups with a class known only at run time.
static POOL_MASKS: [u32; SizeClass::COUNT] = pool_masks();

impl SizeClass {
    /// Number of classes.
    pub const COUNT: usize = STEPPED + DOUBLINGS * PER_DOUBLING;

    /// The class that serves `size` bytes at a multiple of `align`; `None` if a pool cannot.
    #[inline(always)]
    pub const fn of(size: usize, align: usize) -> Option<SizeClass> {
        let bytes = Self::padded(size, align);
        if bytes > BLOCK_MAX || align > SLOT_SIZE { None } else { Some(Self::holding(bytes)) }
    }

    /// As [`SizeClass::of`] for what is compiled into callers: one table read, no arithmetic.
    /// `None` for larger requests too.
    #[inline(always)]
    pub fn inlined(size: usize, align: usize) -> Option<SizeClass> {
        let bytes = Self::padded(size, align);
        if bytes > INLINE_MAX || align > SLOT_SIZE {
            return None;
        }
        Some(SizeClass(CLASS_OF[bytes.div_ceil(STEP)] as usize))
    }

    /// What must be asked of a class so that its blocks have `align`. Layouts keep the sum in range.
    #[inline(always)]
    const fn padded(size: usize, align: usize) -> usize {
        if align <= STEP {
            return size;
        }
        let bytes = if size == 0 { 1 } else { size };
        (bytes + (align - 1)) & !(align - 1)
    }

    /// The smallest class whose blocks hold `bytes`, which is at most `BLOCK_MAX`.
    const fn holding(bytes: usize) -> SizeClass {
        if bytes <= STEPPED_MAX {
            return SizeClass(bytes.saturating_sub(1) / STEP);
        }
        let last = bytes - 1;
        let doubling = (last.ilog2() - STEPPED_MAX.ilog2()) as usize;
        let eighth = (last >> (last.ilog2() - PER_DOUBLING.ilog2())) - PER_DOUBLING;
        SizeClass(STEPPED + doubling * PER_DOUBLING + eighth)
    }

    /// The class with this index; `None` if there is none.
    pub const fn from_index(index: usize) -> Option<SizeClass> {
        if index < Self::COUNT { Some(SizeClass(index)) } else { None }
    }

    /// All classes, smallest first.
    pub fn all() -> impl Iterator<Item = SizeClass> {
        (0..Self::COUNT).map(SizeClass)
    }

    /// One value for each class.
    pub fn table<T>(value: impl Fn(SizeClass) -> T) -> [T; Self::COUNT] {
        core::array::from_fn(|index| value(SizeClass(index)))
    }

    /// Below [`SizeClass::COUNT`], which the compiler is told: no table look-up checks it again.
    #[inline(always)]
    pub const fn index(self) -> usize {
        // SAFETY: the type's invariant; only this module makes one.
        unsafe { core::hint::assert_unchecked(self.0 < Self::COUNT) };
        self.0
    }

    /// Bytes in one block.
    #[inline(always)]
    pub const fn block_size(self) -> usize {
        BLOCK_SIZES[self.index()] as usize
    }

    /// Bytes in one pool of this class; a pool starts at a multiple of it.
    #[inline(always)]
    pub const fn pool_size(self) -> usize {
        POOL_MASKS[self.index()] as usize + 1
    }

    /// Used blocks up to which a pool counts as sparse: one to each OS page of 4 KiB, so that even
    /// when they lie as they please, a third of those pages hold none; at most half the capacity.
    pub fn sparse(self) -> usize {
        SPARSE[self.index()] as usize
    }

    /// The classes whose pools are as large as this one's: from the first up to but without the last.
    pub fn alike(self) -> Range<usize> {
        let [medium, big] = FIRST_LARGER;
        match self.index() {
            index if index < medium => 0..medium,
            index if index < big => medium..big,
            _ => big..Self::COUNT,
        }
    }

    /// Blocks in one pool.
    #[inline(always)]
    pub const fn capacity(self) -> usize {
        CAPACITIES[self.index()] as usize
    }
}

const fn block_size_at(index: usize) -> usize {
    if index < STEPPED {
        return (index + 1) * STEP;
    }
    let above = index - STEPPED;
    let base = STEPPED_MAX << (above / PER_DOUBLING);
    base + base / PER_DOUBLING * (above % PER_DOUBLING + 1)
}

const fn pool_size_at(index: usize) -> usize {
    match block_size_at(index) {
        bytes if bytes <= POOL_SMALL_BLOCK_MAX => POOL_SMALL,
        bytes if bytes <= POOL_MEDIUM_BLOCK_MAX => POOL_MEDIUM,
        _ => POOL_BIG,
    }
}

const fn block_sizes() -> [u16; SizeClass::COUNT] {
    let mut table = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < table.len() {
        table[index] = block_size_at(index) as u16;
        index += 1;
    }
    table
}

const fn capacities() -> [u16; SizeClass::COUNT] {
    let mut table = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < table.len() {
        table[index] = (pool_size_at(index) / block_size_at(index)) as u16;
        index += 1;
    }
    table
}

const fn sparse() -> [u16; SizeClass::COUNT] {
    let mut table = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < table.len() {
        let (pages, half) = (pool_size_at(index) / SLOT_SIZE, CAPACITIES[index] / 2);
        table[index] = if pages < half as usize { pages as u16 } else { half };
        index += 1;
    }
    table
}

const fn pool_masks() -> [u32; SizeClass::COUNT] {
    let mut table = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < table.len() {
        table[index] = pool_size_at(index) as u32 - 1;
        index += 1;
    }
    table
}

const fn class_of() -> [u8; INLINE_MAX / STEP + 1] {
    let mut table = [0; INLINE_MAX / STEP + 1];
    let mut steps = 0;
    while steps < table.len() {
        table[steps] = SizeClass::holding(steps * STEP).0 as u8;
        steps += 1;
    }
    table
}

const _: () = {
    assert!(BLOCK_MAX <= u16::MAX as usize && SizeClass::COUNT <= u8::MAX as usize);
    assert!(block_size_at(SizeClass::COUNT - 1) == BLOCK_MAX);
};

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: usize) -> Option<SizeClass> {
        SizeClass::all().find(|class| class.block_size() >= bytes)
    }

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for bytes in 0..=BLOCK_MAX + 1 {
            assert_eq!(SizeClass::of(bytes, 1), naive(bytes), "{bytes} bytes");
            if bytes <= INLINE_MAX {
                assert_eq!(SizeClass::inlined(bytes, 8), naive(bytes), "{bytes} bytes, inlined");
            } else {
                assert_eq!(SizeClass::inlined(bytes, 8), None);
            }
        }
    }

    #[test]
    fn every_alignment_up_to_a_slot_is_kept_by_the_block_size() {
        for align in (0..=SLOT_SIZE.ilog2()).map(|shift| 1 << shift) {
            for bytes in 0..=BLOCK_MAX {
                let Some(class) = SizeClass::of(bytes, align) else {
                    assert!(bytes.max(1).next_multiple_of(align) > BLOCK_MAX);
                    continue;
                };
                assert!(class.block_size() >= bytes);
                assert!(class.block_size() % align == 0, "{bytes} bytes at {align}");
                assert!(class.pool_size() % align == 0);
            }
        }
        assert_eq!(SizeClass::of(8, 2 * SLOT_SIZE), None);
    }

    #[test]
    fn rounding_loses_at_most_an_eighth_above_the_small_sizes_and_seven_bytes_below() {
        for bytes in 1..=BLOCK_MAX {
            let lost = SizeClass::of(bytes, 8).unwrap().block_size() - bytes;
            assert!(lost < STEP || lost * 8 <= bytes, "{bytes} bytes lose {lost}");
        }
        assert_eq!(SizeClass::of(24, 8).unwrap().block_size(), 24);
    }

    #[test]
    fn block_sizes_rise_and_pools_hold_their_capacity() {
        for class in SizeClass::all() {
            let next = SizeClass::from_index(class.index() + 1);
            assert!(next.is_none_or(|next| next.block_size() > class.block_size()));
            let tail = class.pool_size() - class.capacity() * class.block_size();
            assert!(tail < class.block_size() && class.capacity() >= 4);
            let alike = class.alike();
            let same = |other: SizeClass| other.pool_size() == class.pool_size();
            assert!(SizeClass::all().all(|other| alike.contains(&other.index()) == same(other)));
        }
    }
}
