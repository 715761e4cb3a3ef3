//! Guards: OS pages that nobody may touch. There are none without the feature `hardened`.

use core::ptr::NonNull;

/// Bytes of a guard at the start of a mapping of `bytes`.
pub const fn bytes_before(_bytes: usize) -> usize {
    0
}

/// Nothing is guarded.
///
/// # Safety
///
/// None is asked.
#[inline(always)]
pub unsafe fn install(_start: NonNull<u8>, _bytes: usize) {}

/// There is none to lift.
///
/// # Safety
///
/// None is asked.
#[inline(always)]
pub unsafe fn remove(_start: NonNull<u8>, _bytes: usize) {}
