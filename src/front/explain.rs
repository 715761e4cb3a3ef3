//! What `explain()` returns: every mapped byte, one reason each, and whether the sum closes.

#![forbid(unsafe_code)]

use core::fmt;

/// Every mapped byte with its reason. Sizes are bytes. Prints as a table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Explain {
    /// Small blocks in the program's hands.
    pub live: usize,
    /// Large blocks in the program's hands, as requested.
    pub large: usize,
    /// Between what was requested and what large blocks take up.
    pub rounding: usize,
    /// Free blocks on pools' and threads' lists.
    pub free: usize,
    /// Freed by other threads than their owner, which has not taken them in yet.
    pub waiting: usize,
    /// Never used: blocks that no pool has carved, slots that no pool has taken.
    pub uncarved: usize,
    /// Address space kept, contents given back.
    pub purged: usize,
    /// Pools without a used block, and slots that were a pool's or span's before.
    pub empty: usize,
    /// At the ends of pools, too small for a block.
    pub tails: usize,
    /// The allocator's own records.
    pub records: usize,
    /// Freed large blocks, kept for reuse.
    pub kept: usize,
    /// All that is mapped, as counted when it was mapped and unmapped.
    pub mapped: usize,
}

impl Explain {
    /// The reasons, with their bytes.
    pub fn reasons(&self) -> [(&'static str, usize); 11] {
        [
            ("live small blocks", self.live),
            ("live large blocks", self.large),
            ("rounding of large blocks", self.rounding),
            ("free blocks on lists", self.free),
            ("remote frees waiting", self.waiting),
            ("never used", self.uncarved),
            ("purged", self.purged),
            ("empty pools and slots", self.empty),
            ("tails of pools", self.tails),
            ("records", self.records),
            ("kept large mappings", self.kept),
        ]
    }

    /// All reasons together. Equal to `mapped` whenever no other thread is mapping or unmapping at
    /// this very moment.
    pub fn sum(&self) -> usize {
        self.reasons().iter().map(|(_, bytes)| bytes).sum()
    }
}

impl fmt::Display for Explain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In hundredths of a percent. By integers: what prints floating-point numbers would add 19 KiB to every program.
        let share = |bytes: usize| {
            let mapped = self.mapped.max(1) as u64;
            (bytes as u64 * 10_000 + mapped / 2) / mapped
        };
        let mut line = |name: &str, bytes: usize| {
            let share = share(bytes);
            writeln!(out, "{name:<26}{bytes:>16} B  {:>3}.{:02} %", share / 100, share % 100)
        };
        for (name, bytes) in self.reasons() {
            line(name, bytes)?;
        }
        line("sum", self.sum())?;
        line("mapped", self.mapped)?;
        let difference = self.mapped as isize - self.sum() as isize;
        write!(out, "{:<26}{difference:>16} B", "difference")
    }
}
