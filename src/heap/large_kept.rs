//! Kept mappings: freed large blocks that wait for reuse, neighbours joined, from which requests are
//! cut and into which live blocks grow.

use core::ptr::NonNull;

use super::config;
use super::large::{IDLE_BYTES, LargeBlocks, Loose, Mapping};
use super::large_return::Part;
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

    /// Makes the mapping of `record` reach up to `bytes` into the kept one that begins where it ends.
    /// How many of the bytes won may be resident; `None` if there is no such kept mapping, or it is too
    /// short.
    pub(super) fn absorb_behind(&mut self, record: &mut Loose, bytes: usize) -> Option<usize> {
        let wanted = bytes.checked_sub(record.bytes).filter(|&wanted| wanted > 0)?;
        let fits = |kept: &Mapping| kept.follows(record) && kept.bytes >= wanted;
        let mut behind = self.take_least(|kept| fits(kept).then_some(0))?;
        let won = behind.resident.min(wanted);
        record.bytes += wanted;
        if wanted == behind.bytes {
            self.forget(behind);
        } else {
            // SAFETY: `wanted` is less than the kept mapping has: within it.
            behind.start = unsafe { behind.start.add(wanted) };
            behind.bytes -= wanted;
            behind.resident -= won;
            self.keep_apart(behind);
        }
        Some(won)
    }

    /// Keeps a mapping. If classes share, it becomes one with a kept neighbour.
    pub(super) fn keep(&mut self, mut record: Loose) {
        record.old = false;
        if !self.kept.is_null() && config::retention().classes_share() {
            if record.is_resident()
                && let Some(behind) = self.take_least(|kept| kept.follows(&record).then_some(0))
            {
                record.resident += behind.resident;
                record.bytes += behind.bytes;
                self.forget(behind);
            }
            let joins = |kept: &Mapping| kept.is_resident() && record.follows(kept);
            if let Some(before) = self.take_least(|kept| joins(kept).then_some(0)) {
                record.start = before.start;
                record.resident += before.bytes;
                record.bytes += before.bytes;
                self.forget(before);
            }
        }
        self.keep_apart(record);
    }

    /// Cuts `bytes` off the end of a mapping, which was kept and is kept on, as old as it was; all of it, if it has no
    /// more, or if classes are kept apart.
    pub(super) fn cut_off(&mut self, mut record: Loose, bytes: usize) -> Part {
        let bytes = bytes.next_multiple_of(sys::page_size());
        if bytes >= record.bytes || !config::retention().classes_share() {
            let (start, bytes) = self.forget(record);
            return Part { start, bytes };
        }
        let front = record.bytes - bytes;
        // SAFETY: `front` is less than the mapping has: within it.
        let start = unsafe { record.start.add(front) };
        record.bytes = front;
        record.resident = record.resident.min(front);
        self.keep_apart(record);
        Part { start, bytes }
    }

    /// Keeps a mapping by itself, as old as its record says.
    fn keep_apart(&mut self, mut record: Loose) {
        (record.requested, record.next) = (0, self.kept);
        self.kept_bytes += record.bytes;
        IDLE_BYTES.set(IDLE_BYTES.get() + record.resident);
        self.kept = record.0.as_ptr();
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

    /// Takes one that was kept at the last visit already, or, `at_once`, any.
    pub(super) fn take_old(&mut self, at_once: bool) -> Option<Loose> {
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
    pub(super) fn take_kept(&mut self, cost: impl Fn(usize) -> Option<usize>) -> Option<Loose> {
        self.take_least(|kept| cost(kept.bytes))
    }

    /// Takes the kept mapping for which `cost` is the least; none if it is `None` for all.
    pub(super) fn take_least(&mut self, cost: impl Fn(&Mapping) -> Option<usize>) -> Option<Loose> {
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
            let record = Loose(record);
            self.kept_bytes -= record.bytes;
            IDLE_BYTES.set(IDLE_BYTES.get() - record.resident);
            Some(record)
        }
    }

    /// Takes the smallest larger kept mapping and cuts it, or lengthens the largest smaller one.
    pub(super) fn take_and_fit(&mut self, bytes: usize) -> Option<Loose> {
        if let Some(record) = self.take_kept(|kept| (kept > bytes).then_some(kept)) {
            return Some(self.cut(record, bytes));
        }
        let mut record = self.take_kept(|kept| Some(usize::MAX - kept))?;
        // SAFETY: a kept mapping is nobody's, and its record is loose.
        match unsafe { sys::remap(record.start, record.bytes, bytes, true) } {
            Some(start) => {
                (record.start, record.bytes) = (start, bytes);
                Some(record)
            }
            None => {
                self.keep(record);
                None
            }
        }
    }

    /// The first `bytes` of a larger mapping, whose rest is kept; the whole without room for a record.
    pub(super) fn cut(&mut self, mut record: Loose, bytes: usize) -> Loose {
        // SAFETY: `bytes` is less than the mapping has: within it.
        let rest = unsafe { record.start.add(bytes) };
        let beyond = record.resident.saturating_sub(bytes);
        if let Some(rest) = self.make(Mapping::new(rest, record.bytes - bytes, beyond)) {
            self.keep(rest);
            record.bytes = bytes;
            record.resident -= beyond;
        }
        record
    }
}
