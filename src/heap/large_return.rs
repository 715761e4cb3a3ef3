//! Large blocks on their way back to the system: kept mappings that are old, surplus, or in the way of a limit. In steps
//! off their ends, so that nobody waits for a large one to be unmapped.

use core::ptr::NonNull;

use super::large::{LARGE, LargeBlocks, Mapping};
use super::surplus::{self, Taker};
use super::sweep::Swept;
use crate::base::geometry::STEP_UNMAP_PAGES;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sys;

/// Whether kept mappings are to go at once.
static OWES: AtomicBool = AtomicBool::new(false);

/// Bytes that one step unmaps.
fn step_bytes() -> usize {
    STEP_UNMAP_PAGES * sys::page_size()
}

/// Purges at most `wanted` OS pages of kept mappings. Returns how many.
pub fn purge_kept(wanted: usize) -> usize {
    let pages = LARGE.lock().purge_kept(wanted);
    surplus::gave_up(Taker::Large, pages * sys::page_size());
    pages
}

/// Unmaps all kept mappings, the largest first. Returns bytes given back.
pub fn give_back_kept() -> usize {
    give_back_above(|_| 0)
}

/// Unmaps kept mappings until at most `bound` bytes are kept, beside those that are to go anyhow.
#[cold]
pub fn give_back_over(bound: usize) {
    give_back_above(|large| bound.saturating_add(large.owed));
}

fn give_back_above(bound: impl Fn(&LargeBlocks) -> usize) -> usize {
    let mut given = 0;
    while let Some(part) = Part::of_largest(|large| large.kept_bytes.saturating_sub(bound(large))) {
        match part.unmap() {
            0 => return given,
            bytes => given += bytes,
        }
    }
    given
}

/// Unmaps at most `wanted` bytes of kept mappings, of the largest first, in one step. Returns bytes given back.
pub fn give_back_some(wanted: usize) -> usize {
    let step = step_bytes();
    Part::of_largest(|large| large.kept_bytes.min(wanted).min(step)).map_or(0, Part::unmap)
}

/// Whether freed blocks are kept that are to go at once: by [`give_back_owed`].
pub fn owes() -> bool {
    OWES.load(Relaxed)
}

/// A step of giving back what is to go at once.
pub fn give_back_owed() {
    let step = step_bytes();
    let part = Part::of_largest(|large| {
        // What was reused meanwhile is no longer owed.
        let owed = large.owed.min(large.kept_bytes);
        let now = owed.min(step);
        large.owed = owed - now;
        OWES.store(large.owed > 0, Relaxed);
        now
    });
    // If the system refuses it, it is kept, and no longer owed.
    let _ = part.map(Part::unmap);
}

/// Unmaps some of the kept mappings that were kept at the last visit already, or of all if `at_once`: about one
/// step. Then whether it was the last; what is still kept will be old at the next visit.
pub fn give_back_some_old(at_once: bool) -> (Swept, bool) {
    let mut large = LARGE.lock();
    let Some(record) = large.take_old(at_once) else {
        let young = large.kept_bytes > 0;
        large.age();
        return (Swept { bytes: 0, young }, true);
    };
    let part = large.cut_off(record, step_bytes());
    drop(large);
    let bytes = part.unmap();
    (Swept { bytes, young: false }, bytes == 0)
}

/// Bytes that were kept, and that no record names any more.
#[must_use = "unmap it, outside the lock"]
pub(super) struct Part {
    pub(super) start: NonNull<u8>,
    pub(super) bytes: usize,
}

impl Part {
    /// So many bytes as `wanted` says, off the end of the largest kept mapping, or all of it; `None` of 0.
    fn of_largest(wanted: impl FnOnce(&mut LargeBlocks) -> usize) -> Option<Part> {
        let mut large = LARGE.lock();
        let wanted = wanted(&mut large);
        if wanted == 0 {
            return None;
        }
        let record = large.take_kept(|kept| Some(usize::MAX - kept))?;
        Some(large.cut_off(record, wanted))
    }

    /// Bytes given back.
    fn unmap(self) -> usize {
        // SAFETY: no record names it, and it is nobody's.
        unsafe { unmap_or_keep(self.start, self.bytes) }
    }
}

/// Unmaps a mapping. If the system refuses, which it does to a process with too many mappings, its
/// contents go and it is kept for reuse. Returns bytes given back.
///
/// # Safety
///
/// The mapping is nobody's, and no record names it.
pub(super) unsafe fn unmap_or_keep(start: NonNull<u8>, bytes: usize) -> usize {
    // SAFETY: the caller's contract.
    if unsafe { sys::unmap(start, bytes) } {
        return bytes;
    }
    // SAFETY: the caller's contract, and it is still mapped.
    unsafe { sys::purge::purge(start, bytes) };
    let mut large = LARGE.lock();
    match large.make(Mapping::new(start, bytes, 0)) {
        Some(record) => large.keep(record),
        // SAFETY: mapped, counted, and nobody's.
        None => unsafe { sys::leave(start, bytes) },
    }
    0
}

impl LargeBlocks {
    /// So many bytes of kept mappings are to go at once, by [`give_back_owed`].
    pub(super) fn owe(&mut self, bytes: usize) {
        self.owed += bytes;
        OWES.store(true, Relaxed);
    }
}
