//! Size classes as `malloc` asks for them: no alignment is said, so that every block has the most that
//! C's own types need.

#![forbid(unsafe_code)]
#![cfg_attr(feature = "hardened", allow(dead_code, reason = "there, classes are found by layout"))]

use super::class::SizeClass;
use super::geometry::{INLINE_MAX, POOL_MEDIUM_BLOCK_MAX, POOL_SMALL_BLOCK_MAX};

/// Alignment of every block that `malloc` returns, bytes.
pub const MALLOC_ALIGN: usize = 16;

/// Class of every size up to [`INLINE_MAX`], by the number of alignments that cover it.
static CLASS_OF: [SizeClass; INLINE_MAX / MALLOC_ALIGN + 1] = class_of();
/// Classes with small pools: the first so many.
const SMALL_COUNT: u8 = class(POOL_SMALL_BLOCK_MAX).index() as u8 + 1;
/// Classes with small or medium pools: the first so many.
const MEDIUM_COUNT: u8 = class(POOL_MEDIUM_BLOCK_MAX).index() as u8 + 1;

impl SizeClass {
    /// The class that serves `malloc(size)`: one table read. `None` above [`INLINE_MAX`].
    #[inline(always)]
    pub fn malloced(size: usize) -> Option<SizeClass> {
        if size > INLINE_MAX {
            return None;
        }
        Some(CLASS_OF[size.div_ceil(MALLOC_ALIGN)])
    }

    /// The class with this index, if its pools are small ones.
    #[inline(always)]
    pub const fn with_small_pools(index: u8) -> Option<SizeClass> {
        if index < SMALL_COUNT { SizeClass::from_index(index as usize) } else { None }
    }

    /// The class with this index, if its pools are medium ones.
    #[inline(always)]
    pub const fn with_medium_pools(index: u8) -> Option<SizeClass> {
        let is_medium = index.wrapping_sub(SMALL_COUNT) < MEDIUM_COUNT - SMALL_COUNT;
        if is_medium { SizeClass::from_index(index as usize) } else { None }
    }

    /// The class with this index, if its pools are big ones.
    #[inline(always)]
    pub const fn with_big_pools(index: u8) -> Option<SizeClass> {
        if index < MEDIUM_COUNT { None } else { SizeClass::from_index(index as usize) }
    }
}

/// The class that serves `size` bytes at malloc's alignment, which is one of a pool.
const fn class(size: usize) -> SizeClass {
    match SizeClass::of(size, MALLOC_ALIGN) {
        Some(class) => class,
        None => panic!("pools have larger blocks than are asked for here"),
    }
}

const fn class_of() -> [SizeClass; INLINE_MAX / MALLOC_ALIGN + 1] {
    let mut table = [class(0); INLINE_MAX / MALLOC_ALIGN + 1];
    let mut steps = 0;
    while steps < table.len() {
        table[steps] = class(steps * MALLOC_ALIGN);
        steps += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::geometry::{POOL_BIG, POOL_MEDIUM, POOL_SMALL};
    use super::*;

    #[test]
    fn every_size_that_malloc_is_asked_for_gets_what_its_alignment_asks_for() {
        for bytes in 0..=INLINE_MAX {
            assert_eq!(SizeClass::malloced(bytes), SizeClass::of(bytes, MALLOC_ALIGN), "{bytes}");
        }
        assert_eq!(SizeClass::malloced(INLINE_MAX + 1), None);
    }

    #[test]
    fn an_index_is_one_of_a_class_with_pools_of_a_size_exactly_if_its_pools_are() {
        for index in 0..=u8::MAX {
            let class = SizeClass::from_index(index as usize);
            let with = |size| class.filter(|class| class.pool_size() == size);
            assert_eq!(SizeClass::with_small_pools(index), with(POOL_SMALL), "{index}");
            assert_eq!(SizeClass::with_medium_pools(index), with(POOL_MEDIUM), "{index}");
            assert_eq!(SizeClass::with_big_pools(index), with(POOL_BIG), "{index}");
        }
    }
}
