//! Large blocks: direct mappings, and freed ones kept for reuse.
//!
//! A mapping's record lies in a store of its own, found by the mapping's address. A freed mapping is
//! kept, up to the rung's bound; a request takes the smallest kept one that fits, cuts a larger one
//! or lengthens a smaller one in place of a fresh mapping, unless the rung keeps classes apart.

use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use super::large_index::Index;
use super::large_return::{give_back_kept, give_back_over, give_back_owed, unmap_or_keep};
use super::surplus::{self, Surplus, Taker};
use super::{config, ledger, limit, sweeper};
use crate::base::geometry::{SPAN_MAX, UNMAP_AT_ONCE};
use crate::mem::store::Store;
use crate::policy::retention::Retention;
use crate::sync::lock::{Mutex, MutexGuard, RawLock};
use crate::sync::word::WordSize;
use crate::sys::{self, huge};

pub(super) static LARGE: Mutex<LargeBlocks> = Mutex::from_raw(
    <RawLock as parking_lot::lock_api::RawMutex>::INIT,
    LargeBlocks {
        live: Index::new(),
        kept: ptr::null_mut(),
        kept_bytes: 0,
        live_mapped: 0,
        live_requested: 0,
        owed: 0,
        store: Store::new(),
    },
);

/// One mapping.
pub struct Mapping {
    pub(super) start: NonNull<u8>,
    pub(super) bytes: usize,
    /// 0 for a kept one.
    pub(super) requested: usize,
    /// Of a kept one: bytes from its start that may be resident.
    pub(super) resident: usize,
    /// Of a kept one: it was kept at the last visit already.
    pub(super) old: bool,
    pub(super) next: *mut Mapping,
}

/// A record that is in no index and on no list: its holder's alone. It moves between the live and the
/// kept ones as it is.
#[must_use = "begin it, keep it or forget it"]
pub(super) struct Loose(pub(super) NonNull<Mapping>);

impl Deref for Loose {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        // SAFETY: the record is alive, and only the holder refers to it.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for Loose {
    fn deref_mut(&mut self) -> &mut Mapping {
        // SAFETY: as in `deref`.
        unsafe { self.0.as_mut() }
    }
}

impl Mapping {
    /// One of nobody's yet, of which `resident` bytes from its start on may be resident.
    pub(super) fn new(start: NonNull<u8>, bytes: usize, resident: usize) -> Mapping {
        Mapping { start, bytes, requested: 0, resident, old: false, next: ptr::null_mut() }
    }

    /// Whether it may be resident from end to end.
    pub(super) fn is_resident(&self) -> bool {
        self.resident == self.bytes
    }

    /// Whether it begins where `other` ends.
    pub(super) fn follows(&self, other: &Mapping) -> bool {
        self.start.addr().get() == other.start.addr().get() + other.bytes
    }
}

/// Every direct mapping. Rank 3: taken with no lock held. What is live is published under it, so that
/// a forked child finds the sums right.
pub(super) struct LargeBlocks {
    live: Index,
    pub(super) kept: *mut Mapping,
    pub(super) kept_bytes: usize,
    live_mapped: usize,
    live_requested: usize,
    /// Bytes of kept ones that are to go at once, a step at a time: the freed blocks that were surplus.
    pub(super) owed: usize,
    store: Store<Mapping>,
}

// SAFETY: the pointers are to records in the set's own store.
unsafe impl Send for LargeBlocks {}

/// What [`totals`] tells, in bytes but for the first.
pub struct Totals {
    /// Live large blocks.
    pub live_blocks: usize,
    /// Mapped for live large blocks.
    pub live_mapped: usize,
    /// Asked for them.
    pub live_requested: usize,
    /// Mapped and kept for reuse.
    pub kept: usize,
    /// Of those, purged.
    pub kept_purged: usize,
    /// Mapped for records.
    pub records: usize,
}

/// Bytes of kept mappings that may be resident. Changed under the lock.
pub(super) static IDLE_BYTES: WordSize = WordSize::new(0);

/// Bytes of kept mappings that may be resident.
pub fn idle_bytes() -> usize {
    IDLE_BYTES.get()
}

/// What large blocks hold.
pub fn totals() -> Totals {
    let large = LARGE.lock();
    Totals {
        live_blocks: large.live.count(),
        live_mapped: large.live_mapped,
        live_requested: large.live_requested,
        kept: large.kept_bytes,
        kept_purged: large.kept_bytes - IDLE_BYTES.get(),
        records: large.store.bytes() + large.live.bytes(),
    }
}

