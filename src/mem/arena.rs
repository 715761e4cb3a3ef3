//! The record of an arena: which slots are free, which were ever touched, and where it stands among
//! the others. It lies in a store of its own, not in the arena.

use core::array;
use core::ops::Range;
use core::ptr::NonNull;

use super::arena_index::Standing;
use super::link;
use super::pool::{Pool, State};
use super::slots::SlotSet;
use crate::base::geometry::{
    ARENA_SIZE, FIRST_SLOT, GUARD_SLOTS, RECORD_SLOTS, SLOT_SIZE, SLOTS_PER_ARENA, USABLE_SLOTS,
};
use crate::sync::word::WordSize;
use crate::sys::purge::Batch;
use crate::sys::{self, guard, huge};

/// Free slots of all arenas that may be resident. Changed under the set's lock.
static IDLE_SLOTS: WordSize = WordSize::new(0);

/// Free slots of all arenas that may be resident.
pub fn idle_slots() -> usize {
    IDLE_SLOTS.get()
}

fn idle_slots_more(slots: usize) {
    IDLE_SLOTS.set(IDLE_SLOTS.get() + slots);
}

fn idle_slots_less(slots: usize) {
    IDLE_SLOTS.set(IDLE_SLOTS.get() - slots);
}

/// Arenas that lie on one huge page.
const HUGE_ARENAS: usize = huge::SIZE / ARENA_SIZE;
const _: () =
    assert!(HUGE_ARENAS * ARENA_SIZE == huge::SIZE, "a huge page is parted among whole arenas");

/// Where guards begin: before the records, behind them, and at the arena's end.
const GUARDS: [usize; 3] = [0, GUARD_SLOTS + RECORD_SLOTS, SLOTS_PER_ARENA - GUARD_SLOTS];

/// The slots that pools and spans can have.
pub(super) const USABLE: Range<usize> = FIRST_SLOT..SLOTS_PER_ARENA - GUARD_SLOTS;

/// Purges all of an arena that is not in use, but for its guards: where the system does not purge, it is written to.
///
/// # Safety
///
/// An arena is mapped at `start`, and nobody needs what is in it.
pub unsafe fn purge_all(start: NonNull<u8>) {
    let mut batch = Batch::new();
    // OS pages larger than a guard have none.
    let has_guards = (GUARD_SLOTS * SLOT_SIZE).is_multiple_of(sys::page_size());
    let ranges = match has_guards {
        true => [GUARD_SLOTS..GUARD_SLOTS + RECORD_SLOTS, USABLE],
        false => [0..USABLE.start, USABLE.start..SLOTS_PER_ARENA],
    };
    for slots in ranges {
        // SAFETY: the caller's contract: slots of the arena.
        unsafe {
            let start = start.add(slots.start * SLOT_SIZE);
            batch.add(start, slots.len() * SLOT_SIZE);
        }
    }
    batch.purge();
}

/// What an arena's own first record holds: the way to the arena's record.
pub struct ArenaTag {
    /// The arena's record.
    pub arena: NonNull<Arena>,
}

/// Kinds of free slots in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// All free slots.
    Free,
    /// Those that may be resident.
    Resident,
}

impl Runs {
    /// How many kinds there are.
    pub const KINDS: usize = 2;
    /// All of them.
    pub const ALL: [Runs; Self::KINDS] = [Runs::Free, Runs::Resident];
}

/// One arena.
pub struct Arena {
    pub(super) start: NonNull<u8>,
    pub(super) free: SlotSet,
    /// Slots at which a pool begins.
    pub(super) pools: SlotSet,
    touched: SlotSet,
    /// Free slots that were free at the last visit already.
    aged: SlotSet,
    /// Free slots whose contents went back.
    pub(super) purged: SlotSet,
    /// Free slots that came with a huge page and were never used.
    unused: SlotSet,
    free_slots: usize,
    /// By kind: no run of such slots is longer.
    longest: [usize; Runs::KINDS],
    /// A visitor counts on the arena being mapped.
    pub visited: bool,
    /// It lies on a huge page of which it gave nothing back yet.
    pub is_huge: bool,
    /// Its list in the index.
    pub standing: Standing,
    /// Neighbours in that list.
    pub next: *mut Arena,
    /// See `next`.
    pub prev: *mut Arena,
    /// Neighbours among all arenas.
    pub all_next: *mut Arena,
    /// See `all_next`.
    pub all_prev: *mut Arena,
}

/// Slots taken from an arena.
pub struct Taken {
    /// The first byte.
    pub start: NonNull<u8>,
    /// Never touched before: all bytes are zero.
    pub fresh: bool,
    /// Slots that may have been resident before.
    pub resident: usize,
    /// Slots that became resident, of these and of others.
    pub grown: usize,
    /// Of these, slots that had been purged.
    pub refaulted: usize,
}

