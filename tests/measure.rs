//! What `measure()` tells of a closure: exact to the block, and of this thread alone.
// With the feature `hardened` every block is larger, and these figures are exact.
#![cfg(all(unix, not(feature = "hardened")))]

#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::hint::black_box;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Barrier;
use std::sync::mpsc;
use std::thread;

use highwater::{Flow, Highwater, Measured, measure};
use proptest::prelude::*;

/// Under the feature `malloc` the C library's own calls count, and the start of the sweeper makes one.
#[global_allocator]
static GLOBAL: Highwater = match cfg!(feature = "malloc") {
    true => Highwater::new().without_sweeper(),
    false => Highwater::new(),
};

/// Allocated, freed and the peak.
fn numbers(flow: Flow) -> (usize, usize, usize) {
    (flow.allocated, flow.freed, flow.peak)
}

/// As [`numbers`], of the blocks of one size.
fn blocks_of<T>(measured: &Measured<T>, block_size: usize) -> (usize, usize, usize) {
    let class = measured.classes().find(|class| class.block_size == block_size);
    class.map_or((0, 0, 0), |class| numbers(class.blocks))
}

#[test]
fn a_box_costs_one_block_of_its_class_and_nothing_costs_nothing() {
    let nothing = measure(|| 7);
    assert_eq!((nothing.value, nothing.classes().count()), (7, 0));
    assert!(nothing.bytes.is_nothing());

    let boxed = measure(|| Box::new([1u8; 20]));
    assert_eq!(blocks_of(&boxed, 24), (1, 0, 1));
    assert_eq!((numbers(boxed.blocks), numbers(boxed.bytes)), ((1, 0, 1), (24, 0, 24)));
    assert_eq!(boxed.classes().count(), 1);

    let gone = measure(|| drop(black_box(Box::new([1u8; 20]))));
    assert_eq!((numbers(gone.blocks), gone.bytes.kept()), ((1, 1, 1), 0));
    let freed = measure(|| drop(boxed));
    assert_eq!((numbers(freed.blocks), freed.bytes.kept()), ((0, 1, 0), -24));
}

#[test]
fn a_growing_list_has_two_blocks_at_its_peak_and_one_in_the_end() {
    let grown = measure(|| {
        let mut list: Vec<u64> = Vec::new();
        (0..64).for_each(|number| list.push(number));
        list
    });
    // 4, 8, 16, 32 and 64 numbers; the last two together.
    assert_eq!(numbers(grown.blocks), (5, 4, 2));
    assert_eq!((grown.bytes.kept(), grown.bytes.peak), (512, 256 + 512));
    assert_eq!((blocks_of(&grown, 32), blocks_of(&grown, 512)), ((1, 1, 1), (1, 0, 1)));
}

#[test]
fn large_blocks_are_counted_as_they_were_asked_for_and_as_they_grow() {
    const MIB: usize = 1 << 20;
    let span = measure(|| Vec::<u8>::with_capacity(100_001));
    assert_eq!(span.classes().count(), 0);
    assert_eq!(
        (numbers(span.large_blocks), numbers(span.large_bytes)),
        ((1, 0, 1), (100_001, 0, 100_001))
    );
    let mapping = measure(|| {
        let mut list = Vec::<u8>::with_capacity(2 * MIB);
        list.reserve_exact(4 * MIB);
        list
    });
    assert_eq!((mapping.large_bytes.kept(), mapping.bytes.kept()), (4 << 20, 4 << 20));
    assert_eq!(mapping.large_blocks.kept(), 1);
    let freed = measure(|| drop((span.value, mapping.value)));
    assert_eq!((freed.large_blocks.kept(), freed.bytes.kept()), (-2, -(4 << 20) - 100_001));
}

