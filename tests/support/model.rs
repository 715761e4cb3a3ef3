//! What should be true of the allocator, by a simpler reckoning: a map of live ranges and some sums.

#[path = "inner.rs"]
mod inner;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;

use highwater::{Highwater, MapKind, Retention};

pub static HIGHWATER: Highwater = Highwater::new().without_sweeper();

const SLOT: usize = 4 << 10;
const BLOCK_MAX: usize = 32 << 10;

pub struct Block {
    at: *mut u8,
    layout: Layout,
    fill: u8,
}

/// What should be true of the allocator, by a simpler reckoning.
pub struct Model {
    pub blocks: Vec<Block>,
    /// Start to end of every live range; a range without a byte takes one here.
    ranges: BTreeMap<usize, usize>,
    block_sizes: Vec<usize>,
    pub live_bytes: usize,
    fills: u8,
}

impl Model {
    pub fn new() -> Self {
        let stats = highwater::stats();
        Model {
            blocks: Vec::new(),
            ranges: BTreeMap::new(),
            block_sizes: stats.classes().map(|class| class.block_size).collect(),
            live_bytes: 0,
            fills: 0,
        }
    }

    /// The block size of a small request; `None` for a larger one.
    fn block_size(&self, layout: Layout) -> Option<usize> {
        let (size, align) = (inner::size(layout), layout.align());
        let bytes = match align {
            0..=8 => size,
            _ => size.max(1).next_multiple_of(align),
        };
        if align > SLOT || bytes > BLOCK_MAX {
            return None;
        }
        self.block_sizes.iter().copied().find(|&block_size| block_size >= bytes)
    }

    fn cost(&self, layout: Layout) -> usize {
        self.block_size(layout).unwrap_or(inner::size(layout))
    }

    fn begin(&mut self, at: *mut u8, layout: Layout) {
        assert!(!at.is_null(), "no memory for {layout:?}");
        let start = at.addr();
        assert_eq!(start % layout.align(), 0, "{layout:?} at {start:#x}");
        let end = start + layout.size().max(1);
        if let Some((_, &below)) = self.ranges.range(..end).next_back() {
            assert!(below <= start, "{layout:?} at {start:#x} overlaps another");
        }
        self.ranges.insert(start, end);
        self.live_bytes += self.cost(layout);
        self.fills = self.fills % 250 + 1;
        let fill = self.fills;
        // SAFETY: a block of at least this size, ours.
        unsafe { at.write_bytes(fill, layout.size()) };
        self.blocks.push(Block { at, layout, fill });
    }

    /// Takes a block out whose bytes are still what was written.
    fn end(&mut self, index: usize) -> Block {
        let block = self.blocks.swap_remove(index);
        assert_filled(block.at, block.layout.size(), block.fill);
        self.ranges.remove(&block.at.addr());
        self.live_bytes -= self.cost(block.layout);
        block
    }

    pub fn alloc(&mut self, layout: Layout) {
        // SAFETY: the allocator takes layouts of size 0 too.
        let at = unsafe { HIGHWATER.alloc(layout) };
        self.begin(at, layout);
    }

    pub fn alloc_zeroed(&mut self, layout: Layout) {
        // SAFETY: as above.
        let at = unsafe { HIGHWATER.alloc_zeroed(layout) };
        assert!(!at.is_null(), "no memory for {layout:?}");
        assert_filled(at, layout.size(), 0);
        self.begin(at, layout);
    }

    pub fn realloc(&mut self, index: usize, size: usize) {
        let Some(index) = index.checked_rem(self.blocks.len()) else {
            return;
        };
        let old = self.end(index);
        let layout = Layout::from_size_align(size, old.layout.align()).unwrap();
        // SAFETY: a live block with its layout, given up for what comes back.
        let at = unsafe { HIGHWATER.realloc(old.at, old.layout, size) };
        assert!(!at.is_null(), "no memory for {layout:?}");
        assert_filled(at, size.min(old.layout.size()), old.fill);
        let (from, to) = (self.block_size(old.layout), self.block_size(layout));
        if from.is_some() && from == to {
            assert_eq!(at, old.at, "a block that still fits stays");
        }
        self.begin(at, layout);
    }

