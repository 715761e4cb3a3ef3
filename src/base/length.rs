//! Lengths of spans, in slots: eight to a doubling, as block sizes are.
//!
//! So that a freed span is more often one that is wanted again, and begins where others began before it: of a buffer that
//! is not filled only the first OS pages are touched, and they are the same ones.

#![forbid(unsafe_code)]

use super::geometry::{SLOT_SIZE, SPAN_LENGTHS_A_DOUBLING as STEPS, SPAN_MAX};

const SLOTS_MAX: usize = SPAN_MAX / SLOT_SIZE;
const STEPS_BITS: usize = STEPS.ilog2() as usize;
const _: () = assert!(STEPS.is_power_of_two() && slots_at(index_of(SLOTS_MAX)) == SLOTS_MAX);

/// By slots, that of one slot first.
static INDICES: [u8; SLOTS_MAX] = {
    let mut indices = [0; SLOTS_MAX];
    let mut slots = 1;
    while slots <= SLOTS_MAX {
        indices[slots - 1] = index_of(slots) as u8;
        slots += 1;
    }
    indices
};

/// A span's length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanLength(u8);

impl SpanLength {
    /// How many there are.
    pub const COUNT: usize = index_of(SLOTS_MAX) + 1;

    /// The shortest that has `slots` slots, of which there is at least one and no more than the longest has.
    #[inline]
    pub fn of(slots: usize) -> SpanLength {
        SpanLength(INDICES[slots - 1])
    }

    /// Its slots.
    #[inline]
    pub fn slots(self) -> usize {
        slots_at(self.index())
    }

    /// How many are shorter.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

const fn index_of(slots: usize) -> usize {
    let last = slots - 1;
    // By so many bits the number of the last slot is shortened.
    let shift = (last | STEPS).ilog2() as usize - STEPS_BITS;
    shift * STEPS + (last >> shift)
}

const fn slots_at(index: usize) -> usize {
    let shift = (index / STEPS).saturating_sub(1);
    (index - shift * STEPS + 1) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_the_shortest_that_holds_and_loses_at_most_an_eighth() {
        let mut before = 0;
        for slots in 1..=SLOTS_MAX {
            let length = SpanLength::of(slots);
            assert!(length.slots() >= slots && SpanLength::of(length.slots()) == length);
            assert!((length.slots() - slots) * 8 <= slots, "{slots} of {}", length.slots());
            assert!(length.index() == before || length.index() == before + 1);
            assert!(length.index() == before || slots_at(before) == slots - 1);
            before = length.index();
        }
        assert_eq!(before + 1, SpanLength::COUNT);
        assert_eq!((SpanLength::of(9).slots(), SpanLength::of(17).slots()), (9, 18));
    }
}