#[test]
fn what_other_threads_do_meanwhile_is_not_counted() {
    let (begin, end) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            begin.wait();
            let boxes: Vec<Box<[u8; 100]>> = (0..10_000).map(|_| Box::new([1; 100])).collect();
            end.wait();
            drop(boxes);
            begin.wait();
        });
        let measured = measure(|| {
            begin.wait();
            let own = Box::new([1u8; 100]);
            end.wait();
            begin.wait();
            own
        });
        assert_eq!(numbers(measured.blocks), (1, 0, 1));
    });
}

#[test]
fn a_block_belongs_to_the_count_of_who_allocates_it_and_of_who_frees_it() {
    let (give, take) = mpsc::channel::<Vec<Box<[u8; 300]>>>();
    let (back, returned) = mpsc::channel();
    let other = thread::spawn(move || {
        for boxes in take {
            let count = boxes.len();
            let freed = measure(|| drop(boxes));
            assert_eq!(blocks_of(&freed, 320), (0, count, 0));
            back.send(Box::new([2u8; 300])).unwrap();
        }
    });
    for count in [1, 3_000] {
        let made = measure(|| (0..count).map(|_| Box::new([1u8; 300])).collect::<Vec<_>>());
        assert_eq!(blocks_of(&made, 320), (count, 0, count));
        give.send(made.value).unwrap();
        let foreign: Box<[u8; 300]> = returned.recv().unwrap();
        assert_eq!(blocks_of(&measure(|| drop(foreign)), 320), (0, 1, 0));
    }
    drop(give);
    other.join().unwrap();
    highwater::check();
}

#[test]
fn a_measurement_in_another_is_counted_in_both() {
    let outer = measure(|| {
        let before = Box::new([0u8; 64]);
        let inner = measure(|| Box::new([0u8; 64]));
        assert_eq!(blocks_of(&inner, 64), (1, 0, 1));
        (before, inner.value)
    });
    assert_eq!(blocks_of(&outer, 64), (2, 0, 2));
}

#[test]
fn a_panic_ends_the_measurement_that_it_leaves_and_no_other() {
    panic::set_hook(Box::new(|_| ()));
    let outer = measure(|| {
        let kept = RefCell::new(Vec::with_capacity(2));
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            measure(|| {
                kept.borrow_mut().push(Box::new([0u8; 4000]));
                panic!("on purpose");
            })
        }));
        assert!(panicked.is_err());
        kept.borrow_mut().push(Box::new([0u8; 4000]));
        kept
    });
    let _ = panic::take_hook();
    assert_eq!(blocks_of(&outer, 4096), (2, 0, 2));
    let nothing = measure(|| ());
    assert!(nothing.blocks.is_nothing());
}