/// Bytes to map for `size`: whole OS pages; and where classes are kept apart, the size of its class,
/// eight to a doubling, so that a freed mapping serves every request of its class.
pub(super) fn mapped_size(size: usize) -> Option<usize> {
    let rung = config::retention();
    let unit = if rung.classes_share() {
        sys::page_size()
    } else {
        (size.max(1).next_power_of_two() / 16).max(sys::page_size())
    };
    // Layouts keep the sum in range; a C program's sizes are not layouts.
    let padded = size.checked_add(unit - 1)?;
    Some(padded & !(unit - 1)).filter(|&bytes| bytes <= isize::MAX as usize)
}

/// A mapping for `size` bytes at a multiple of `align`, and whether it is known to be zero. `None`
/// if the system gives no memory.
pub fn alloc(size: usize, align: usize) -> Option<(NonNull<u8>, bool)> {
    let bytes = mapped_size(size.max(1))?;
    let reused = if align <= sys::page_size() { reuse(bytes, size) } else { None };
    let (start, fresh) = match reused {
        Some((start, fresh)) => {
            // A kept mapping may be purged: all of it becomes resident anew.
            limit::hand_out(bytes, fresh);
            (start, fresh)
        }
        None => (map(bytes, align, size)?, bytes),
    };
    surplus::grew(Taker::Large, fresh);
    limit::grew(fresh);
    Some((start, fresh == bytes))
}

pub(super) fn map(bytes: usize, align: usize, size: usize) -> Option<NonNull<u8>> {
    limit::hand_out(bytes, bytes);
    let align = align.max(huge::align_of(bytes));
    let start = sys::map_aligned(bytes, align).or_else(|| {
        give_back_kept();
        sys::map_aligned(bytes, align)
    })?;
    // SAFETY: just mapped.
    unsafe { huge::wish(start, bytes) };
    let mut large = LARGE.lock();
    let record = large.make(Mapping::new(start, bytes, bytes));
    let begun = record.and_then(|record| match large.begin(record, size) {
        Ok(()) => {
            ledger::publish_large(1, size as isize);
            Some(())
        }
        Err(record) => {
            large.forget(record);
            None
        }
    });
    drop(large);
    if begun.is_none() {
        // SAFETY: just mapped, and known to nobody.
        unsafe { sys::unmap_or_leave(start, bytes) };
    }
    begun.map(|()| start)
}

/// A kept mapping made to fit, and how many of its bytes are not resident.
fn reuse(bytes: usize, size: usize) -> Option<(NonNull<u8>, usize)> {
    let share = config::retention().classes_share();
    let mut large = LARGE.lock();
    let fits = |kept: usize| {
        if share { Retention::large_fits(kept, bytes) } else { kept == bytes }
    };
    let whole = large.take_kept(|kept| fits(kept).then_some(kept));
    let record = match whole {
        Some(record) => record,
        None if share => large.take_and_fit(bytes)?,
        None => return None,
    };
    let (start, resident) = (record.start, record.resident);
    if let Err(record) = large.begin(record, size) {
        large.keep(record);
        return None;
    }
    ledger::publish_large(1, size as isize);
    // Counted for the request: what is mapped beyond it is not going to be touched.
    Some((start, bytes - resident.min(bytes)))
}

/// Takes a large block back: kept if the rung's bound allows, else unmapped. False if there is none
/// at `start`.
///
/// # Safety
///
/// If a large block of [`alloc`]'s or [`resize`]'s starts at `start`, nobody uses it any more.
pub unsafe fn free(start: NonNull<u8>) -> bool {
    let mut large = LARGE.lock();
    let Some(mut record) = large.end(start) else {
        return false;
    };
    let (bytes, requested) = (record.bytes, record.requested);
    let bound = config::retention().large_kept_bytes(large.live_mapped);
    ledger::publish_large(-1, -(requested as isize));
    let fits = bytes <= bound;
    let surplus = if fits { surplus::with_freed_mapping(bytes) } else { Surplus::Whole };
    record.resident = bytes;
    if surplus == Surplus::Whole {
        free_surplus(large, record, fits);
    } else {
        large.keep(record);
        let is_over = large.kept_bytes > bound;
        drop(large);
        if is_over {
            give_back_over(bound);
        }
    }
    if surplus != Surplus::None {
        surplus::large_freed(bytes);
    }
    sweeper::nudge();
    true
}

/// The rest of [`free`] for a block that is surplus as a whole: unmapped, or owed if it is large and the sweeper comes.
/// `was_kept`: it would have been kept, but for that.
#[cold]
fn free_surplus(mut large: MutexGuard<'_, LargeBlocks>, record: Loose, was_kept: bool) {
    let bytes = record.bytes;
    if was_kept {
        surplus::gave_mapping(bytes);
    }
    if bytes <= UNMAP_AT_ONCE || !sweeper::comes() {
        let (start, bytes) = large.forget(record);
        drop(large);
        // SAFETY: `free`'s caller gave the block up; its record was just forgotten.
        unsafe { unmap_or_keep(start, bytes) };
    } else {
        large.keep(record);
        large.owe(bytes);
        drop(large);
        give_back_owed();
        sweeper::call();
    }
}

