//! The allocator against a map of live ranges: whatever the actions and their order, blocks do not
//! overlap, are aligned and keep their bytes, and every counter agrees with a sum made here.
//!
//! The allocator is called by its trait; the test itself lives on the system's, so that every block
//! that is counted is one of the model's.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use highwater::{Highwater, Retention};
use proptest::prelude::*;

static HIGHWATER: Highwater = Highwater::new().without_sweeper();

const RUNGS: [Retention; 5] = Retention::ALL;
const SLOT: usize = 4 << 10;
const BLOCK_MAX: usize = 32 << 10;
/// Sequences for each property. A debug build checks every structure on its slow paths too.
const CASES: u32 = if cfg!(debug_assertions) { 60 } else { 600 };

// ---------------------------------------------------------------------------------------------
// The model.
// ---------------------------------------------------------------------------------------------

struct Block {
    at: *mut u8,
    layout: Layout,
    fill: u8,
}

/// What should be true of the allocator, by a simpler reckoning.
struct Model {
    blocks: Vec<Block>,
    /// Start to end of every live range; a range without a byte takes one here.
    ranges: BTreeMap<usize, usize>,
    block_sizes: Vec<usize>,
    live_bytes: usize,
    fills: u8,
}

impl Model {
    fn new() -> Self {
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
        let (size, align) = (layout.size(), layout.align());
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
        self.block_size(layout).unwrap_or(layout.size())
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

    fn alloc(&mut self, layout: Layout) {
        // SAFETY: the allocator takes layouts of size 0 too.
        let at = unsafe { HIGHWATER.alloc(layout) };
        self.begin(at, layout);
    }

    fn alloc_zeroed(&mut self, layout: Layout) {
        // SAFETY: as above.
        let at = unsafe { HIGHWATER.alloc_zeroed(layout) };
        assert!(!at.is_null(), "no memory for {layout:?}");
        assert_filled(at, layout.size(), 0);
        self.begin(at, layout);
    }

    fn realloc(&mut self, index: usize, size: usize) {
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

    fn free(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.blocks.len()) else {
            return;
        };
        let block = self.end(index);
        // SAFETY: a live block with its layout, given up.
        unsafe { HIGHWATER.dealloc(block.at, block.layout) };
    }

    fn trim(&mut self) {
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

    fn reset_peaks(&mut self) {
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

    /// Every counter against the model's own sums.
    fn check(&self) {
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
                        (large_blocks + 1, large_bytes + block.layout.size())
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

// ---------------------------------------------------------------------------------------------
// The actions.
// ---------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Action {
    Alloc {
        size: usize,
        align: usize,
    },
    AllocZeroed {
        size: usize,
        align: usize,
    },
    /// Many of one layout: pools fill and arenas begin.
    AllocMany {
        size: usize,
        count: usize,
    },
    Realloc {
        index: usize,
        size: usize,
    },
    Free {
        index: usize,
    },
    /// Every second block, or every third ...: scattered survivors.
    FreeEvery {
        step: usize,
    },
    Trim,
    ResetPeaks,
    SetRetention(Retention),
}

impl Action {
    fn run(self, model: &mut Model) {
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        match self {
            Action::Alloc { size, align } => model.alloc(layout(size, align)),
            Action::AllocZeroed { size, align } => model.alloc_zeroed(layout(size, align)),
            Action::AllocMany { size, count } => {
                (0..count).for_each(|_| model.alloc(layout(size, 8)));
            }
            Action::Realloc { index, size } => model.realloc(index, size),
            Action::Free { index } => model.free(index),
            Action::FreeEvery { step } => {
                for index in (0..model.blocks.len()).rev().step_by(step) {
                    model.free(index);
                }
            }
            Action::Trim => model.trim(),
            Action::ResetPeaks => model.reset_peaks(),
            Action::SetRetention(rung) => {
                highwater::set_retention(rung);
                assert_eq!(highwater::retention(), rung);
            }
        }
    }
}

/// Sizes at which something changes.
const EDGES: [usize; 18] = [
    0,
    1,
    8,
    9,
    128,
    129,
    1024,
    1025,
    8192,
    8193,
    32768,
    32769,
    65536,
    65537,
    524_288,
    524_289,
    1 << 20,
    (1 << 20) + 1,
];

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => prop::sample::select(&EDGES[..]),
        6 => 0..2048usize,
        3 => 0..40_000usize,
        2 => 32_000..600_000usize,
        1 => 500_000..6_000_000usize,
    ]
}

fn aligns() -> impl Strategy<Value = usize> {
    prop_oneof![
        30 => (0..=4u32).prop_map(|shift| 1 << shift),
        10 => (5..=16u32).prop_map(|shift| 1 << shift),
        1 => (17..=21u32).prop_map(|shift| 1 << shift),
        1 => Just(1 << 30),
    ]
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (sizes(), aligns()).prop_map(|(size, align)| Action::Alloc { size, align }),
        4 => (sizes(), aligns()).prop_map(|(size, align)| Action::AllocZeroed { size, align }),
        2 => (1..2500usize, 1..400usize)
            .prop_map(|(size, count)| Action::AllocMany { size, count }),
        6 => (any::<usize>(), sizes()).prop_map(|(index, size)| Action::Realloc { index, size }),
        8 => any::<usize>().prop_map(|index| Action::Free { index }),
        2 => (1..6usize).prop_map(|step| Action::FreeEvery { step }),
        1 => Just(Action::Trim),
        1 => Just(Action::ResetPeaks),
    ]
}

fn actions_on_changing_rungs() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => actions(),
        1 => prop::sample::select(&RUNGS[..]).prop_map(Action::SetRetention),
    ]
}

