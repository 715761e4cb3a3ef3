//! Size classes as `malloc` asks for them: no alignment is said, so that every block has the most that
//! C's own types need.

#![forbid(unsafe_code)]
#![cfg_attr(feature = "hardened", allow(dead_code, reason = "there, classes are found by layout"))]

use super::class::SizeClass;
use super::geometry::INLINE_MAX;

/// Alignment of every block that `malloc` returns, bytes.
pub const MALLOC_ALIGN: usize = 16;

/// Class of every size up to [`INLINE_MAX`], by the number of alignments that cover it.
static CLASS_OF: [SizeClass; INLINE_MAX / MALLOC_ALIGN + 1] = class_of();

impl SizeClass {
    /// The class that serves `malloc(size)`: one table read. `None` above [`INLINE_MAX`].
    #[inline(always)]
    pub fn malloced(size: usize) -> Option<SizeClass> {
        if size > INLINE_MAX {
            return None;
        }
        Some(CLASS_OF[size.div_ceil(MALLOC_ALIGN)])
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
    use super::*;

    #[test]
    fn every_size_that_malloc_is_asked_for_gets_what_its_alignment_asks_for() {
        for bytes in 0..=INLINE_MAX {
            assert_eq!(SizeClass::malloced(bytes), SizeClass::of(bytes, MALLOC_ALIGN), "{bytes}");
        }
        assert_eq!(SizeClass::malloced(INLINE_MAX + 1), None);
    }
}
