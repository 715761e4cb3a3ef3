//! Which arenas have free slots: how many, how many in a row, and whether those are resident.
//!
//! For each kind of runs ([`Runs`]) an arena that has any stands in one of many lists, by how full it is and by how long its
//! longest run may be. Both in steps, so that a search looks at few lists; and so it comes by few arenas whose free
//! slots are many but scattered, however many of those there are.
//!
//! What its longest run is at most, an arena knows without a look ([`Arena::longest`]). A look that finds less makes that
//! right, and the arena moves to another list: no more often than slots were taken or purged.

use core::ptr::{self, NonNull};

use super::arena::{Arena, Links, Runs, Taken};
use crate::base::geometry::{ARENAS_LOOKED_AT, FULLNESS_SLOTS, USABLE_SLOTS};

/// Steps of fullness, the fullest first.
const FULLNESSES: usize = USABLE_SLOTS.div_ceil(FULLNESS_SLOTS);
/// Steps of length: two to a doubling.
const LENGTHS: usize = length_of(USABLE_SLOTS) + 1;

/// One bit for each step of length.
type LengthSet = u16;
const _: () = assert!(LENGTHS <= LengthSet::BITS as usize);

/// The step of length that a run of `slots`, of which there is at least one, belongs to.
const fn length_of(slots: usize) -> usize {
    let doublings = slots.ilog2() as usize;
    let upper = if doublings == 0 { 0 } else { slots >> (doublings - 1) & 1 };
    2 * doublings + upper
}

/// The first step of length of which every run is one of `slots` or more.
const fn length_above(slots: usize) -> usize {
    if slots == 1 { 0 } else { length_of(slots - 1) + 1 }
}

/// See the module.
pub struct ArenaIndex {
    kinds: [Lists; Runs::KINDS],
    empty: usize,
}

/// The arenas that have runs of one kind.
struct Lists {
    runs: Runs,
    first: [[*mut Arena; LENGTHS]; FULLNESSES],
    /// By fullness: the lengths whose list has an arena.
    listed: [LengthSet; FULLNESSES],
}

/// Where an arena stands among those that have runs of one kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    fullness: u8,
    length: u8,
}

impl Standing {
    /// Of an arena that has none, or is not of the index.
    pub const NOWHERE: Standing = Standing { fullness: u8::MAX, length: 0 };

    #[inline]
    fn of(arena: &Arena, runs: Runs) -> Standing {
        let longest = arena.longest(runs);
        if longest == 0 {
            return Self::NOWHERE;
        }
        let fullness = (arena.free_slots() - 1) / FULLNESS_SLOTS;
        Standing { fullness: fullness as u8, length: length_of(longest) as u8 }
    }
}

impl ArenaIndex {
    pub const fn new() -> Self {
        Self { kinds: [Lists::new(Runs::Free), Lists::new(Runs::Resident)], empty: 0 }
    }

    /// Arenas of which nothing is in use.
    pub fn empty(&self) -> usize {
        self.empty
    }

    /// Adds an arena.
    pub fn insert(&mut self, arena: &mut Arena) {
        self.empty += usize::from(arena.is_empty());
        self.kinds.iter_mut().for_each(|lists| lists.put(arena, Standing::of(arena, lists.runs)));
    }

    /// Takes an arena out.
    pub fn remove(&mut self, arena: &mut Arena) {
        self.empty -= usize::from(arena.is_empty());
        self.kinds.iter_mut().for_each(|lists| lists.put(arena, Standing::NOWHERE));
    }

    /// Does something to an arena of the index that may change what it has free.
    pub fn changing<R>(&mut self, arena: &mut Arena, change: impl FnOnce(&mut Arena) -> R) -> R {
        self.empty -= usize::from(arena.is_empty());
        let result = change(arena);
        self.empty += usize::from(arena.is_empty());
        self.kinds.iter_mut().for_each(|lists| lists.put(arena, Standing::of(arena, lists.runs)));
        result
    }

    /// Takes `slots` slots in a row, in runs of one kind, that start at a multiple of `align`: of the fullest arena that has
    /// them, if a few tries find it; else of the fullest of those in whose runs some must.
    pub fn search(&mut self, runs: Runs, slots: usize, align: usize) -> Option<Taken> {
        let (some, all) = (length_of(slots), length_above(slots + align - 1));
        self.search_from(some, ARENAS_LOOKED_AT, runs, slots, align)
            .or_else(|| self.search_from(all, usize::MAX, runs, slots, align))
    }

