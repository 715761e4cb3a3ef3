//! Where the records of pools and spans lie, and how one finds another.
//!
//! The first slots of an arena hold them: for each slot one, of which those of places where a small pool can start fill a slot
//! by themselves. A pool of several such places has its record with the first. Where blocks are found by address alone the
//! others name its class too, and how far back it is; else they are nobody's.

use core::ptr::NonNull;

use super::arena::ArenaTag;
use super::pool::Pool;
use crate::base::class::SizeClass;
#[cfg(any(feature = "malloc", feature = "hardened"))]
use crate::base::geometry::POOL_BIG;
use crate::base::geometry::{ARENA_SIZE, POOL_SMALL, RECORD_SIZE, RECORDS_AT, SLOT_SIZE};

/// By what the number of places back to a pool's first is shifted in the state of a further one: above every state.
#[cfg(any(feature = "malloc", feature = "hardened"))]
const BACK_SHIFT: u32 = 4;
#[cfg(any(feature = "malloc", feature = "hardened"))]
const _: () = assert!((POOL_BIG / POOL_SMALL - 1) << BACK_SHIFT <= u8::MAX as usize);

impl Pool {
    /// The record of what starts at `start`, a multiple of a small pool's size.
    ///
    /// The records of such places fill one slot of the four: which one, the arena's number tells,
    /// so that the records of different arenas do not compete for the same few cache sets.
    #[inline(always)]
    pub fn starting(start: usize) -> NonNull<Pool> {
        let arena = start & !(ARENA_SIZE - 1);
        let slot = (start / ARENA_SIZE) % (POOL_SMALL / SLOT_SIZE) * SLOT_SIZE;
        let place = RECORDS_AT + (start % ARENA_SIZE) / POOL_SMALL * RECORD_SIZE;
        let record = core::ptr::with_exposed_provenance_mut::<Pool>(arena + slot + place);
        // SAFETY: no arena is at address 0.
        unsafe { NonNull::new_unchecked(record) }
    }

    /// The record of what starts at `start`, a multiple of a slot's size, inside an arena whose
    /// provenance is exposed.
    pub fn at(start: usize) -> NonNull<Pool> {
        let quarter = (start / SLOT_SIZE) % (POOL_SMALL / SLOT_SIZE) * SLOT_SIZE;
        let aligned = Self::starting(start).addr().get();
        let record = core::ptr::with_exposed_provenance_mut::<Pool>(aligned ^ quarter);
        // SAFETY: as in `starting`; only the two bits that choose the slot change.
        unsafe { NonNull::new_unchecked(record) }
    }

    /// The first byte of the pool or span that this is the record of.
    pub fn start(&self) -> NonNull<u8> {
        let record = core::ptr::from_ref(self).addr();
        let (arena, within) = (record & !(ARENA_SIZE - 1), record % ARENA_SIZE - RECORDS_AT);
        let quarters = POOL_SMALL / SLOT_SIZE;
        let quarter = (within / SLOT_SIZE) ^ ((record / ARENA_SIZE) % quarters);
        let place = within % SLOT_SIZE / RECORD_SIZE;
        let start = arena + place * POOL_SMALL + quarter * SLOT_SIZE;
        let start = core::ptr::with_exposed_provenance_mut::<u8>(start);
        // SAFETY: no arena is at address 0.
        unsafe { NonNull::new_unchecked(start) }
    }

    /// Where the arena that `start` lies in keeps its tag: in the record of its own first slot,
    /// which no pool can have.
    pub fn tag_of(start: usize) -> NonNull<ArenaTag> {
        Self::starting(start & !(ARENA_SIZE - 1)).cast()
    }

    /// Says of which class it is the record of a pool.
    pub(super) fn name(&self, class: SizeClass) {
        self.class.set(class.index() as u8 + 1);
        #[cfg(any(feature = "malloc", feature = "hardened"))]
        self.for_each_further(class, |place, record| {
            record.class.set(class.index() as u8 + 1);
            record.state.set((place << BACK_SHIFT) as u8);
        });
    }

    /// Says that it is the record of no pool any more.
    pub(super) fn unname(&self) {
        #[cfg(any(feature = "malloc", feature = "hardened"))]
        if let Some(class) = self.class_if_pool() {
            self.for_each_further(class, |_, record| {
                record.class.set(0);
                record.state.set(0);
            });
        }
        self.class.set(0);
    }

    /// Calls `each` with the number and the record of every place but the first of this pool of `class`.
    #[cfg(any(feature = "malloc", feature = "hardened"))]
    fn for_each_further(&self, class: SizeClass, each: impl Fn(usize, &Pool)) {
        let start = self.start().addr().get();
        for place in 1..class.pool_size() / POOL_SMALL {
            // SAFETY: the record of a place in the pool, which is mapped with the arena.
            each(place, unsafe { Self::starting(start + place * POOL_SMALL).as_ref() });
        }
    }

    /// The record of the pool in which `address` lies, and its class; `None` if it lies in none.
    ///
    /// # Safety
    ///
    /// `address` lies in an arena, which stays mapped.
    #[cfg(any(feature = "malloc", feature = "hardened"))]
    #[inline(always)]
    pub unsafe fn around(address: usize) -> Option<(NonNull<Pool>, SizeClass)> {
        let record = Self::starting(address & !(POOL_SMALL - 1));
        // SAFETY: the record of a place in the arena, which is mapped with it.
        let (class, state) =
            unsafe { (record.as_ref().class_if_pool()?, record.as_ref().state.get()) };
        let back = (state as usize >> BACK_SHIFT) * RECORD_SIZE;
        // SAFETY: a further place of a pool has that pool's first as many records before its own.
        Some((unsafe { record.byte_sub(back) }, class))
    }
}

#[cfg(all(test, any(feature = "malloc", feature = "hardened")))]
mod tests {
    use super::*;
    use crate::mem::arena::Arena;

    #[test]
    fn every_place_of_a_pool_leads_to_its_record_and_none_does_when_it_is_closed() {
        let arena = Arena::map().unwrap().start().addr().get();
        let start = arena + 2 * POOL_BIG;
        // SAFETY: in an arena that stays mapped.
        let found = |address: usize| unsafe { Pool::around(address) };
        for class in SizeClass::all() {
            let record = Pool::starting(start);
            // SAFETY: the record of a place in the arena.
            let pool = unsafe { record.as_ref() };
            pool.open(class, core::ptr::null_mut());
            for place in (0..class.pool_size()).step_by(SLOT_SIZE) {
                assert_eq!(found(start + place), Some((record, class)), "{place}");
            }
            assert_eq!([start - 1, start + class.pool_size()].map(found), [None; 2]);
            pool.close();
            for place in (0..POOL_BIG).step_by(SLOT_SIZE) {
                assert_eq!(found(start + place), None, "{place}");
            }
        }
    }
}
