//! What is live, per size class and in all: the sums that `stats` reads.
//!
//! Thread heaps count for themselves and publish what they counted here: allocations when a list is
//! exhausted, frees every so often, at the latest after one pool's worth of blocks. So a sum is late
//! by at most one pool's blocks for each bin, and exact for the thread that settles first.

#![forbid(unsafe_code)]

use super::watch;
use crate::base::class::SizeClass;
use crate::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use crate::sys::purge::PAGES_PURGED;

/// A sum.
pub struct Sum(AtomicIsize);

impl Sum {
    const fn new() -> Self {
        Self(AtomicIsize::new(0))
    }

    /// Adds `change`, which may be negative. Returns the sum then, which may be too.
    pub fn add(&self, change: isize) -> isize {
        self.0.fetch_add(change, Relaxed) + change
    }

    /// The sum. Frees can be published before the allocations they undo: never below 0.
    pub fn now(&self) -> usize {
        self.0.load(Relaxed).max(0) as usize
    }

    /// As [`Sum::now`], when `more` is not published yet.
    pub fn now_with(&self, more: isize) -> usize {
        (self.0.load(Relaxed) + more).max(0) as usize
    }

    /// Sets the sum: for a forked child, which counts anew.
    pub fn set(&self, now: usize) {
        self.0.store(now as isize, Relaxed);
    }
}

/// A sum and the highest it was.
pub struct Gauge {
    sum: Sum,
    peak: AtomicIsize,
}

impl Gauge {
    const fn new() -> Self {
        Self { sum: Sum::new(), peak: AtomicIsize::new(0) }
    }

    /// Adds `change`, which may be negative.
    pub fn add(&self, change: isize) {
        let now = self.sum.add(change);
        if change > 0 && now > self.peak.load(Relaxed) {
            self.peak.fetch_max(now, Relaxed);
        }
    }

    /// As [`Sum::now`].
    pub fn now(&self) -> usize {
        self.sum.now()
    }

    /// As [`Sum::now_with`].
    pub fn now_with(&self, more: isize) -> usize {
        self.sum.now_with(more)
    }

    /// The highest the sum was since the last [`Gauge::reset_peak`].
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed).max(0) as usize
    }

    /// Starts the peak again from the sum.
    pub fn reset_peak(&self) {
        self.peak.store(self.sum.0.load(Relaxed), Relaxed);
    }

    /// As [`Sum::set`].
    pub fn set(&self, now: usize) {
        self.sum.set(now);
        self.peak.fetch_max(now as isize, Relaxed);
    }
}

/// One class's sums; on cache lines of its own.
#[repr(align(64))]
pub struct ClassLedger {
    /// Blocks that the program has.
    pub live: Gauge,
    /// Blocks that exist.
    pub carved: Sum,
    /// Pools of the class.
    pub pools: Gauge,
}

static CLASSES: [ClassLedger; SizeClass::COUNT] =
    [const { ClassLedger { live: Gauge::new(), carved: Sum::new(), pools: Gauge::new() } };
        SizeClass::COUNT];

/// Bytes that the program has: blocks at their block size, larger ones as requested.
pub static LIVE_BYTES: Gauge = Gauge::new();
/// Spans and direct mappings that the program has: how many, and their requested bytes.
pub static LARGE_BLOCKS: Sum = Sum::new();
/// See [`LARGE_BLOCKS`].
pub static LARGE_BYTES: Sum = Sum::new();

/// Bytes of the blocks that exist, of all classes.
static CARVED_BYTES: Sum = Sum::new();

/// OS pages that were purged and used again.
static PAGES_REFAULTED: AtomicUsize = AtomicUsize::new(0);

/// `pages` purged OS pages are used again.
pub fn refaulted(pages: usize) {
    if pages > 0 {
        PAGES_REFAULTED.fetch_add(pages, Relaxed);
    }
}

/// OS pages purged, and purged ones that were used again, since the process began.
pub fn purged_and_refaulted() -> (u64, u64) {
    (PAGES_PURGED.load(Relaxed), PAGES_REFAULTED.load(Relaxed) as u64)
}

/// Bytes of free blocks of all classes.
pub fn free_bytes() -> usize {
    let live_small = LIVE_BYTES.now().saturating_sub(LARGE_BYTES.now());
    CARVED_BYTES.now().saturating_sub(live_small)
}

/// `blocks` more exist, or fewer if negative.
pub fn carved(of: SizeClass, blocks: isize) {
    class(of).carved.add(blocks);
    CARVED_BYTES.add(blocks * of.block_size() as isize);
}

/// The sums of `class`.
pub fn class(class: SizeClass) -> &'static ClassLedger {
    &CLASSES[class.index()]
}

/// `blocks` more are live, or fewer if negative.
pub fn publish(of: SizeClass, blocks: isize) {
    if blocks != 0 {
        class(of).live.add(blocks);
        LIVE_BYTES.add(blocks * of.block_size() as isize);
    }
}

/// The calling thread has `blocks` spans or direct mappings more, `bytes` requested bytes more; or fewer.
pub fn publish_large(blocks: isize, bytes: isize) {
    add_large(blocks, bytes);
    watch::count_large(blocks, bytes);
}

/// As [`publish_large`], of what several threads did.
pub fn add_large(blocks: isize, bytes: isize) {
    LARGE_BLOCKS.add(blocks);
    LARGE_BYTES.add(bytes);
    LIVE_BYTES.add(bytes);
}

/// Starts every peak again from what is now.
pub fn reset_peaks() {
    for class in &CLASSES {
        class.live.reset_peak();
        class.pools.reset_peak();
    }
    LIVE_BYTES.reset_peak();
}

/// Sets a class's sums: for a forked child, which counts anew.
pub fn recount(of: SizeClass, live: usize, carved: usize, pools: usize) {
    let sums = class(of);
    sums.live.set(live);
    sums.carved.set(carved);
    sums.pools.set(pools);
}

/// Sets the sums of what is large, and the sum of all: after every class's own.
pub fn recount_large(blocks: usize, bytes: usize) {
    LARGE_BLOCKS.set(blocks);
    LARGE_BYTES.set(bytes);
    let small = SizeClass::all().map(|each| class(each).live.now() * each.block_size());
    LIVE_BYTES.set(bytes + small.sum::<usize>());
    let carved = SizeClass::all().map(|each| class(each).carved.now() * each.block_size());
    CARVED_BYTES.set(carved.sum());
}
