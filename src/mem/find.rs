//! From an address in an arena to the pool or span that it lies in, by the records alone.
//!
//! A pool starts at a multiple of its size, and the records of places inside a pool or span are
//! nobody's: so where a slot's own record is a span's, that is it; else the first record is the right one that is found
//! at the address rounded down to the size of a small, a medium, a big pool and is of a pool at least so large.

use super::pool::{Pool, State};
use crate::base::class::SizeClass;
#[cfg(feature = "hardened")]
use crate::base::geometry::{ARENA_SIZE, SPAN_MAX};
use crate::base::geometry::{POOL_BIG, POOL_MEDIUM, POOL_SMALL, SLOT_SIZE};

/// What an address lies in.
pub enum Found {
    /// A pool of this class.
    Pool(&'static Pool, SizeClass),
    /// The first slot of a span.
    Span(&'static Pool),
    /// Neither.
    Nothing,
}

#[cfg(all(feature = "malloc", not(feature = "hardened")))]
impl Pool {
    /// The class whose blocks it holds, if this is the record of a small pool: one read and a compare.
    #[inline(always)]
    pub fn small_class(&self) -> Option<SizeClass> {
        SizeClass::with_small_pools(self.class.get().wrapping_sub(1))
    }

    /// The class whose blocks it holds, if this is the record of a medium pool.
    #[inline(always)]
    pub fn medium_class(&self) -> Option<SizeClass> {
        SizeClass::with_medium_pools(self.class.get().wrapping_sub(1))
    }

    /// The class whose blocks it holds, if this is the record of a big pool.
    #[inline(always)]
    pub fn big_class(&self) -> Option<SizeClass> {
        SizeClass::with_big_pools(self.class.get().wrapping_sub(1))
    }
}

/// What `address` lies in.
///
/// # Safety
///
/// `address` lies in an arena, which stays mapped.
pub unsafe fn find(address: usize) -> Found {
    // SAFETY: the record of a place in the arena, which is mapped with it.
    let record = unsafe { Pool::at(address & !(SLOT_SIZE - 1)).as_ref() };
    if record.state() == State::Span {
        return Found::Span(record);
    }
    for size in [POOL_SMALL, POOL_MEDIUM, POOL_BIG] {
        // SAFETY: as above.
        let record = unsafe { Pool::at(address & !(size - 1)).as_ref() };
        if let Some(class) = record.class_if_pool()
            && class.pool_size() >= size
        {
            return Found::Pool(record, class);
        }
    }
    Found::Nothing
}

/// The span in use that `address` lies in, behind its first slot; none if there is none. Looks at many records: for a
/// process that is about to end.
///
/// # Safety
///
/// As for [`find`].
#[cfg(feature = "hardened")]
pub unsafe fn find_span_around(address: usize) -> Option<&'static Pool> {
    let slot = address & !(SLOT_SIZE - 1);
    let in_arena = (address & (ARENA_SIZE - 1)) / SLOT_SIZE;
    (1..=in_arena.min(SPAN_MAX / SLOT_SIZE)).find_map(|before| {
        // SAFETY: the record of a place in the arena, which is mapped with it.
        let record = unsafe { Pool::at(slot - before * SLOT_SIZE).as_ref() };
        let is_around = record.state() == State::Span && record.slots() > before;
        (is_around && record.requested().is_some()).then_some(record)
    })
}
