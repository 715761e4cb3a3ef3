//! What `stats()` returns: sums, as plain data.

#![forbid(unsafe_code)]

use crate::base::class::SizeClass;
use crate::policy::retention::Retention;

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
    /// Batches of OS pages whose contents were given back.
    pub purges: u64,
    /// OS pages in them.
    pub pages_purged: u64,
    /// Of those, OS pages that were used again.
    pub pages_refaulted: u64,
    /// Nanoseconds spent in giving contents back.
    pub purge_ns: u64,
    /// Huge pages that pools and spans got since the process began. 0 unless they are asked for.
    pub huge_pages: u64,
    /// What counts against a soft limit: the process's bytes in RAM, not only the allocator's; of a
    /// share of a cgroup, what the cgroup uses. Where the system does not tell, what the allocator
    /// may have in RAM.
    pub resident_bytes: usize,
    /// The soft limit in force; 0 if there is none.
    pub soft_limit_bytes: usize,
    /// How often what was resident came near the limit, or nearer, and steps were taken up the ladder.
    pub soft_limit_climbs: u64,
    /// How often memory was given back before growing, at the limit.
    pub soft_limit_purges: u64,
    /// The rung in force: the chosen one, or a higher one near a soft limit.
    pub retention_in_force: Retention,
    /// Addresses given to `free` or `realloc` that were no block of this allocator's: left alone, and so
    /// lost. 0 without the feature `malloc`.
    pub stray_frees: u64,
    pub(crate) classes: [ClassStats; SizeClass::COUNT],
}

/// One size class's share of [`Stats`].
#[derive(Clone, Copy, Debug)]
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
    /// A class of which there is nothing.
    pub(crate) const fn none(class: SizeClass) -> Self {
        Self {
            block_size: class.block_size(),
            blocks_live: 0,
            blocks_live_peak: 0,
            blocks_free: 0,
            pools: 0,
            pools_peak: 0,
        }
    }

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
    /// Of an allocator that holds nothing.
    #[allow(dead_code, reason = "only where the system's allocator serves")]
    pub(crate) fn none() -> Self {
        Self {
            live_bytes: 0,
            live_bytes_peak: 0,
            mapped_bytes: 0,
            mapped_bytes_peak: 0,
            free_bytes: 0,
            large_blocks: 0,
            large_bytes: 0,
            large_kept_bytes: 0,
            arenas: 0,
            arenas_peak: 0,
            arenas_returned: 0,
            maps: 0,
            unmaps: 0,
            remaps: 0,
            advises: 0,
            purges: 0,
            pages_purged: 0,
            pages_refaulted: 0,
            purge_ns: 0,
            huge_pages: 0,
            resident_bytes: 0,
            soft_limit_bytes: 0,
            soft_limit_climbs: 0,
            soft_limit_purges: 0,
            retention_in_force: Retention::DEFAULT,
            stray_frees: 0,
            classes: SizeClass::table(ClassStats::none),
        }
    }

    /// Every size class, smallest blocks first, unused ones too.
    pub fn classes(&self) -> impl Iterator<Item = &ClassStats> {
        self.classes.iter()
    }
}