    /// As [`ArenaIndex::search`], of runs from a step of length on, of at most `looks` arenas.
    fn search_from(
        &mut self,
        from: usize,
        mut looks: usize,
        runs: Runs,
        slots: usize,
        align: usize,
    ) -> Option<Taken> {
        for fullness in 0..FULLNESSES {
            let mut left = self.kinds[runs as usize].listed[fullness] & LengthSet::MAX << from;
            while left != 0 {
                let length = left.trailing_zeros() as usize;
                left &= left - 1;
                let mut next = self.kinds[runs as usize].first[fullness][length];
                while let Some(mut arena) = NonNull::new(next) {
                    // SAFETY: a listed arena's record is alive, and the set that has the index is the caller's.
                    let arena = unsafe { arena.as_mut() };
                    // Now, as a try that finds nothing may put it on a list of shorter runs.
                    next = arena.links[runs as usize].next;
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

    /// Checks that each list has what belongs there. Returns how many arenas are listed for their free slots.
    pub fn check(&self) -> usize {
        let [mut listed, mut empty] = [0, 0];
        for lists in &self.kinds {
            lists.for_each(|arena| {
                listed += usize::from(lists.runs == Runs::Free);
                empty += usize::from(lists.runs == Runs::Free && arena.is_empty());
            });
        }
        invariant!(empty == self.empty, "empty arenas are counted");
        listed
    }
}

impl Lists {
    const fn new(runs: Runs) -> Self {
        let first = [[ptr::null_mut(); LENGTHS]; FULLNESSES];
        Self { runs, first, listed: [0; FULLNESSES] }
    }

    /// Puts an arena where it belongs now.
    #[inline]
    fn put(&mut self, arena: &mut Arena, standing: Standing) {
        if arena.links[self.runs as usize].standing != standing {
            self.unlist(arena);
            self.list(arena, standing);
        }
    }

    fn list(&mut self, arena: &mut Arena, standing: Standing) {
        let kind = self.runs as usize;
        arena.links[kind] = Links { standing, ..Links::NONE };
        if standing == Standing::NOWHERE {
            return;
        }
        let first = &mut self.first[standing.fullness as usize][standing.length as usize];
        arena.links[kind].next = *first;
        if let Some(mut next) = NonNull::new(*first) {
            // SAFETY: a listed arena's record is alive.
            unsafe { next.as_mut().links[kind].prev = arena };
        }
        *first = arena;
        self.listed[standing.fullness as usize] |= 1 << standing.length;
    }

    fn unlist(&mut self, arena: &mut Arena) {
        let kind = self.runs as usize;
        let Links { next, prev, standing } = arena.links[kind];
        if standing == Standing::NOWHERE {
            return;
        }
        match NonNull::new(prev) {
            // SAFETY: a listed arena's record is alive.
            Some(mut prev) => unsafe { prev.as_mut().links[kind].next = next },
            None => {
                self.first[standing.fullness as usize][standing.length as usize] = next;
                if next.is_null() {
                    self.listed[standing.fullness as usize] &= !(1 << standing.length);
                }
            }
        }
        if let Some(mut next) = NonNull::new(next) {
            // SAFETY: as above.
            unsafe { next.as_mut().links[kind].prev = prev };
        }
    }

    /// Calls `each` with every arena, and checks that it is where it belongs.
    fn for_each(&self, mut each: impl FnMut(&Arena)) {
        for (fullness, lists) in self.first.iter().enumerate() {
            for (length, &first) in lists.iter().enumerate() {
                let has_one = self.listed[fullness] & 1 << length != 0;
                invariant!(has_one != first.is_null(), "it is known which lists have arenas");
                let mut next = first;
                while let Some(arena) = NonNull::new(next) {
                    // SAFETY: a listed arena's record is alive.
                    let arena = unsafe { arena.as_ref() };
                    let standing = Standing { fullness: fullness as u8, length: length as u8 };
                    invariant!(
                        Standing::of(arena, self.runs) == standing,
                        "an arena is in its list"
                    );
                    invariant!(
                        arena.links[self.runs as usize].standing == standing,
                        "and knows it"
                    );
                    each(arena);
                    next = arena.links[self.runs as usize].next;
                }
            }
        }
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
