//! A set of slots of one arena: which are free, which were ever touched.

#![forbid(unsafe_code)]

use core::ops::Range;

use crate::base::geometry::SLOTS_PER_ARENA;

const BITS: usize = u64::BITS as usize;
const WORDS: usize = SLOTS_PER_ARENA / BITS;
const _: () = assert!(WORDS * BITS == SLOTS_PER_ARENA);

/// The most that [`SlotSet::longer`] adds at a time, a power of two below a word's bits.
const STEP_MAX: usize = BITS / 2;

/// One bit a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotSet([u64; WORDS]);

impl SlotSet {
    /// No slot.
    pub const fn empty() -> Self {
        Self([0; WORDS])
    }

    /// Adds every slot of `range`.
    pub fn insert(&mut self, range: Range<usize>) {
        for (word, mask) in masks(range) {
            self.0[word] |= mask;
        }
    }

    /// Takes every slot of `range` out.
    pub fn remove(&mut self, range: Range<usize>) {
        for (word, mask) in masks(range) {
            self.0[word] &= !mask;
        }
    }

    /// Adds one slot.
    #[inline]
    pub fn insert_one(&mut self, slot: usize) {
        self.0[slot / BITS] |= 1 << (slot % BITS);
    }

    /// Takes one slot out.
    #[inline]
    pub fn remove_one(&mut self, slot: usize) {
        self.0[slot / BITS] &= !(1 << (slot % BITS));
    }

    /// Whether every slot of `range` is in.
    pub fn contains_all(&self, range: Range<usize>) -> bool {
        masks(range).all(|(word, mask)| self.0[word] & mask == mask)
    }

    /// Whether any slot of `range` is in.
    pub fn contains_any(&self, range: Range<usize>) -> bool {
        masks(range).any(|(word, mask)| self.0[word] & mask != 0)
    }

    /// How many slots are in.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The slots that are in both sets.
    pub fn and(&self, other: &SlotSet) -> SlotSet {
        let mut both = *self;
        both.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
        both
    }

    /// The slots that are in this set and not in the other.
    pub fn without(&self, other: &SlotSet) -> SlotSet {
        let mut rest = *self;
        rest.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
        rest
    }

    /// The lowest run of slots in a row that are in, at or above `from`.
    pub fn run(&self, from: usize) -> Option<Range<usize>> {
        let start = self.first(from, false)?;
        Some(start..self.first(start, true).unwrap_or(SLOTS_PER_ARENA))
    }

    /// How many slots of `range` are in.
    pub fn count_in(&self, range: Range<usize>) -> usize {
        masks(range).map(|(word, mask)| (self.0[word] & mask).count_ones() as usize).sum()
    }