// ---------------------------------------------------------------------------------------------
// The properties.
// ---------------------------------------------------------------------------------------------

/// Runs `work` on a thread of its own while no other test does. The heap of a thread that ended
/// holds nothing back, so that what is counted is exact.
fn serially(work: impl FnOnce() + Send) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = thread::scope(|scope| scope.spawn(work).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn agrees(rung: Retention, actions: &[Action]) {
    highwater::set_retention(rung);
    let mut model = Model::new();
    model.check();
    for action in actions {
        action.clone().run(&mut model);
        model.check();
    }
    while !model.blocks.is_empty() {
        model.free(0);
    }
    model.check();
}

fn holds<S: Strategy<Value = Action>>(rung: Retention, action: fn() -> S) {
    serially(|| {
        let config = ProptestConfig {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 2000,
            ..ProptestConfig::default()
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let run = runner.run(&prop::collection::vec(action(), 1..80), |actions| {
            agrees(rung, &actions);
            Ok(())
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}

#[test]
fn whatever_happens_the_model_agrees_under_never_shrink() {
    holds(Retention::NeverShrink, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_keep_arenas() {
    holds(Retention::KeepArenas, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_return_arenas() {
    holds(Retention::ReturnArenas, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_return_pools() {
    holds(Retention::ReturnPools, actions);
}

#[test]
fn whatever_happens_the_model_agrees_under_return_pages() {
    holds(Retention::ReturnPages, actions);
}

#[test]
fn whatever_happens_the_model_agrees_while_rungs_change() {
    holds(Retention::DEFAULT, actions_on_changing_rungs);
}

/// Every size with some alignments, each block kept until some later ones have been written.
fn sweep(sizes: impl Iterator<Item = usize>, aligns: &[usize]) {
    const WINDOW: usize = 50;
    let mut model = Model::new();
    for size in sizes {
        for &align in aligns {
            let layout = Layout::from_size_align(size, align).unwrap();
            model.alloc(layout);
            if model.blocks.len() > WINDOW {
                model.free(size * align);
            }
        }
        if size % 1000 == 0 {
            model.check();
        }
    }
    while !model.blocks.is_empty() {
        model.free(0);
    }
    model.check();
}

#[test]
fn every_size_and_alignment_gets_a_block_of_its_own() {
    for rung in RUNGS {
        serially(|| {
            highwater::set_retention(rung);
            sweep(0..=40_000, &[1, 8, 16, 64, 4096]);
        });
    }
}

#[test]
fn every_alignment_gets_a_block_of_its_own() {
    serially(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let aligns: Vec<usize> = (0..=30).map(|shift| 1 << shift).collect();
        sweep(EDGES.into_iter(), &aligns);
    });
}

#[test]
fn a_block_grown_and_shrunk_step_by_step_keeps_its_bytes() {
    for rung in RUNGS {
        serially(|| {
            highwater::set_retention(rung);
            for align in [1, 16, 4096, 65536, 1 << 20] {
                let mut model = Model::new();
                model.alloc(Layout::from_size_align(1, align).unwrap());
                let mut size = 1;
                while size < 9 << 20 {
                    size += size / 3 + 1;
                    model.realloc(0, size);
                    model.check();
                }
                while size > 0 {
                    size -= size / 3 + 1;
                    model.realloc(0, size);
                    model.check();
                }
                model.free(0);
                model.check();
            }
        });
    }
}