impl Arena {
    /// Maps an arena; `None` if the system gives no memory.
    pub fn map() -> Option<Arena> {
        let start = sys::map_aligned(ARENA_SIZE, ARENA_SIZE)?;
        // SAFETY: just mapped.
        unsafe { huge::refuse(start, ARENA_SIZE) };
        link::start();
        for slot in GUARDS {
            // SAFETY: slots of the arena that are neither records nor ever handed out.
            unsafe { guard::install(start.add(slot * SLOT_SIZE), GUARD_SLOTS * SLOT_SIZE) };
        }
        Some(Arena::at(start))
    }

    /// Maps the arenas of a huge page, all of it resident; where the system has none, arenas like others. `None` if it gives
    /// no memory, or guards part an arena.
    pub fn map_huge() -> Option<[Arena; HUGE_ARENAS]> {
        if GUARD_SLOTS != 0 {
            return None;
        }
        let start = sys::map_aligned(huge::SIZE, huge::SIZE)?;
        link::start();
        // SAFETY: just mapped, and known to nobody.
        let is_huge = unsafe { huge::make(start) };
        Some(array::from_fn(|place| {
            // SAFETY: within the mapping.
            let mut arena = Arena::at(unsafe { start.add(place * ARENA_SIZE) });
            if is_huge {
                arena.is_huge = true;
                arena.touched.insert(USABLE);
                arena.unused.insert(USABLE);
                arena.longest = [USABLE_SLOTS; Runs::KINDS];
            }
            arena
        }))
    }

    /// An arena of zeroed memory that is mapped from `start` on, a multiple of its size.
    pub fn at(start: NonNull<u8>) -> Arena {
        start.as_ptr().expose_provenance();
        let mut free = SlotSet::empty();
        free.insert(USABLE);
        let none = core::ptr::null_mut();
        Arena {
            start,
            free,
            pools: SlotSet::empty(),
            touched: SlotSet::empty(),
            aged: SlotSet::empty(),
            purged: SlotSet::empty(),
            unused: SlotSet::empty(),
            free_slots: USABLE_SLOTS,
            longest: [USABLE_SLOTS, 0],
            visited: false,
            is_huge: false,
            standing: Standing::NOWHERE,
            next: none,
            prev: none,
            all_next: none,
            all_prev: none,
        }
    }

    /// The arena that holds `start`.
    ///
    /// # Safety
    ///
    /// `start` lies in an arena that is mapped and whose tag is written.
    pub unsafe fn of(start: NonNull<u8>) -> NonNull<Arena> {
        // SAFETY: the caller's contract: the tag is there.
        unsafe { Pool::tag_of(start.addr().get()).as_ref().arena }
    }

    /// Its first byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Slots that neither pool nor span has.
    pub fn free_slots(&self) -> usize {
        self.free_slots
    }

    /// What the longest run of such slots has at the most.
    pub fn longest(&self, runs: Runs) -> usize {
        self.longest[runs as usize].min(self.free_slots)
    }

    fn slots_of(&self, runs: Runs) -> SlotSet {
        match runs {
            Runs::Free => self.free,
            Runs::Resident => self.free.and(&self.touched),
        }
    }

    /// Free slots that were in use before, and so may be resident.
    pub fn free_touched_slots(&self) -> usize {
        self.free.count_common(&self.touched)
    }

    /// Free slots whose contents went back.
    pub fn purged_slots(&self) -> usize {
        self.purged.count()
    }

    /// Whether every free slot that may be resident was free at the last visit too.
    pub fn is_aged(&self) -> bool {
        self.free.count_common(&self.touched) == self.aged.count()
    }

    /// Adds free slots to `batch` that may be resident: those that were free at the last visit too,
    /// or, `at_once`, all. True if young ones are left for the next visit. The batch must be purged
    /// before anyone can take a slot.
    pub fn purge_free(&mut self, batch: &mut Batch, at_once: bool) -> bool {
        let resident = self.free.and(&self.touched);
        self.purge_slots(
            if at_once { resident } else { resident.and(&self.aged) },
            batch,
            usize::MAX,
        );
        self.aged = self.free.and(&self.touched);
        self.aged != SlotSet::empty() && sys::page_size() <= SLOT_SIZE
    }

    /// Adds at most about `wanted` OS pages of free slots to `batch` that may be resident, and were in use before: others
    /// came with a huge page, for what comes next. As for [`Arena::purge_free`].
    pub fn purge_some(&mut self, batch: &mut Batch, wanted: usize) {
        self.purge_slots(self.free.and(&self.touched).without(&self.unused), batch, wanted);
    }