    pub fn free(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.blocks.len()) else {
            return;
        };
        let block = self.end(index);
        // SAFETY: a live block with its layout, given up.
        unsafe { HIGHWATER.dealloc(block.at, block.layout) };
    }

    pub fn trim(&mut self) {
        let before = highwater::stats().mapped_bytes;
        let given = highwater::trim();
        let after = highwater::stats().mapped_bytes;
        if highwater::retention() < Retention::ReturnPools {
            assert_eq!(before - after, given, "what trim says has left");
        } else {
            assert!(before - after <= given, "what left is among what was given back");
        }
        if highwater::retention() < Retention::ReturnArenas {
            assert_eq!(given, 0, "nothing leaves under this rung");
        }
    }

    pub fn reset_peaks(&mut self) {
        highwater::reset_peaks();
        let stats = highwater::stats();
        assert_eq!(stats.live_bytes_peak, self.live_bytes);
        assert_eq!(stats.mapped_bytes_peak, stats.mapped_bytes);
        assert_eq!(stats.arenas_peak, stats.arenas);
        for class in stats.classes() {
            assert_eq!(class.blocks_live_peak, class.blocks_live);
            assert_eq!(class.pools_peak, class.pools);
        }
    }

    /// Takes over what another model has.
    #[allow(dead_code, reason = "for `tests/fuzz`, which has a model for each thread")]
    pub fn take_from(&mut self, other: &mut Model) {
        for (start, end) in std::mem::take(&mut other.ranges) {
            let below = self.ranges.range(..end).next_back();
            assert!(below.is_none_or(|(_, &below)| below <= start), "{start:#x} is in two models");
            self.ranges.insert(start, end);
        }
        self.live_bytes += std::mem::take(&mut other.live_bytes);
        self.blocks.append(&mut other.blocks);
    }

    /// Every counter against the model's own sums.
    pub fn check(&self) {
        highwater::check();
        let stats = highwater::stats();
        assert_eq!(stats.live_bytes, self.live_bytes, "live bytes");
        assert!(stats.live_bytes_peak >= stats.live_bytes);
        assert!(stats.mapped_bytes_peak >= stats.mapped_bytes);
        let mut live = vec![0; self.block_sizes.len()];
        let (mut large_blocks, mut large_bytes) = (0, 0);
        for block in &self.blocks {
            match self.block_size(block.layout) {
                Some(size) => live[self.block_sizes.binary_search(&size).unwrap()] += 1,
                None => {
                    (large_blocks, large_bytes) =
                        (large_blocks + 1, large_bytes + inner::size(block.layout))
                }
            }
        }
        for (class, live) in stats.classes().zip(live) {
            assert_eq!(class.blocks_live, live, "of {} bytes", class.block_size);
            assert!(class.blocks_live_peak >= live && class.pools_peak >= class.pools);
            assert!((0.0..=1.0).contains(&class.occupancy()));
        }
        assert_eq!(stats.large_blocks, large_blocks);
        assert_eq!(stats.large_bytes, large_bytes);
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped, "the sum closes:\n{explained}");
        assert_eq!(explained.mapped, stats.mapped_bytes);
        assert_eq!(explained.live, stats.live_bytes - stats.large_bytes);
        assert_eq!(explained.large, stats.large_bytes);
        assert_eq!(explained.waiting, 0, "there is one thread");
        assert!(explained.kept >= stats.large_kept_bytes);
        assert!(explained.free <= stats.free_bytes);
        assert!(stats.free_bytes <= explained.free + explained.empty);
    }
}

impl Model {
    /// The map of the heap against the counters.
    pub fn check_map(&self) {
        let map = highwater::map();
        let stats = highwater::stats();
        assert_eq!(map.arenas().count(), stats.arenas);
        let mut used = vec![(0, 0); self.block_sizes.len()];
        for place in map.arenas().flat_map(|arena| arena.places()) {
            if place.kind == MapKind::Pool {
                let class = self.block_sizes.binary_search(&place.block_size).unwrap();
                used[class].0 += 1;
                used[class].1 += place.blocks_used as usize;
            }
        }
        for (class, used) in stats.classes().zip(used) {
            assert_eq!((class.pools, class.blocks_live), used, "of {} bytes", class.block_size);
        }
    }
}

impl Drop for Model {
    /// So that a failed sequence leaves nothing behind for the next, shorter one.
    fn drop(&mut self) {
        for block in self.blocks.drain(..) {
            // SAFETY: a live block with its layout, given up.
            unsafe { HIGHWATER.dealloc(block.at, block.layout) };
        }
    }
}

/// Asserts that the `size` bytes at `at` are all `fill`.
#[track_caller]
fn assert_filled(at: *const u8, size: usize, fill: u8) {
    const CHUNK: usize = 1024;
    let wanted = [fill; CHUNK];
    // SAFETY: a live block of at least this size, written by this test or zeroed by the allocator.
    let bytes = unsafe { std::slice::from_raw_parts(at, size) };
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        if chunk != &wanted[..chunk.len()] {
            let place = chunk.iter().position(|&byte| byte != fill).unwrap();
            let place = number * CHUNK + place;
            let found = bytes[place];
            panic!("byte {place} of {size} is {found}, not {fill}");
        }
    }
}
