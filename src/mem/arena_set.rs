//! All arenas, the fullest first.
//!
//! Slots are taken from the arena with the fewest free ones that has enough in a row, as far as a short search
//! ([`ArenaIndex`]) finds it: full ones stay full, sparse ones drain (Evan Jones' rule). Slots that are resident come before
//! those that were given back.

use core::ops::{self, Range};
use core::ptr::{self, NonNull};

use super::arena::{self, Arena, ArenaTag, Taken};
use super::arena_index::ArenaIndex;
use super::pool::Pool;
use super::store::Store;
use crate::base::geometry::{ARENA_SIZE, ARENAS_SMALL, SLOT_SIZE, SURPLUS_ARENAS};
use crate::sync::lock::Mutex;
use crate::sys::purge::Batch;
use crate::sys::{self, huge};

/// Every arena of the process. Rank 2: taken with no lock held, or under the registry (rank 1).
pub static ARENAS: Mutex<ArenaSet> = Mutex::from_raw(
    <crate::sync::lock::RawLock as parking_lot::lock_api::RawMutex>::INIT,
    ArenaSet::new(),
);

/// See the module.
pub struct ArenaSet {
    index: ArenaIndex,
    all: *mut Arena,
    store: Store<Arena>,
    count: usize,
    count_peak: usize,
    returned: usize,
    /// The next arena of the visit that goes on.
    cursor: *mut Arena,
    /// Where to look next for free slots to purge.
    idle_cursor: *mut Arena,
}

// SAFETY: the pointers are to records in the set's own store.
unsafe impl Send for ArenaSet {}

/// What came of a visit to an arena.
pub struct Visited {
    /// Free slots are left that may be old at the next visit.
    pub young: bool,
    /// Bytes purged.
    pub purged: usize,
    /// The arena, if it left the set.
    pub vacated: Option<Vacated>,
}

/// An arena that left the set and is to be unmapped, outside the lock.
#[must_use = "unmap it, outside the lock"]
pub struct Vacated {
    start: NonNull<u8>,
}

impl Vacated {
    /// Gives the arena to the system: bytes given back. If the system refuses, which it does to a
    /// process with too many mappings, the arena's contents go and it is one of the set again.
    pub fn unmap(self) -> usize {
        // SAFETY: nothing of the arena is in use, and the set has forgotten it.
        if unsafe { sys::unmap(self.start, ARENA_SIZE) } {
            return ARENA_SIZE;
        }
        // SAFETY: as above, and it is still mapped.
        unsafe { arena::purge_all(self.start) };
        let mut arenas = ARENAS.lock();
        match arenas.admit(Arena::at(self.start)) {
            Some(()) => arenas.returned -= 1,
            // SAFETY: mapped, counted, and nobody's.
            None => unsafe { sys::leave(self.start, ARENA_SIZE) },
        }
        0
    }
}

impl ArenaSet {
    const fn new() -> Self {
        Self {
            index: ArenaIndex::new(),
            all: ptr::null_mut(),
            store: Store::new(),
            count: 0,
            count_peak: 0,
            returned: 0,
            cursor: ptr::null_mut(),
            idle_cursor: ptr::null_mut(),
        }
    }