    fn purge_slots(&mut self, slots: SlotSet, batch: &mut Batch, wanted: usize) {
        let per_page = sys::page_size().div_ceil(SLOT_SIZE);
        let mut left = wanted.saturating_mul(per_page);
        let mut from = 0;
        while let Some(run) = slots.run(from) {
            from = run.end;
            let start = run.start.next_multiple_of(per_page);
            let whole = start..(run.end / per_page * per_page).min(start.saturating_add(left));
            if left == 0 {
                break;
            }
            if whole.is_empty() {
                continue;
            }
            left -= whole.len();
            // SAFETY: free slots of the arena: nobody needs what is in them.
            unsafe {
                let start = self.start.add(whole.start * SLOT_SIZE);
                batch.add(start, whole.len() * SLOT_SIZE);
            }
            idle_slots_less(whole.len());
            self.touched.remove(whole.clone());
            self.aged.remove(whole.clone());
            self.unused.remove(whole.clone());
            self.purged.insert(whole);
            self.is_huge = false;
        }
    }

    /// Whether nothing of it is in use.
    pub fn is_empty(&self) -> bool {
        self.free_slots == USABLE_SLOTS
    }

    /// Takes the lowest `slots` slots in a row, in runs of this kind, that start at a multiple of `align` slots; with the
    /// feature `hardened`, a pool takes some of the lowest. If there are none, the longest run is known from then on.
    pub fn take(&mut self, runs: Runs, slots: usize, align: usize) -> Option<Taken> {
        let such = self.slots_of(runs);
        let Some(first) = link::place(&such, slots, align) else {
            self.longest[runs as usize] = such.longest();
            return None;
        };
        Some(self.take_range(first..first + slots))
    }

    /// Takes the `slots` slots from `start` on, if all are free.
    pub fn take_at(&mut self, start: usize, slots: usize) -> Option<Taken> {
        let first = self.slot_of(start);
        let range = first..first + slots;
        let free = range.end <= SLOTS_PER_ARENA && self.free.contains_all(range.clone());
        free.then(|| self.take_range(range))
    }

    /// Takes a range of free slots. What was purged is not touched, so that where all are resident less is to be done.
    fn take_range(&mut self, range: Range<usize>) -> Taken {
        let (first, slots) = (range.start, range.len());
        let all = self.touched.contains_all(range.clone());
        let resident = if all { slots } else { self.touched.count_in(range.clone()) };
        idle_slots_less(resident);
        let fresh = resident == 0 || self.unused.contains_all(range.clone());
        if self.unused != SlotSet::empty() {
            self.unused.remove(range.clone());
        }
        self.free_slots -= slots;
        self.free.remove(range.clone());
        self.aged.remove(range.clone());
        let mut refaulted = 0;
        if resident < slots {
            refaulted = self.purged.count_in(range.clone());
            self.purged.remove(range.clone());
            self.touched.insert(range);
        }
        // SAFETY: a slot of the arena.
        let start = unsafe { self.start.add(first * SLOT_SIZE) };
        Taken { start, fresh, resident, grown: slots - resident, refaulted }
    }

    /// Takes `slots` slots from `start` on back, which were not used for long: they count as old.
    pub fn give_old(&mut self, start: usize, slots: usize) {
        self.give(start, slots);
        let first = self.slot_of(start);
        self.aged.insert(first..first + slots);
    }

    /// Counts its slots: for an arena that comes.
    pub fn count(&mut self) {
        idle_slots_more(self.free_touched_slots());
    }

    /// Forgets its slots: for an arena that leaves.
    pub fn forget(&mut self) {
        idle_slots_less(self.free_touched_slots());
    }

    /// Takes `slots` slots from `start` on back.
    pub fn give(&mut self, start: usize, slots: usize) {
        let first = self.slot_of(start);
        let range = first..first + slots;
        invariant!(!self.free.contains_any(range.clone()), "a slot is given back once");
        self.free.insert(range);
        self.pools.remove_one(first);
        self.free_slots += slots;
        // A bound for those that are resident too, which lie within.
        let run = self.free.run_around(first).len();
        self.longest = self.longest.map(|longest| longest.max(run));
        idle_slots_more(slots);
    }

    /// What begins at `start` is a pool.
    #[inline]
    pub fn note_pool(&mut self, start: usize) {
        let slot = self.slot_of(start);
        self.pools.insert_one(slot);
    }

    fn slot_of(&self, start: usize) -> usize {
        (start - self.start.addr().get()) / SLOT_SIZE
    }

    /// Checks that the set of free slots and their number agree.
    pub fn check(&self) {
        invariant!(self.free.count() == self.free_slots, "free slots are counted");
        for runs in Runs::ALL {
            let longest = self.slots_of(runs).longest();
            invariant!(longest <= self.longest(runs), "no run is longer than the longest");
        }
        invariant!(!self.free.contains_any(0..FIRST_SLOT), "records are never free");
        invariant!(self.purged.count_common(&self.touched) == 0, "what is purged is not resident");
        self.for_each_record(|start, record| {
            let slot = self.slot_of(start.addr().get());
            let is_noted = self.pools.contains_all(slot..slot + 1);
            invariant!(is_noted == (record.state() != State::Span), "where pools begin is noted");
        });
    }
}
