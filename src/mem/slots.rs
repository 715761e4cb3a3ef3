//! A set of slots of one arena: which are free, which were ever touched.

#![forbid(unsafe_code)]

use core::ops::Range;

use crate::base::geometry::SLOTS_PER_ARENA;

const BITS: usize = u64::BITS as usize;
const WORDS: usize = SLOTS_PER_ARENA / BITS;
const _: () = assert!(WORDS * BITS == SLOTS_PER_ARENA);

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

    /// The lowest multiple of `align` from which `length` slots in a row are in.
    pub fn find(&self, length: usize, align: usize) -> Option<usize> {
        let mut start = 0;
        while start + length <= SLOTS_PER_ARENA {
            start = self.first(start, false)?.next_multiple_of(align);
            if start + length > SLOTS_PER_ARENA {
                return None;
            }
            match self.first(start, true) {
                Some(gap) if gap < start + length => start = gap,
                _ => return Some(start),
            }
        }
        None
    }

    /// The lowest slot at or above `from` that is in.
    pub fn next(&self, from: usize) -> Option<usize> {
        self.first(from, false)
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
            let mut from = 0;
            while let Some(run) = set.run(from) {
                prop_assert!(!set.contains_any(run.end..(run.end + 1).min(SLOTS_PER_ARENA)));
                from = run.end;
                from_runs.insert(run);
            }
            prop_assert_eq!(from_runs, set);
            let align = 1 << align_shift;
            prop_assert_eq!(set.find(length, align), naive_find(&flags, length, align));
        }
    }
}
