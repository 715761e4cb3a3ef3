//! `stats()`: the sums, as plain data.

#![forbid(unsafe_code)]

use crate::base::class::SizeClass;
use crate::heap::{large, ledger, local};
use crate::mem::arena_set::ARENAS;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sys;

/// What the allocator holds and what happened, at one moment. Sizes are bytes.
///
/// Exact for what the calling thread did. What other threads did is late by at most one pool's
/// blocks for each size class and thread; a peak likewise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// In the program's hands: small blocks at their block size, large ones as requested.
    pub live_bytes: usize,
    /// The highest `live_bytes` was: the program's own high-water mark.
    pub live_bytes_peak: usize,
    /// Taken from the operating system and not given back, touched or not.
    pub mapped_bytes: usize,
    /// The highest `mapped_bytes` was.
    pub mapped_bytes_peak: usize,
    /// In free lists of any kind: of pools, of threads, on the way from one thread to another.
    pub free_bytes: usize,
    /// Blocks above 32 KiB in the program's hands.
    pub large_blocks: usize,
    /// Their requested bytes.
    pub large_bytes: usize,
    /// Freed mappings of large blocks, kept for reuse.
    pub large_kept_bytes: usize,
    /// Arenas, of 1 MiB each.
    pub arenas: usize,
    /// The most there were.
    pub arenas_peak: usize,
    /// How many went back to the operating system since the process began.
    pub arenas_returned: usize,
    /// System calls that map, since the process began.
    pub maps: u64,
    /// System calls that unmap.
    pub unmaps: u64,
    /// System calls that lengthen, cut or move a mapping.
    pub remaps: u64,
    /// System calls that tell the system what memory is needed for.
    pub advises: u64,
    classes: [ClassStats; SizeClass::COUNT],
}

/// One size class's share of [`Stats`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes in one block.
    pub block_size: usize,
    /// Blocks in the program's hands.
    pub blocks_live: usize,
    /// The most there were.
    pub blocks_live_peak: usize,
    /// Free blocks that were carved.
    pub blocks_free: usize,
    /// Pools of the class.
    pub pools: usize,
    /// The most there were.
    pub pools_peak: usize,
}

impl ClassStats {
    /// Free blocks over all carved blocks: 0.0 if every block is in use or there is none, 1.0 if
    /// all are free.
    pub fn occupancy(&self) -> f64 {
        match self.blocks_live + self.blocks_free {
            0 => 0.0,
            blocks => self.blocks_free as f64 / blocks as f64,
        }
    }
}

impl Stats {
    /// Every size class, smallest blocks first, unused ones too.
    pub fn classes(&self) -> impl Iterator<Item = &ClassStats> {
        self.classes.iter()
    }
}

/// What the allocator holds now. Some microseconds; no lock is held afterwards.
///
/// ```
/// #[global_allocator]
/// static GLOBAL: highwater::Highwater = highwater::Highwater::new();
///
/// fn main() {
///     let before = highwater::stats().live_bytes;
///     let boxed = Box::new([0u8; 24]);
///     assert_eq!(highwater::stats().live_bytes - before, 24);
///     drop(boxed);
///     assert_eq!(highwater::stats().live_bytes, before);
/// }
/// ```
pub fn stats() -> Stats {
    let own = local::heap();
    if !own.is_nobody() {
        own.settle_all();
    }
    let classes = SizeClass::all().map(class_stats);
    let mut filled = [ClassStats::default(); SizeClass::COUNT];
    filled
        .iter_mut()
        .zip(classes)
        .for_each(|(place, class)| *place = class);
    let (arenas, arenas_peak, arenas_returned) = ARENAS.lock().counts();
    let (mapped_bytes, mapped_bytes_peak) = sys::mapped_bytes();
    Stats {
        live_bytes: ledger::LIVE_BYTES.now(),
        live_bytes_peak: ledger::LIVE_BYTES.peak(),
        mapped_bytes,
        mapped_bytes_peak,
        free_bytes: filled
            .iter()
            .map(|class| class.blocks_free * class.block_size)
            .sum(),
        large_blocks: ledger::LARGE_BLOCKS.now(),
        large_bytes: ledger::LARGE_BYTES.now(),
        large_kept_bytes: large::totals().kept,
        arenas,
        arenas_peak,
        arenas_returned,
        maps: sys::MAPS.load(Relaxed),
        unmaps: sys::UNMAPS.load(Relaxed),
        remaps: sys::REMAPS.load(Relaxed),
        advises: sys::ADVISES.load(Relaxed),
        classes: filled,
    }
}

fn class_stats(class: SizeClass) -> ClassStats {
    let sums = ledger::class(class);
    let (live, carved) = (sums.live.now(), sums.carved.now());
    ClassStats {
        block_size: class.block_size(),
        blocks_live: live,
        blocks_live_peak: sums.live.peak(),
        blocks_free: carved.saturating_sub(live),
        pools: sums.pools.now(),
        pools_peak: sums.pools.peak(),
    }
}

/// Starts every peak again from what is now.
pub fn reset_peaks() {
    let own = local::heap();
    if !own.is_nobody() {
        own.settle_all();
    }
    ledger::reset_peaks();
    ARENAS.lock().reset_peak();
    sys::reset_mapped_peak();
}
