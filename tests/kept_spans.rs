//! Freed spans that are kept for the next request of their length: how many, whom they serve, and when they go. By the map of
//! the heap, which shows a kept one as a span without a used block.
//!
//! Every test runs in a process of its own. The allocator is called by its trait, the test itself
//! lives on the system's.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: its own spans would
// be among those that are counted.
#![cfg(not(feature = "malloc"))]
#![cfg(unix)]

#[path = "support/block.rs"]
mod block;
#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use block::{Block, HIGHWATER, blocks};
use child::{alone, alone_with};
use highwater::{MapKind, Retention};

const NO_SWEEPER: (&str, &str) = ("HIGHWATER_SWEEPER", "off");

/// Slots and requested bytes of the spans of which as many blocks are used: none, or one.
fn spans(used: u32) -> Vec<(u16, usize)> {
    let map = highwater::map();
    let places = map.arenas().flat_map(|arena| arena.places());
    let found = places.filter(|place| place.kind == MapKind::Span && place.blocks_used == used);
    found.map(|span| (span.slots, span.block_size)).collect()
}

/// Slots of spans that nobody uses.
fn slots_kept() -> usize {
    spans(0).into_iter().map(|(slots, _)| usize::from(slots)).sum()
}

fn until_none_is_kept() {
    let deadline = Instant::now() + Duration::from_secs(20);
    while slots_kept() > 0 {
        assert!(Instant::now() < deadline, "{} slots still kept", slots_kept());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn few_freed_spans_are_kept_of_every_length_and_none_for_long() {
    alone_with(&[("HIGHWATER_RETURN_AFTER_MS", "100")], || {
        drop(blocks(400, |number| 40_000 + number * 20_000 % 200_000));
        let kept = slots_kept();
        assert!((180..=256).contains(&kept), "{kept} slots kept");
        until_none_is_kept();
    });
}

#[test]
fn a_kept_span_serves_what_is_a_little_shorter() {
    alone_with(&[NO_SWEEPER], || {
        // More than an eighth longer than the first request, less than that longer than the second.
        drop(Block::new(100_000));
        let shorter = Block::new(70_000);
        assert_eq!((spans(1), spans(0)), (vec![(18, 70_000)], vec![(26, 0)]));
        let little_shorter = Block::new(91_000);
        assert_eq!(spans(0), []);
        assert!(spans(1).contains(&(26, 91_000)));
        drop((shorter, little_shorter));
        highwater::trim();
        assert_eq!(spans(0), []);
    });
}

#[test]
fn a_long_span_is_made_of_kept_ones_before_fresh_memory_is_touched() {
    alone_with(&[NO_SWEEPER], || {
        // Last the one that lets nothing go.
        for rung in [Retention::ReturnPages, Retention::NeverShrink] {
            highwater::set_retention(rung);
            let never_used = || highwater::explain().uncarved;
            let several = blocks(6, |_| 100_000);
            let (first, last) = (several[0].at.addr(), several[5].at.addr());
            drop(several);
            // No longer than the longest pool: rather from elsewhere.
            let short = Block::new(131_072);
            let (kept, before) = (slots_kept(), never_used());
            assert_eq!(kept, 6 * 26, "{rung:?}");
            let long = Block::new(500_000);
            let is_made_of_them = (first..last).contains(&long.at.addr());
            if rung == Retention::NeverShrink {
                assert_eq!((slots_kept(), is_made_of_them), (kept, false));
            } else {
                assert_eq!((slots_kept(), is_made_of_them), (0, true));
                assert_eq!(never_used(), before);
            }
            drop((short, long));
            highwater::trim();
        }
    });
}

/// Where blocks begin, in order.
fn starts(blocks: &[Block]) -> Vec<usize> {
    let mut starts: Vec<usize> = blocks.iter().map(|block| block.at.addr()).collect();
    starts.sort_unstable();
    starts
}

/// A thread that has allocated so many blocks of 100,000 bytes, and waits until its end of the second channel is dropped.
fn allocated_by_another(count: usize) -> (Vec<Block>, mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (allocated, is_allocated) = mpsc::channel();
    let (over, is_over) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        allocated.send(blocks(count, |_| 100_000)).expect("somebody waits");
        is_over.recv().expect_err("nobody sends");
    });
    (is_allocated.recv().expect("the other thread allocates"), over, other)
}

#[test]
fn what_others_free_serves_the_thread_that_allocated_it() {
    alone_with(&[NO_SWEEPER], || {
        for rung in [Retention::ReturnPages, Retention::NeverShrink] {
            highwater::set_retention(rung);
            let found = blocks(30, |_| 100_000);
            let before = starts(&found);
            let other = thread::spawn(move || {
                // A heap of its own, in which nothing is to stay.
                let _has_a_heap = Block::new(8);
                drop(found);
                slots_kept()
            });
            assert_eq!(other.join().expect("it frees"), 30 * 26, "{rung:?}");
            let again = blocks(30, |_| 99_000);
            assert_eq!((starts(&again), slots_kept()), (before, 0), "{rung:?}");
            // Given back, so that the next round begins as this one did.
            highwater::set_retention(Retention::ReturnArenas);
            drop(again);
        }
    });
}

