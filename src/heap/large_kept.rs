//! Kept mappings: freed large blocks that wait for reuse, neighbours joined, from which requests are
//! cut and into which live blocks grow.

use core::ptr::NonNull;

use super::large::{IDLE_BYTES, LargeBlocks, Mapping};
use super::{config, limit};
use crate::sys;

impl LargeBlocks {
    /// Whether a kept mapping holds `bytes` and is resident so far.
    pub(super) fn keeps_resident(&self, bytes: usize) -> bool {
        let mut kept = self.kept;
        while let Some(mapping) = NonNull::new(kept) {
            // SAFETY: kept records are the set's own, and alive.
            let mapping = unsafe { mapping.as_ref() };
            if mapping.resident >= bytes {
                return true;
            }
            kept = mapping.next;
        }
        false
    }

    /// Makes `mapping`, a live one without a record, reach up to `bytes` into the kept mapping that
    /// begins where it ends. How many of the bytes won may be resident; `None` if there is no such
    /// kept mapping, or it is too short.
    pub(super) fn absorb_behind(&mut self, mapping: &mut Mapping, bytes: usize) -> Option<usize> {
        let wanted = bytes.checked_sub(mapping.bytes).filter(|&wanted| wanted > 0)?;
        // SAFETY: the end of a mapping.
        let end = unsafe { mapping.start.add(mapping.bytes) };
        let fits = |kept: &Mapping| kept.start == end && kept.bytes >= wanted;
        let behind = self.take_least(|kept| fits(kept).then_some(0))?;
        if wanted < behind.bytes {
            // SAFETY: `wanted` is less than the kept mapping has, and a multiple of the OS page.
            let rest = unsafe { behind.start.add(wanted) };
            let beyond = behind.resident.saturating_sub(wanted);
            if self.keep(rest, behind.bytes - wanted, beyond).is_none() {
                // The record that `take_least` freed is there to be taken again.
                self.keep(behind.start, behind.bytes, behind.resident);
                return None;
            }
        }
        mapping.bytes += wanted;
        Some(behind.resident.min(wanted))
    }

    /// Keeps a mapping, of which `resident` bytes from its start on may be resident. If classes
    /// share, it becomes one with a kept neighbour.
    pub(super) fn keep(&mut self, start: NonNull<u8>, bytes: usize, resident: usize) -> Option<()> {
        let (mut start, mut bytes, mut resident) = (start, bytes, resident);
        if config::retention().classes_share() {
            // SAFETY: the end of a mapping.
            let end = unsafe { start.add(bytes) };
            if resident == bytes
                && let Some(behind) = self.take_least(|kept| (kept.start == end).then_some(0))
            {
                resident += behind.resident;
                bytes += behind.bytes;
            }
            if let Some(before) = self.take_least(|kept| kept.is_followed_by(start).then_some(0)) {
                start = before.start;
                resident += before.bytes;
                bytes += before.bytes;
            }
        }
        self.keep_apart(start, bytes, resident)
    }

    /// Of a mapping taken off the kept ones, keeps as much as `bound` still has room for.
    pub(super) fn keep_front(&mut self, mapping: &mut Mapping, bound: usize) {
        let room = bound.saturating_sub(self.kept_bytes).min(mapping.bytes);
        let front = room / sys::page_size() * sys::page_size();
        if front == 0 || !config::retention().classes_share() {
            return;
        }
        if self.keep_apart(mapping.start, front, mapping.resident.min(front)).is_some() {
            // SAFETY: a page within the mapping, whose rest is not empty.
            mapping.start = unsafe { mapping.start.add(front) };
            mapping.bytes -= front;
        }
    }

    fn keep_apart(&mut self, start: NonNull<u8>, bytes: usize, resident: usize) -> Option<()> {
        let record = Mapping { start, bytes, requested: 0, resident, old: false, next: self.kept };
        self.kept = self.store.add(record)?.as_ptr();
        self.kept_bytes += bytes;
        IDLE_BYTES.set(IDLE_BYTES.get() + resident);
        Some(())
    }

