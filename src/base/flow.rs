//! What came and went over a time, as numbers.

#![forbid(unsafe_code)]

/// How much was allocated and freed over a time, and the most by which the one was ahead of the other.
/// Blocks or bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Flow {
    /// All that was allocated.
    pub allocated: usize,
    /// All that was freed, whether it was allocated in this time or before.
    pub freed: usize,
    /// The most that was allocated less what was freed until then; 0 if never more was allocated than
    /// freed.
    pub peak: usize,
}

impl Flow {
    /// Nothing came, nothing went.
    pub(crate) const NONE: Flow = Flow { allocated: 0, freed: 0, peak: 0 };

    /// What is left of what was allocated; negative if more was freed.
    pub fn kept(&self) -> isize {
        self.allocated.wrapping_sub(self.freed) as isize
    }

    /// Whether neither anything was allocated nor freed.
    pub fn is_nothing(&self) -> bool {
        *self == Self::NONE
    }

    /// This flow with `change` more allocated, or, if negative, freed.
    pub(crate) fn and(mut self, change: isize) -> Flow {
        match change {
            0.. => self.allocated += change.unsigned_abs(),
            _ => self.freed += change.unsigned_abs(),
        }
        self.peak = self.peak.max(self.kept().max(0).unsigned_abs());
        self
    }

    /// Blocks, as bytes.
    pub(crate) fn of_blocks(self, block_size: usize) -> Flow {
        let [allocated, freed, peak] =
            [self.allocated, self.freed, self.peak].map(|blocks| blocks * block_size);
        Flow { allocated, freed, peak }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_most_that_was_kept() {
        let flow = [5, -3, 2, -4].into_iter().fold(Flow::NONE, Flow::and);
        assert_eq!(flow, Flow { allocated: 7, freed: 7, peak: 5 });
        assert_eq!((flow.kept(), flow.and(1).peak), (0, 5));
    }

    #[test]
    fn what_was_there_before_and_is_freed_makes_less_than_nothing() {
        let flow = [-10, 4].into_iter().fold(Flow::NONE, Flow::and);
        assert_eq!((flow.kept(), flow.peak), (-6, 0));
        assert_eq!(flow.of_blocks(8).kept(), -48);
        assert!(!flow.is_nothing() && Flow::NONE.is_nothing());
    }
}
