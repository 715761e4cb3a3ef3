//! Which arenas have free slots: how many, and how many in a row.
//!
//! An arena with free slots stands in one of many lists, by how full it is and by how long its longest run of free slots
//! may be. Both in steps, so that a search looks at few lists; and so it comes by few arenas whose free slots are many but
//! scattered, however many of those there are.
//!
//! What its longest run is at most, an arena knows without a look ([`Arena::longest`]). A look that finds less makes that
//! right, and the arena moves to another list: no more often than slots were taken or purged.

use core::ptr::{self, NonNull};

use super::arena::{Arena, Runs, Taken};
use crate::base::geometry::{
    ARENAS_LOOKED_AT, FULLNESS_SLOTS, SLOT_SIZE, SPAN_ALIGN_MAX, SPAN_MAX, USABLE_SLOTS,
};

/// Steps of fullness, the fullest first.
const FULLNESSES: usize = USABLE_SLOTS.div_ceil(FULLNESS_SLOTS);
/// Steps of length: two to a doubling. A power of two, for the sake of the arithmetic.
const LENGTHS: usize = (length_of(USABLE_SLOTS) + 1).next_power_of_two();

/// One bit for each step of fullness.
type FullnessSet = u32;
/// One bit for each step of length.
type LengthSet = u16;
const _: () = assert!(FULLNESSES <= FullnessSet::BITS as usize);
const _: () = assert!(LENGTHS <= LengthSet::BITS as usize);

/// The step of length that a run of `slots`, of which there is at least one, belongs to.
const fn length_of(slots: usize) -> usize {
    let doublings = slots.ilog2() as usize;
    // The upper two bits: 2 or 3.
    let upper = slots << 1 >> doublings;
    2 * doublings + upper - 2
}

/// The first step of length of which every run is one of `slots` or more.
const fn length_above(slots: usize) -> usize {
    if slots == 1 { 0 } else { length_of(slots - 1) + 1 }
}

/// Slots in a row among which the largest span of the largest alignment finds its place, wherever they start.
const ASKED_MAX: usize = SPAN_MAX / SLOT_SIZE + SPAN_ALIGN_MAX / SLOT_SIZE - 1;
// A new arena has them for certain: else it would be mapped in vain.
const _: () = assert!(length_above(ASKED_MAX) <= length_of(USABLE_SLOTS));

/// See the module.
pub struct ArenaIndex {
    lists: [*mut Arena; FULLNESSES * LENGTHS],
    /// By fullness: the lengths whose list has an arena.
    lengths: [LengthSet; FULLNESSES],
    /// The fullnesses of which one has.
    fullnesses: FullnessSet,
    empty: usize,
}

/// Where an arena stands in the index: the number of its list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Standing(u16);

impl Standing {
    /// Of an arena that has no free slot, or is not of the index.
    pub const NOWHERE: Standing = Standing(u16::MAX);

    #[inline]
    fn of(arena: &Arena) -> Standing {
        let Some(free) = arena.free_slots().checked_sub(1) else {
            return Self::NOWHERE;
        };
        let length = length_of(arena.longest(Runs::Free));
        Standing((free / FULLNESS_SLOTS * LENGTHS + length) as u16)
    }

    fn fullness(self) -> usize {
        self.0 as usize / LENGTHS
    }

    fn length(self) -> usize {
        self.0 as usize % LENGTHS
    }
}

impl ArenaIndex {
    pub const fn new() -> Self {
        Self {
            lists: [ptr::null_mut(); FULLNESSES * LENGTHS],
            lengths: [0; FULLNESSES],
            fullnesses: 0,
            empty: 0,
        }
    }

    /// Arenas of which nothing is in use.
    pub fn empty(&self) -> usize {
        self.empty
    }

    /// Adds an arena.
    pub fn insert(&mut self, arena: &mut Arena) {
        self.empty += usize::from(arena.is_empty());
        self.put(arena, Standing::of(arena));
    }

    /// Takes an arena out.
    pub fn remove(&mut self, arena: &mut Arena) {
        self.empty -= usize::from(arena.is_empty());
        self.put(arena, Standing::NOWHERE);
    }

    /// Does something to an arena of the index that may change what it has free.
    pub fn changing<R>(&mut self, arena: &mut Arena, change: impl FnOnce(&mut Arena) -> R) -> R {
        self.empty -= usize::from(arena.is_empty());
        let result = change(arena);
        self.empty += usize::from(arena.is_empty());
        self.put(arena, Standing::of(arena));
        result
    }

    /// Takes `slots` slots in a row that start at a multiple of `align` and may be resident, of the fullest arena that has
    /// them, if a few looks find it.
    pub fn take_resident(&mut self, slots: usize, align: usize) -> Option<Taken> {
        self.search(length_of(slots), ARENAS_LOOKED_AT, Runs::Resident, slots, align)
    }