    /// How many slots are in both sets.
    pub fn count_common(&self, other: &SlotSet) -> usize {
        self.0.iter().zip(&other.0).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// The lowest multiple of `align`, a power of two, from which `length` slots in a row are in.
    pub fn find(&self, length: usize, align: usize) -> Option<usize> {
        let aligned = |slot: usize| (slot + align - 1) & !(align - 1);
        // The first run mostly does.
        let run = self.run(0)?;
        if aligned(run.start) + length <= run.end {
            return Some(aligned(run.start));
        }
        let (mut starts, mut reached) = (*self, 1);
        while reached < length {
            let step = reached.min(length - reached).min(STEP_MAX);
            starts = starts.longer(step);
            reached += step;
        }
        let mut from = 0;
        loop {
            let start = starts.first(from, false)?;
            from = aligned(start);
            if from == start {
                return Some(start);
            }
        }
    }

    /// The length of the longest run of slots in a row that are in.
    pub fn longest(&self) -> usize {
        let mut starts = *self;
        let mut length = usize::from(starts != Self::empty());
        let (mut step, mut climbs) = (length, true);
        while step > 0 {
            let longer = starts.longer(step);
            if longer == Self::empty() {
                climbs = false;
            } else {
                starts = longer;
                length += step;
            }
            // Twice as long as long as there is one; then by ever smaller steps, all of them powers of two.
            step = if climbs { length.min(STEP_MAX) } else { step / 2 };
        }
        length
    }

    /// Of a set of slots at which runs of a certain length start: those of runs that are longer by `by`, which is at most
    /// that length, and at most [`STEP_MAX`].
    #[inline]
    fn longer(&self, by: usize) -> SlotSet {
        let mut both = *self;
        for (place, word) in both.0.iter_mut().enumerate() {
            let next = self.0.get(place + 1).copied().unwrap_or(0);
            let wide = u128::from(next) << BITS | u128::from(*word);
            *word &= (wide >> (by % BITS)) as u64;
        }
        both
    }

    /// The run of slots in a row that are in to which `slot` belongs, which is in.
    pub fn run_around(&self, slot: usize) -> Range<usize> {
        let end = self.first(slot, true).unwrap_or(SLOTS_PER_ARENA);
        let mut word = slot / BITS;
        let mut gaps = !self.0[word] & (u64::MAX >> (BITS - 1 - slot % BITS));
        while gaps == 0 && word > 0 {
            word -= 1;
            gaps = !self.0[word];
        }
        (word + 1) * BITS - gaps.leading_zeros() as usize..end
    }

    /// The lowest slot at or above `from` that is in; or, `inverted`, that is not.
    fn first(&self, from: usize, inverted: bool) -> Option<usize> {
        let flip = if inverted { u64::MAX } else { 0 };
        let mut word = from / BITS;
        let mut bits = (self.0.get(word)? ^ flip) & (u64::MAX << (from % BITS));
        while bits == 0 {
            word += 1;
            bits = self.0.get(word)? ^ flip;
        }
        Some(word * BITS + bits.trailing_zeros() as usize)
    }
}

/// The words that `range` touches, each with the bits of the range in it.
fn masks(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    (range.start / BITS..range.end.div_ceil(BITS)).map(move |word| {
        let low = range.start.max(word * BITS) - word * BITS;
        let high = range.end.min((word + 1) * BITS) - word * BITS;
        let length = high - low;
        let mask = if length == BITS { u64::MAX } else { ((1 << length) - 1) << low };
        (word, mask)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn naive_find(set: &[bool], length: usize, align: usize) -> Option<usize> {
        (0..=set.len() - length)
            .filter(|start| start % align == 0)
            .find(|&start| set[start..start + length].iter().all(|&slot| slot))
    }

    proptest! {
        #[test]
        fn a_set_of_slots_is_an_array_of_flags(
            ranges in prop::collection::vec((0..SLOTS_PER_ARENA, 0..80usize, any::<bool>()), 0..40),
            length in 1..140usize,
            align_shift in 0..6u32,
        ) {
            let mut set = SlotSet::empty();
            let mut flags = vec![false; SLOTS_PER_ARENA];
            for (start, length, insert) in ranges {
                let range = start..(start + length).min(SLOTS_PER_ARENA);
                if insert { set.insert(range.clone()) } else { set.remove(range.clone()) }
                flags[range.clone()].fill(insert);
                if let Some(one) = range.clone().next() {
                    if insert { set.remove_one(one) } else { set.insert_one(one) }
                    prop_assert_eq!(set.contains_any(one..one + 1), !insert);
                    if insert { set.insert_one(one) } else { set.remove_one(one) }
                }
                prop_assert_eq!(set.contains_all(range.clone()), insert || range.is_empty());
                prop_assert_eq!(set.contains_any(range.clone()), insert && !range.is_empty());
                prop_assert_eq!(set.count_in(range.clone()), if insert { range.len() } else { 0 });
            }
            prop_assert_eq!(set.count(), flags.iter().filter(|&&slot| slot).count());
            prop_assert_eq!(set.count_common(&set), set.count());
            prop_assert_eq!(set.and(&set), set);
            let part = 0..length.min(SLOTS_PER_ARENA);
            let naive = flags[part.clone()].iter().filter(|&&slot| slot).count();
            prop_assert_eq!(set.count_in(part), naive);
            let mut from_runs = SlotSet::empty();
            let (mut from, mut longest) = (0, 0);
            while let Some(run) = set.run(from) {
                prop_assert!(!set.contains_any(run.end..(run.end + 1).min(SLOTS_PER_ARENA)));
                prop_assert!(run.clone().all(|slot| set.run_around(slot) == run));
                longest = longest.max(run.len());
                from = run.end;
                from_runs.insert(run);
            }
            prop_assert_eq!(from_runs, set);
            prop_assert_eq!(set.longest(), longest);
            let align = 1 << align_shift;
            prop_assert_eq!(set.find(length, align), naive_find(&flags, length, align));
        }
    }
}
