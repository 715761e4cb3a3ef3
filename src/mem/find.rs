//! From an address in an arena to the pool or span that it lies in, by the records alone.
//!
//! Where a slot's own record is a span's, that is it; else the record of the place of a small pool's size tells (`records.rs`).

use super::pool::{Pool, State};
use crate::base::class::SizeClass;
use crate::base::geometry::SLOT_SIZE;
#[cfg(feature = "hardened")]
use crate::base::geometry::{ARENA_SIZE, SPAN_MAX};

/// What an address lies in.
pub enum Found {
    /// A pool of this class.
    Pool(&'static Pool, SizeClass),
    /// The first slot of a span.
    Span(&'static Pool),
    /// Neither.
    Nothing,
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
    // SAFETY: as above.
    if let Some((record, class)) = unsafe { Pool::around(address) } {
        // SAFETY: as above.
        return Found::Pool(unsafe { record.as_ref() }, class);
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