#[test]
fn few_freed_spans_wait_for_their_thread_and_go_with_a_trim() {
    alone_with(&[NO_SWEEPER], || {
        let _has_a_heap = Block::new(8);
        let (found, over, other) = allocated_by_another(80);
        drop(found);
        // Some wait for the other thread, and half as many at the most stay here.
        let kept = slots_kept();
        assert!((1024 + 384 - 52..=1024 + 512).contains(&kept), "{kept} slots kept");
        let mine = blocks(100, |_| 100_000);
        let waiting = slots_kept();
        assert!((1024 - 26..=1100).contains(&waiting), "{waiting} slots wait");
        highwater::trim();
        assert_eq!(slots_kept(), 0);
        drop((mine, over));
        other.join().expect("it waits");
    });
}

#[test]
fn what_waits_for_a_thread_that_sleeps_goes_like_all_else() {
    alone_with(&[("HIGHWATER_RETURN_AFTER_MS", "100")], || {
        let (found, over, other) = allocated_by_another(30);
        drop(found);
        assert_eq!(slots_kept(), 30 * 26);
        until_none_is_kept();
        drop(over);
        other.join().expect("it waits");
    });
}

#[test]
fn who_frees_what_a_thread_left_keeps_it() {
    alone_with(&[NO_SWEEPER], || {
        let (found, over, other) = allocated_by_another(3);
        drop(over);
        other.join().expect("it waits");
        let _has_a_heap = Block::new(8);
        let before = starts(&found);
        drop(found);
        assert_eq!(slots_kept(), 3 * 26);
        assert_eq!(starts(&blocks(3, |_| 100_000)), before);
    });
}

#[test]
fn what_grows_takes_kept_spans_but_for_a_mebibyte_and_none_where_classes_do_not_share() {
    alone_with(&[NO_SWEEPER], || {
        // Last the one that lets nothing go.
        for rung in [Retention::ReturnPages, Retention::NeverShrink] {
            highwater::set_retention(rung);
            // So much is live that all are kept.
            let live = blocks(4000, |_| 100_000);
            drop(blocks(40, |_| 100_000));
            let before = slots_kept();
            assert!(before >= 40 * 26, "{rung:?}: {before} slots kept");
            let longer = blocks(60, |_| 131_072);
            let kept = slots_kept();
            let left = if rung == Retention::NeverShrink { before } else { 256 };
            assert!((left - 25..=left).contains(&kept), "{rung:?}: {kept} of {before} slots kept");
            drop((live, longer));
            highwater::trim();
        }
    });
}

#[test]
fn an_outgrown_span_serves_others_only_where_classes_share() {
    alone_with(&[NO_SWEEPER], || {
        for (rung, kept) in [(Retention::ReturnPages, 0), (Retention::NeverShrink, 26)] {
            highwater::set_retention(rung);
            let layout = Layout::from_size_align(100_000, 8).expect("a layout");
            // SAFETY: the size is not 0; a block with its layout is made longer, then freed with that of then.
            unsafe {
                let block = HIGHWATER.alloc(layout);
                let neighbours = blocks(20, |_| 100_000);
                let longer = HIGHWATER.realloc(block, layout, 400_000);
                assert!(longer != block && slots_kept() == kept, "{rung:?}: {}", slots_kept());
                HIGHWATER.dealloc(longer, Layout::from_size_align(400_000, 8).expect("a layout"));
                drop(neighbours);
            }
            highwater::trim();
        }
    });
}

#[test]
fn a_thread_that_ends_keeps_no_freed_span() {
    alone_with(&[NO_SWEEPER], || {
        let kept = thread::spawn(|| {
            // A small block gives the thread a heap.
            drop((Block::new(100), blocks(3, |_| 100_000)));
            slots_kept()
        });
        assert_eq!((kept.join().expect("it frees blocks"), slots_kept()), (78, 0));
    });
}

#[test]
fn what_many_threads_allocate_and_free_of_spans_is_counted_exactly() {
    alone_with(&[NO_SWEEPER], || {
        let before = highwater::stats();
        let held: Vec<Vec<Block>> = (0..20)
            .map(|of: usize| {
                thread::spawn(move || {
                    for number in 0..200 {
                        drop(Block::new(33_000 + (of * 7919 + number * 104_729) % 400_000));
                    }
                    blocks(of, |number| 40_000 + number * 1_000)
                })
            })
            .map(|thread| thread.join().expect("it allocates"))
            .collect();
        let bytes =
            (0..20).flat_map(|of| 0..of).map(|number| 40_000 + number * 1_000).sum::<usize>();
        let now = highwater::stats();
        assert_eq!(now.large_blocks - before.large_blocks, 190);
        assert_eq!(now.large_bytes - before.large_bytes, bytes);
        assert_eq!(highwater::explain().sum(), highwater::explain().mapped);
        // Freed by another thread than those that allocated them.
        drop(held);
        assert_eq!(highwater::stats().large_bytes, before.large_bytes);
        highwater::trim();
        assert_eq!(slots_kept(), 0);
    });
}

#[test]
fn rungs_that_do_not_wait_keep_no_freed_span() {
    alone(|| {
        for rung in [Retention::KeepArenas, Retention::ReturnArenas] {
            highwater::set_retention(rung);
            let live = Block::new(50_000);
            drop(blocks(10, |_| 100_000));
            assert_eq!(slots_kept(), 0);
            drop(live);
        }
    });
}