    /// Purges OS pages at the ends of kept mappings, at most `wanted`. Returns how many.
    pub(super) fn purge_kept(&mut self, wanted: usize) -> usize {
        let page_size = sys::page_size();
        let (mut left, mut kept) = (wanted, self.kept);
        while let Some(mut mapping) = NonNull::new(kept) {
            // SAFETY: kept records are the set's own, and alive.
            let mapping = unsafe { mapping.as_mut() };
            let pages = left.min(mapping.resident / page_size);
            if pages > 0 {
                left -= pages;
                mapping.resident -= pages * page_size;
                IDLE_BYTES.set(IDLE_BYTES.get() - pages * page_size);
                // SAFETY: whole OS pages of a mapping that nobody uses.
                unsafe {
                    let from = mapping.start.add(mapping.resident);
                    sys::purge::purge(from, pages * page_size);
                }
            }
            kept = mapping.next;
        }
        wanted - left
    }

    pub(super) fn take_old(&mut self, at_once: bool) -> Option<Mapping> {
        self.take_least(|kept| (at_once || kept.old).then_some(0))
    }

    /// What is kept now will be old at the next visit.
    pub(super) fn age(&mut self) {
        let mut kept = self.kept;
        while let Some(mut mapping) = NonNull::new(kept) {
            // SAFETY: kept records are the set's own, and alive.
            let mapping = unsafe { mapping.as_mut() };
            mapping.old = true;
            kept = mapping.next;
        }
    }

    /// [`LargeBlocks::take_least`] by bytes alone.
    pub(super) fn take_kept(&mut self, cost: impl Fn(usize) -> Option<usize>) -> Option<Mapping> {
        self.take_least(|kept| cost(kept.bytes))
    }

    /// Takes the kept mapping for which `cost` is the least; none if it is `None` for all.
    fn take_least(&mut self, cost: impl Fn(&Mapping) -> Option<usize>) -> Option<Mapping> {
        let mut best: Option<(usize, *mut *mut Mapping)> = None;
        let mut link: *mut *mut Mapping = &mut self.kept;
        // SAFETY: the list's links and records are the set's own, and alive.
        unsafe {
            while let Some(record) = NonNull::new(*link) {
                if let Some(cost) = cost(record.as_ref())
                    && best.is_none_or(|(least, _)| cost < least)
                {
                    best = Some((cost, link));
                }
                link = &raw mut (*record.as_ptr()).next;
            }
            let (_, link) = best?;
            let record = NonNull::new(*link)?;
            *link = (*record.as_ptr()).next;
            let mapping = self.free_record(record);
            self.kept_bytes -= mapping.bytes;
            IDLE_BYTES.set(IDLE_BYTES.get() - mapping.resident);
            Some(mapping)
        }
    }

    /// Takes the smallest larger kept mapping and cuts it, or lengthens the largest smaller one.
    pub(super) fn take_and_fit(&mut self, bytes: usize) -> Option<Mapping> {
        let larger = self.take_kept(|kept| (kept > bytes).then_some(kept));
        if let Some(mut mapping) = larger {
            // SAFETY: `bytes` is less than the mapping has, and a multiple of the OS page.
            let rest = unsafe { mapping.start.add(bytes) };
            let beyond = mapping.resident.saturating_sub(bytes);
            if self.keep(rest, mapping.bytes - bytes, beyond).is_some() {
                mapping.bytes = bytes;
                mapping.resident -= beyond;
            }
            return Some(mapping);
        }
        let mut mapping = self.take_kept(|kept| Some(usize::MAX - kept))?;
        // SAFETY: a kept mapping is nobody's.
        match unsafe { sys::remap(mapping.start, mapping.bytes, bytes) } {
            Some(start) => {
                limit::grew(bytes - mapping.bytes);
                (mapping.start, mapping.bytes) = (start, bytes);
                Some(mapping)
            }
            None => {
                self.keep(mapping.start, mapping.bytes, mapping.resident);
                None
            }
        }
    }
}
