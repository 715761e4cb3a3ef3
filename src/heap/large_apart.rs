//! Blocks apart: large ones that a span could have held.
//!
//! A block that cannot grow where it is, is copied. A vector that doubles is copied again and again; so from some size on it
//! goes where a kept mapping begins, if there is one, and grows into the rest. Its layout says that it is a span. Its address
//! says that it is none: it begins where an arena would begin, and there an arena has its records.

use core::ptr::NonNull;

#[cfg(not(feature = "hardened"))]
use super::large::{LARGE, LargeBlocks, Loose, Mapping, map, mapped_size};
#[cfg(not(feature = "hardened"))]
use super::surplus::{self, Taker};
#[cfg(not(feature = "hardened"))]
use super::{config, ledger, limit, span};
use crate::base::geometry::{ARENA_SIZE, GROWS_APART, GROWS_TIMES};
#[cfg(not(feature = "hardened"))]
use crate::sys;

/// Whether a block of `size` bytes at `start` is a large one, whatever its size.
#[inline]
pub fn is_apart(start: NonNull<u8>, size: usize) -> bool {
    let may_be = cfg!(not(feature = "hardened")) && size >= GROWS_APART;
    may_be && start.addr().get().is_multiple_of(ARENA_SIZE)
}

/// A large block for one of `from` bytes that must be moved to hold `size`, if it grows: where it can grow further without being
/// copied again. `None` if it is served as well as any other, or there is no memory.
#[cfg(not(feature = "hardened"))]
pub fn alloc_moved(from: usize, size: usize, align: usize) -> Option<NonNull<u8>> {
    if size <= from || size < GROWS_APART || align > sys::page_size() {
        return None;
    }
    let bytes = mapped_size(size)?;
    let mut large = LARGE.lock();
    let (start, fresh) = match large.take_apart(bytes) {
        Some(kept) => {
            let start = kept.start;
            if let Err(kept) = large.begin(kept, size) {
                large.keep(kept);
                return None;
            }
            ledger::publish_large(1, size as isize);
            drop(large);
            limit::hand_out(bytes, 0);
            (start, 0)
        }
        None if span::fits(size, align) || !large.kept.is_null() => return None,
        None => {
            drop(large);
            // Freed, it will be one that others grow into.
            (map(bytes, ARENA_SIZE, size)?, bytes)
        }
    };
    surplus::grew(Taker::Large, fresh);
    limit::grew(fresh);
    Some(start)
}

#[cfg(not(feature = "hardened"))]
impl LargeBlocks {
    /// Takes the first `bytes` of the smallest kept mapping that begins where an arena would, is resident so far and not much
    /// longer; none if classes are kept apart.
    fn take_apart(&mut self, bytes: usize) -> Option<Loose> {
        if !config::retention().classes_share() {
            return None;
        }
        let fits = |kept: &Mapping| {
            let is_short = kept.bytes / GROWS_TIMES <= bytes;
            is_short && kept.resident >= bytes && is_apart(kept.start, bytes)
        };
        let record = self.take_least(|kept| fits(kept).then_some(kept.bytes))?;
        Some(if record.bytes > bytes { self.cut(record, bytes) } else { record })
    }
}