    /// Takes `slots` free slots in a row that start at a multiple of `align`: of the fullest arena that has them, if a few
    /// looks find it; else of the fullest of those in whose runs some must lie so.
    pub fn take(&mut self, slots: usize, align: usize) -> Option<Taken> {
        let sure = length_above(slots + align - 1);
        self.search(length_of(slots), ARENAS_LOOKED_AT, Runs::Free, slots, align)
            .or_else(|| self.search(sure, usize::MAX, Runs::Free, slots, align))
    }

    /// Of at most `looks` arenas whose longest run may be of a step of length from `from` on, the fullest first, and of
    /// those the ones with the shortest: takes `slots` slots of the first that has them.
    fn search(
        &mut self,
        from: usize,
        mut looks: usize,
        runs: Runs,
        slots: usize,
        align: usize,
    ) -> Option<Taken> {
        let mut fullnesses = self.fullnesses;
        while fullnesses != 0 {
            let fullness = fullnesses.trailing_zeros() as usize;
            fullnesses &= fullnesses - 1;
            let mut lengths = self.lengths[fullness] & LengthSet::MAX << from;
            while lengths != 0 {
                let length = lengths.trailing_zeros() as usize;
                lengths &= lengths - 1;
                let mut next = self.lists[fullness * LENGTHS + length];
                while let Some(mut arena) = NonNull::new(next) {
                    // SAFETY: a listed arena's record is alive, and the set that has the index is the caller's.
                    let arena = unsafe { arena.as_mut() };
                    // Now, as a try that finds nothing may put it on a list of shorter runs.
                    next = arena.next;
                    if arena.longest(runs) >= slots
                        && let Some(taken) =
                            self.changing(arena, |arena| arena.take(runs, slots, align))
                    {
                        return Some(taken);
                    }
                    looks -= 1;
                    if looks == 0 {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Puts an arena where it belongs now.
    #[inline]
    fn put(&mut self, arena: &mut Arena, standing: Standing) {
        if arena.standing != standing {
            self.unlist(arena);
            self.list(arena, standing);
        }
    }

    fn list(&mut self, arena: &mut Arena, standing: Standing) {
        arena.standing = standing;
        if standing == Standing::NOWHERE {
            return;
        }
        let (fullness, length) = (standing.fullness(), standing.length());
        let first = &mut self.lists[standing.0 as usize];
        arena.next = *first;
        arena.prev = ptr::null_mut();
        if let Some(mut next) = NonNull::new(*first) {
            // SAFETY: a listed arena's record is alive.
            unsafe { next.as_mut().prev = arena };
        }
        *first = arena;
        self.lengths[fullness] |= 1 << length;
        self.fullnesses |= 1 << fullness;
    }

    fn unlist(&mut self, arena: &mut Arena) {
        if arena.standing == Standing::NOWHERE {
            return;
        }
        let (fullness, length) = (arena.standing.fullness(), arena.standing.length());
        if let Some(mut next) = NonNull::new(arena.next) {
            // SAFETY: a listed arena's record is alive.
            unsafe { next.as_mut().prev = arena.prev };
        }
        if let Some(mut prev) = NonNull::new(arena.prev) {
            // SAFETY: as above.
            unsafe { prev.as_mut().next = arena.next };
            return;
        }
        self.lists[arena.standing.0 as usize] = arena.next;
        if arena.next.is_null() {
            self.lengths[fullness] &= !(1 << length);
            if self.lengths[fullness] == 0 {
                self.fullnesses &= !(1 << fullness);
            }
        }
    }

    /// Checks that each list has what belongs there. Returns how many arenas are listed.
    pub fn check(&self) -> usize {
        let (mut listed, mut empty) = (0, 0);
        for (number, &first) in self.lists.iter().enumerate() {
            let standing = Standing(number as u16);
            let lengths = self.lengths[standing.fullness()];
            let has_one = lengths & 1 << standing.length() != 0;
            invariant!(has_one != first.is_null(), "it is known which lists have arenas");
            let has_some = self.fullnesses & 1 << standing.fullness() != 0;
            invariant!(has_some == (lengths != 0), "and which have none at all");
            let mut next = first;
            while let Some(arena) = NonNull::new(next) {
                // SAFETY: a listed arena's record is alive.
                let arena = unsafe { arena.as_ref() };
                invariant!(Standing::of(arena) == standing, "an arena is in its list");
                invariant!(arena.standing == standing, "and knows it");
                listed += 1;
                empty += usize::from(arena.is_empty());
                next = arena.next;
            }
        }
        invariant!(empty == self.empty, "empty arenas are counted");
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_what_it_says() {
        for slots in 1..=USABLE_SLOTS {
            let (some, all) = (length_of(slots), length_above(slots));
            for run in 1..=USABLE_SLOTS {
                let length = length_of(run);
                assert!(length < LENGTHS);
                assert!(run < slots || length >= some, "a run of {run} is one of {slots}");
                assert!(length < all || run >= slots, "a run of {run} is none of {slots}");
                let is_much_more = run >= slots + slots.div_ceil(2);
                assert!(!is_much_more || length >= all, "{run} is much more than {slots}");
            }
        }
    }
}