    /// Arenas now, the most there were, and how many went back to the system.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.count, self.count_peak, self.returned)
    }

    /// Starts the peak again from what there is now.
    pub fn reset_peak(&mut self) {
        self.count_peak = self.count;
    }

    /// Bytes mapped for arenas' records.
    pub fn store_bytes(&self) -> usize {
        self.store.bytes()
    }

    /// Takes `slots` slots in a row at a multiple of `align` slots and has `open` write their record
    /// before anyone can walk to it. Maps an arena if it must; `None` if the system gives none.
    pub fn take(&mut self, slots: usize, align: usize, open: impl FnOnce(&Pool)) -> Option<Taken> {
        let (mut taken, grown) = match self.take_mapped(slots, align) {
            Some(taken) => (taken, 0),
            None => {
                let grown = self.map()?;
                (self.take_mapped(slots, align)?, grown)
            }
        };
        taken.grown += grown;
        self.open(&taken, open);
        Some(taken)
    }

    /// As [`ArenaSet::take`], of slots that are resident, if a few looks find them.
    pub fn take_resident(
        &mut self,
        slots: usize,
        align: usize,
        open: impl FnOnce(&Pool),
    ) -> Option<Taken> {
        let taken = self.take_idle(slots, align)?;
        self.open(&taken, open);
        Some(taken)
    }

    fn take_mapped(&mut self, slots: usize, align: usize) -> Option<Taken> {
        self.take_idle(slots, align).or_else(|| self.index.take(slots, align))
    }

    fn take_idle(&mut self, slots: usize, align: usize) -> Option<Taken> {
        if arena::idle_slots() < slots { None } else { self.index.take_resident(slots, align) }
    }

    fn open(&mut self, taken: &Taken, open: impl FnOnce(&Pool)) {
        // SAFETY: the slots lie in a mapped arena, whose records are mapped with it.
        let record = unsafe { Pool::at(taken.start.addr().get()).as_ref() };
        open(record);
        if record.class_if_pool().is_some() {
            // SAFETY: an arena of the set has its tag, and the set is ours.
            unsafe { Arena::of(taken.start).as_mut() }.note_pool(taken.start.addr().get());
        }
    }

    /// Maps an arena, or those of a huge page. Slots that are resident with them.
    fn map(&mut self) -> Option<usize> {
        let huge =
            if huge::are_asked() && self.count >= ARENAS_SMALL { Arena::map_huge() } else { None };
        match huge {
            Some(arenas) => arenas
                .into_iter()
                .filter_map(|arena| self.admit_mapped(arena))
                .reduce(ops::Add::add),
            None => self.admit_mapped(Arena::map()?),
        }
    }

    /// Admits an arena that was just mapped, which is unmapped again without room for its record. Slots of it that are resident.
    fn admit_mapped(&mut self, arena: Arena) -> Option<usize> {
        let (start, resident) = (arena.start(), arena.free_touched_slots());
        if self.admit(arena).is_none() {
            // SAFETY: just mapped, and known to nobody.
            unsafe { sys::unmap_or_leave(start, ARENA_SIZE) };
            return None;
        }
        Some(resident)
    }

    /// Makes an empty arena one of the set; `None` without room for its record.
    fn admit(&mut self, arena: Arena) -> Option<()> {
        let start = arena.start();
        let mut record = self.store.add(arena)?;
        #[cfg(any(feature = "malloc", feature = "hardened"))]
        if !super::arena_map::insert(start) {
            // SAFETY: just made, and known to nobody.
            unsafe { self.store.remove(record) };
            return None;
        }
        // SAFETY: the arena is mapped, and its first record is nobody else's.
        unsafe { Pool::tag_of(start.addr().get()).write(ArenaTag { arena: record }) };
        // SAFETY: just written, in a store that is ours.
        let arena = unsafe { record.as_mut() };
        arena.all_next = self.all;
        if let Some(mut next) = NonNull::new(self.all) {
            // SAFETY: every arena of the set has a live record.
            unsafe { next.as_mut().all_prev = arena };
        }
        self.all = arena;
        arena.count();
        self.index.insert(arena);
        self.count += 1;
        self.count_peak = self.count_peak.max(self.count);
        Some(())
    }

    /// Takes the slots of a pool or span back. If that leaves more than `empty_kept` arenas empty,
    /// one leaves the set.
    ///
    /// # Safety
    ///
    /// The slots were taken from this set, and nobody uses them.
    pub unsafe fn give(
        &mut self,
        start: NonNull<u8>,
        slots: usize,
        empty_kept: usize,
    ) -> Option<Vacated> {
        // SAFETY: the caller's contract.
        unsafe { self.give_by(start, empty_kept, |arena, start| arena.give(start, slots)) }
    }

    /// As [`ArenaSet::give`] for slots that were not used for long.
    ///
    /// # Safety
    ///
    /// As for [`ArenaSet::give`].
    pub unsafe fn give_old(
        &mut self,
        start: NonNull<u8>,
        slots: usize,
        empty_kept: usize,
    ) -> Option<Vacated> {
        // SAFETY: the caller's contract.
        unsafe { self.give_by(start, empty_kept, |arena, start| arena.give_old(start, slots)) }
    }

    /// # Safety
    ///
    /// `start` lies in an arena of the set; `give` does as [`ArenaSet::give`] may.
    unsafe fn give_by(
        &mut self,
        start: NonNull<u8>,
        empty_kept: usize,
        give: impl FnOnce(&mut Arena, usize),
    ) -> Option<Vacated> {
        // SAFETY: the slots lie in an arena of the set.
        let arena = unsafe { Arena::of(start).as_mut() };
        self.index.changing(arena, |arena| give(arena, start.addr().get()));
        let surplus = arena.is_empty() && self.index.empty() > empty_kept && !arena.visited;
        if surplus { Some(self.remove(arena)) } else { None }
    }

    /// Begins a visit to every arena there is. One at a time.
    pub fn begin_visit(&mut self) {
        self.cursor = self.all;
    }

    /// The next arena of the visit; it stays mapped until [`ArenaSet::end_visit`] of it.
    pub fn visit_next(&mut self) -> Option<NonNull<Arena>> {
        let mut arena = NonNull::new(self.cursor)?;
        // SAFETY: the cursor is an arena of the set, or null: `remove` sees to it.
        let visited = unsafe { arena.as_mut() };
        visited.visited = true;
        self.cursor = visited.all_next;
        Some(arena)
    }

    /// Ends the visit to one arena, of which nothing is given back.
    pub fn leave(&mut self, mut arena: NonNull<Arena>) {
        // SAFETY: a visited arena's record is alive, and the set is ours.
        unsafe { arena.as_mut() }.visited = false;
    }

    /// Whether a visited arena lies on a huge page as a whole and is to stay there, as `keeps` says of the bytes that blocks have
    /// of it. If not, it counts as one on OS pages from then on.
    pub fn stays_huge(&mut self, mut arena: NonNull<Arena>, keeps: impl Fn(usize) -> bool) -> bool {
        // SAFETY: as in `leave`.
        let arena = unsafe { arena.as_mut() };
        arena.is_huge = arena.is_huge && keeps(arena.live_bytes());
        arena.is_huge
    }

    /// Ends the visit to one arena: its old free slots are purged if `purge`, or all of them if
    /// `at_once`; if
    /// nothing of it was in use for so long, and more than `empty_kept` arenas are empty, it leaves
    /// the set instead.
    pub fn end_visit(
        &mut self,
        mut arena: NonNull<Arena>,
        purge: bool,
        at_once: bool,
        empty_kept: usize,
    ) -> Visited {
        // SAFETY: a visited arena's record is alive, and the set is ours.
        let arena = unsafe { arena.as_mut() };
        arena.visited = false;
        let idle = arena.is_empty() && (at_once || arena.is_aged());
        if idle && self.index.empty() > empty_kept {
            return Visited { young: false, purged: 0, vacated: Some(self.remove(arena)) };
        }
        let mut batch = Batch::new();
        let young = purge && arena.purge_free(&mut batch, at_once);
        Visited { young, purged: batch.purge(), vacated: None }
    }

    /// Purges free slots that may be resident, arena by arena, until `wanted` OS pages are purged or
    /// a share of the arenas was looked at. Returns OS pages purged.
    pub fn purge_idle(&mut self, wanted: usize) -> usize {
        let mut batch = Batch::new();
        let page_size = sys::page_size();
        for _ in 0..self.count.min(SURPLUS_ARENAS) {
            let Some(mut arena) = NonNull::new(self.idle_cursor).or(NonNull::new(self.all)) else {
                break;
            };
            // SAFETY: the cursor is an arena of the set, or null: `remove` sees to it.
            let arena = unsafe { arena.as_mut() };
            let left = wanted - batch.pages();
            arena.purge_some(&mut batch, left);
            if batch.pages() >= wanted {
                break;
            }
            self.idle_cursor = arena.all_next;
        }
        batch.purge() / page_size
    }

    fn remove(&mut self, arena: &mut Arena) -> Vacated {
        #[cfg(any(feature = "malloc", feature = "hardened"))]
        super::arena_map::remove(arena.start());
        self.index.remove(arena);
        arena.forget();
        for cursor in [&mut self.cursor, &mut self.idle_cursor] {
            if ptr::eq(*cursor, arena) {
                *cursor = arena.all_next;
            }
        }
        match NonNull::new(arena.all_prev) {
            // SAFETY: every arena of the set has a live record.
            Some(mut prev) => unsafe { prev.as_mut().all_next = arena.all_next },
            None => self.all = arena.all_next,
        }
        if let Some(mut next) = NonNull::new(arena.all_next) {
            // SAFETY: as above.
            unsafe { next.as_mut().all_prev = arena.all_prev };
        }
        self.count -= 1;
        self.returned += 1;
        let vacated = Vacated { start: arena.start() };
        // SAFETY: the record is on no list any more, and the arena has no user to find it by.
        unsafe { self.store.remove(NonNull::from(arena)) };
        vacated
    }

    /// Makes the span at `start` longer in place by the slots of these numbers, if they are free: what was
    /// taken, else `None`.
    ///
    /// # Safety
    ///
    /// The caller owns the span, and it has `from` slots.
    pub unsafe fn extend(&mut self, start: NonNull<u8>, slots: Range<usize>) -> Option<Taken> {
        // SAFETY: the span lies in an arena of the set.
        let arena = unsafe { Arena::of(start).as_mut() };
        let behind = start.addr().get() + slots.start * SLOT_SIZE;
        self.index.changing(arena, |arena| arena.take_at(behind, slots.len()))
    }

    /// Calls `each` with every arena.
    pub fn for_each(&self, mut each: impl FnMut(&Arena)) {
        let mut arena = self.all;
        while let Some(found) = NonNull::new(arena) {
            // SAFETY: every arena of the set has a live record.
            let found = unsafe { found.as_ref() };
            each(found);
            arena = found.all_next;
        }
    }

    /// Checks every arena, and that those with free slots are listed where they belong.
    pub fn check(&self) {
        let mut with_free = 0;
        self.for_each(|arena| {
            arena.check();
            with_free += usize::from(arena.free_slots() > 0);
        });
        invariant!(self.index.check() == with_free, "every arena with free slots is listed once");
    }
}
