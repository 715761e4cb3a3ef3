//! Where the record of a live large block is, by its address.

use core::ptr::{self, NonNull};

use super::large::Mapping;
use crate::base::geometry::{ARENA_SIZE, round_up};
use crate::sys;

/// Live mappings by address: open addressing, at most half full, in a mapping of its own.
pub struct Index {
    table: *mut *mut Mapping,
    /// Places, a power of two; 0 before the first use.
    places: usize,
    used: usize,
}

impl Index {
    const PLACES_MIN: usize = 8192;

    /// Without a table.
    pub const fn new() -> Self {
        Self { table: ptr::null_mut(), places: 0, used: 0 }
    }

    /// Records in it.
    pub fn count(&self) -> usize {
        self.used
    }

    /// Bytes mapped for it.
    pub fn bytes(&self) -> usize {
        self.places * size_of::<*mut Mapping>()
    }

    /// Where the search for `start` begins. Kept mappings that were cut can begin at any OS page.
    fn home(&self, start: NonNull<u8>) -> usize {
        let number = start.addr().get() / 4096;
        (number ^ (number / (ARENA_SIZE / 4096))).wrapping_mul(0x9E37_79B9) & (self.places - 1)
    }

    fn place(&self, at: usize) -> *mut *mut Mapping {
        // SAFETY: masked to the table's length.
        unsafe { self.table.add(at & (self.places - 1)) }
    }

    /// Makes sure that one more can be inserted; `None` without memory.
    pub fn make_room(&mut self) -> Option<()> {
        if (self.used + 1) * 2 <= self.places {
            return Some(());
        }
        let places = (self.places * 2).max(Self::PLACES_MIN);
        let bytes = round_up(places * size_of::<*mut Mapping>(), sys::page_size());
        let table = sys::map_aligned(bytes, sys::page_size())?;
        let old = core::mem::replace(self, Index { table: table.as_ptr().cast(), places, used: 0 });
        for at in 0..old.places {
            // SAFETY: below the old table's length.
            if let Some(record) = NonNull::new(unsafe { old.place(at).read() }) {
                self.insert(record);
            }
        }
        if let Some(table) = NonNull::new(old.table) {
            // SAFETY: the old table, no longer referred to.
            unsafe { sys::unmap_or_leave(table.cast(), old.bytes()) };
        }
        Some(())
    }

    /// Adds a record, after [`Index::make_room`].
    pub fn insert(&mut self, record: NonNull<Mapping>) {
        // SAFETY: records of the set are alive; places lie in the table, which has free ones.
        unsafe {
            let mut at = self.home(record.as_ref().start);
            while !self.place(at).read().is_null() {
                at += 1;
            }
            self.place(at).write(record.as_ptr());
        }
        self.used += 1;
    }

    /// The record of the mapping at `start`.
    #[cfg(any(feature = "malloc", feature = "hardened"))]
    pub fn get(&self, start: NonNull<u8>) -> Option<NonNull<Mapping>> {
        self.find(start).map(|(_, record)| record)
    }

    /// Takes out the record of the mapping at `start`.
    pub fn remove(&mut self, start: NonNull<u8>) -> Option<NonNull<Mapping>> {
        let (at, record) = self.find(start)?;
        // SAFETY: `at` is a place of the table, and taken.
        unsafe { self.close_gap(at) };
        self.used -= 1;
        Some(record)
    }

    /// The start of the mapping that holds `address`. Looks at every place.
    #[cfg(feature = "hardened")]
    pub fn around(&self, address: usize) -> Option<NonNull<u8>> {
        (0..self.places).find_map(|at| {
            // SAFETY: below the table's length; records of the set are alive.
            let mapping = unsafe { NonNull::new(self.place(at).read())?.as_ref() };
            let within = address.checked_sub(mapping.start.addr().get())?;
            (within < mapping.bytes).then_some(mapping.start)
        })
    }

    /// The place and the record of the mapping at `start`.
    fn find(&self, start: NonNull<u8>) -> Option<(usize, NonNull<Mapping>)> {
        if self.places == 0 {
            return None;
        }
        let mut at = self.home(start);
        // SAFETY: places lie in the table, which has free ones; records of the set are alive.
        unsafe {
            loop {
                let record = NonNull::new(self.place(at).read())?;
                if record.as_ref().start == start {
                    return Some((at, record));
                }
                at += 1;
            }
        }
    }

    /// Empties the place `gap` and moves what a search would then miss.
    ///
    /// # Safety
    ///
    /// The table is mapped, its records are alive.
    unsafe fn close_gap(&mut self, mut gap: usize) {
        let mut at = gap + 1;
        // SAFETY: places lie in the table, which has free ones.
        unsafe {
            while let Some(record) = NonNull::new(self.place(at).read()) {
                let home = self.home(record.as_ref().start);
                let mask = self.places - 1;
                // It may move into the gap if the gap lies between its home and its place.
                if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                    self.place(gap).write(record.as_ptr());
                    gap = at;
                }
                at += 1;
            }
            self.place(gap).write(ptr::null_mut());
        }
    }
}