/// Bytes mapped for the large block at `start`; `None` if there is none.
#[cfg(all(feature = "malloc", not(feature = "hardened")))]
pub fn mapped_at(start: NonNull<u8>) -> Option<usize> {
    // SAFETY: a record in the index is alive.
    LARGE.lock().live.get(start).map(|mapping| unsafe { mapping.as_ref() }.bytes)
}

/// Bytes asked for the large block at `start`; `None` if there is none.
#[cfg(feature = "hardened")]
pub fn requested_at(start: NonNull<u8>) -> Option<usize> {
    // SAFETY: a record in the index is alive.
    LARGE.lock().live.get(start).map(|mapping| unsafe { mapping.as_ref() }.requested)
}

/// The start of the large block whose mapping holds `address`; `None` if there is none, or somebody is at work on
/// them. For a signal handler: takes no lock that has to be waited for.
#[cfg(feature = "hardened")]
pub fn start_around(address: usize) -> Option<NonNull<u8>> {
    LARGE.try_lock()?.live.around(address)
}

/// Makes a large block hold `size` bytes, elsewhere if it must, without copying. `None` if the
/// system cannot, or if a kept mapping waits that is resident, so that copying costs less than first
/// touches: nothing has changed then.
///
/// # Safety
///
/// `start` is a large block of [`alloc`]'s or of this function's, the caller's, aligned to no more
/// than an OS page as far as anyone knows.
pub unsafe fn resize(start: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
    let bytes = mapped_size(size)?;
    let share = config::retention().classes_share();
    let mut large = LARGE.lock();
    let mut record = large.end(start)?;
    let (before, asked) = (record.bytes, record.requested);
    let mut fresh = bytes.saturating_sub(before);
    let mut copy = false;
    if share && fresh > 0 {
        match large.absorb_behind(&mut record, bytes) {
            Some(resident) => fresh -= resident.min(fresh),
            None => copy = large.keeps_resident(bytes),
        }
    }
    let moved = match record.bytes == bytes {
        true => Some(start),
        false if copy => None,
        // SAFETY: the mapping is the caller's, and its record is loose. What a span could hold is told by its address.
        false => unsafe { sys::remap(start, before, bytes, size > SPAN_MAX) },
    };
    if let Some(moved) = moved {
        (record.start, record.bytes) = (moved, bytes);
    }
    let requested = if moved.is_some() { size } else { asked };
    let begun = large.begin(record, requested).is_ok();
    invariant!(begun, "there is room where a record was just taken out");
    ledger::publish_large(0, requested as isize - asked as isize);
    drop(large);
    let fresh = if moved.is_some() { fresh } else { 0 };
    limit::hand_out(fresh, fresh);
    surplus::grew(Taker::Large, fresh);
    limit::grew(fresh);
    moved
}

impl LargeBlocks {
    /// A record of `mapping`; `None` without memory.
    pub(super) fn make(&mut self, mapping: Mapping) -> Option<Loose> {
        self.store.add(mapping).map(Loose)
    }

    /// Frees a record. What it was of: the start, and bytes.
    pub(super) fn forget(&mut self, record: Loose) -> (NonNull<u8>, usize) {
        let of = (record.start, record.bytes);
        // SAFETY: the record is its holder's alone, who gave it up.
        unsafe { self.store.remove(record.0) };
        of
    }

    /// Makes a mapping a live one of `requested` bytes; the record back if there is no memory.
    pub(super) fn begin(&mut self, mut record: Loose, requested: usize) -> Result<(), Loose> {
        if self.live.make_room().is_none() {
            return Err(record);
        }
        record.requested = requested;
        self.live_mapped += record.bytes;
        self.live_requested += requested;
        self.live.insert(record.0);
        Ok(())
    }

    /// Strikes a live mapping off.
    fn end(&mut self, start: NonNull<u8>) -> Option<Loose> {
        let record = Loose(self.live.remove(start)?);
        self.live_mapped -= record.bytes;
        self.live_requested -= record.requested;
        Some(record)
    }
}

/// Locks the large blocks, for a fork.
pub fn lock_for_fork() {
    core::mem::forget(LARGE.lock());
}

/// Unlocks what [`lock_for_fork`] locked.
///
/// # Safety
///
/// The calling thread locked it, or is its copy in a child.
pub unsafe fn unlock_after_fork() {
    // SAFETY: the caller's contract.
    unsafe { LARGE.force_unlock() };
}