#[test]
fn a_thread_that_never_allocated_and_one_that_ends_can_measure() {
    struct Last(mpsc::Sender<(usize, usize, usize)>);
    impl Drop for Last {
        fn drop(&mut self) {
            let last = measure(|| drop(black_box(vec![Box::new([1u8; 500])])));
            let _ = self.0.send(blocks_of(&last, 512));
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    let (give, take) = mpsc::channel();
    thread::spawn(move || {
        LAST.set(Some(Last(give)));
        let first = measure(|| Box::new([1u8; 500]));
        assert_eq!(blocks_of(&first, 512), (1, 0, 1));
    })
    .join()
    .unwrap();
    assert_eq!(take.recv().unwrap(), (1, 1, 1));
}

#[test]
fn the_sums_stay_exact_inside_and_memory_can_be_given_back_there() {
    child::alone(|| {
        let live = || highwater::stats().live_bytes as isize;
        let measured = measure(|| {
            let before = live();
            let boxes = measure(|| (0..5_000).map(|_| Box::new([1u8; 48])).collect::<Vec<_>>());
            assert_eq!(live() - before, boxes.bytes.kept());
            let half = boxes.value.into_iter().step_by(2).collect::<Vec<_>>();
            let given_back = highwater::trim();
            highwater::check();
            assert_eq!(highwater::explain().sum(), highwater::explain().mapped);
            (half, given_back)
        });
        assert_eq!(blocks_of(&measured, 48), (5_000, 2_500, 5_000));
        highwater::check();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_that_is_forked_inside_goes_on_and_so_does_the_parent() {
    let measured = measure(|| {
        let before = Box::new([1u8; 700]);
        // SAFETY: the child allocates, which the allocator promises to allow, and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let more = measure(|| (0..2_000).map(|_| Box::new([2u8; 700])).collect::<Vec<_>>());
            let sound = more.value.iter().all(|block| block[699] == 2) && before[0] == 1;
            let counted = blocks_of(&more, 704) == (2_000, 0, 2_000);
            drop((more, before));
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!(sound && counted))) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        before
    });
    assert_eq!(blocks_of(&measured, 704), (1, 0, 1));
}

#[test]
fn the_table_has_a_line_for_each_class_and_the_sum() {
    let measured = measure(|| (Box::new([0u8; 24]), vec![0u8; 100_000]));
    let table = measured.to_string();
    let words: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[1], ["24", "1", "1", "1", "24", "24"]);
    assert_eq!(words[2], ["larger", "1", "1", "1", "100000", "100000"]);
    assert_eq!(words[3], ["all", "2", "2", "2", "100024", "100024"]);
    assert_eq!(words.len(), 4);
}

/// What a list of actions does, reckoned one by one.
#[derive(Default)]
struct Reckoning {
    blocks: Flows,
    bytes: Flows,
}

#[derive(Default)]
struct Flows {
    allocated: usize,
    freed: usize,
    peak: usize,
}

impl Flows {
    fn more(&mut self, amount: usize) {
        self.allocated += amount;
        self.peak = self.peak.max(self.allocated - self.freed);
    }

    fn less(&mut self, amount: usize) {
        self.freed += amount;
    }

    fn numbers(&self) -> (usize, usize, usize) {
        (self.allocated, self.freed, self.peak)
    }
}

/// A block's bytes as the allocator counts them.
fn cost(size: usize, block_sizes: &[usize]) -> usize {
    block_sizes.iter().copied().find(|&block| block >= size).unwrap_or(size)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 40 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_actions_are_counted_one_by_one(
        actions in prop::collection::vec(
            (prop_oneof![4 => 1..2_000usize, 1 => 2_000..40_000usize, 1 => 40_000..900_000usize],
             any::<prop::sample::Index>(), 0..5u8),
            1..200,
        ),
    ) {
        let block_sizes: Vec<usize> = highwater::stats().classes().map(|class| class.block_size).collect();
        let mut held: Vec<(*mut u8, Layout)> = Vec::with_capacity(actions.len());
        let mut reckoned = Reckoning::default();
        let measured = measure(|| {
            for (size, index, action) in &actions {
                // More is allocated than freed, so that the peak moves.
                if *action > 1 || held.is_empty() {
                    let layout = Layout::from_size_align(*size, 1).unwrap();
                    // SAFETY: not of size 0.
                    held.push((unsafe { GLOBAL.alloc(layout) }, layout));
                    reckoned.blocks.more(1);
                    reckoned.bytes.more(cost(*size, &block_sizes));
                } else {
                    let (block, layout) = held.swap_remove(index.index(held.len()));
                    // SAFETY: a live block with its layout.
                    unsafe { GLOBAL.dealloc(block, layout) };
                    reckoned.blocks.less(1);
                    reckoned.bytes.less(cost(layout.size(), &block_sizes));
                }
            }
        });
        prop_assert_eq!(numbers(measured.blocks), reckoned.blocks.numbers());
        prop_assert_eq!(numbers(measured.bytes), reckoned.bytes.numbers());
        let classes = measured.classes().map(|class| class.bytes().kept()).sum::<isize>();
        prop_assert_eq!(classes + measured.large_bytes.kept(), measured.bytes.kept());
        for (block, layout) in held {
            // SAFETY: a live block with its layout.
            unsafe { GLOBAL.dealloc(block, layout) };
        }
        highwater::check();
    }
}
