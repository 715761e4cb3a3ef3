//! What `measure()` returns: what one piece of work allocated, freed and had at most.

#![forbid(unsafe_code)]

use core::fmt;

use crate::base::class::SizeClass;
use crate::base::flow::Flow;

/// What a closure returned and what it allocated: see [`measure`](crate::measure()). Prints as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured<T> {
    /// What the closure returned.
    pub value: T,
    /// Blocks of every kind.
    pub blocks: Flow,
    /// Their bytes: small blocks at their block size, large ones as requested.
    pub bytes: Flow,
    /// Blocks above 32 KiB.
    pub large_blocks: Flow,
    /// Their requested bytes. One that grows in place allocates what it grows by.
    pub large_bytes: Flow,
    pub(crate) classes: [Flow; SizeClass::COUNT],
}

/// One size class's share of [`Measured`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MeasuredClass {
    /// Bytes in one block.
    pub block_size: usize,
    /// Blocks of the class.
    pub blocks: Flow,
}

impl MeasuredClass {
    /// The blocks' bytes.
    pub fn bytes(&self) -> Flow {
        self.blocks.of_blocks(self.block_size)
    }
}

impl<T> Measured<T> {
    /// Every size class of which a block was allocated or freed, smallest blocks first.
    pub fn classes(&self) -> impl Iterator<Item = MeasuredClass> {
        let all = SizeClass::all().zip(&self.classes);
        let touched = all.filter(|(_, blocks)| !blocks.is_nothing());
        touched.map(|(class, blocks)| MeasuredClass {
            block_size: class.block_size(),
            blocks: *blocks,
        })
    }
}

impl<T> fmt::Display for Measured<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:>10} {:>11} {:>11} {:>11} {:>13} {:>13}",
            "block size", "allocated", "kept", "peak", "bytes kept", "bytes peak"
        )?;
        for class in self.classes() {
            write!(out, "{:>10}", class.block_size)?;
            figures(out, class.blocks, class.bytes())?;
            writeln!(out)?;
        }
        if !self.large_bytes.is_nothing() {
            write!(out, "{:>10}", "larger")?;
            figures(out, self.large_blocks, self.large_bytes)?;
            writeln!(out)?;
        }
        write!(out, "{:>10}", "all")?;
        figures(out, self.blocks, self.bytes)
    }
}

fn figures(out: &mut fmt::Formatter<'_>, blocks: Flow, bytes: Flow) -> fmt::Result {
    let (allocated, kept, peak) = (blocks.allocated, blocks.kept(), blocks.peak);
    write!(out, " {allocated:>11} {kept:>11} {peak:>11} {:>13} {:>13}", bytes.kept(), bytes.peak)
}
