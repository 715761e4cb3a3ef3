//! What goes back at once, before its time: after a large drop, and when one mix of sizes follows
//! another; and what does not, because a working set breathes or bursts come again.
//!
//! Every test runs in a process of its own, without a sweeper: what goes back, a slow path gave back.
#![cfg(target_os = "linux")]

#[path = "support/child.rs"]
mod child;
#[path = "support/kernel.rs"]
mod kernel;

use std::time::{Duration, Instant};

use child::alone_with;
use highwater::Highwater;
use kernel::resident_bytes;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

const MIB: usize = 1 << 20;
const WITHOUT_SWEEPER: &[(&str, &str)] = &[("HIGHWATER_SWEEPER", "off")];

/// Nothing that is free for less comes to its time: that is looked for twice in a second, in steps.
const BREATH: Duration = Duration::from_millis(250);

/// `bytes` in boxes of `size` bytes, all written to.
fn boxes(bytes: usize, size: usize) -> Vec<Box<[u8]>> {
    (0..bytes / size).map(|_| vec![1; size].into_boxed_slice()).collect()
}

/// OS pages purged so far.
fn purged() -> u64 {
    highwater::stats().pages_purged
}

/// OS pages that are purged, and that are refaulted, while `work` is done.
fn exchanged(work: impl FnOnce()) -> (u64, u64) {
    let (before, refaulted) = (purged(), highwater::stats().pages_refaulted);
    work();
    (purged() - before, highwater::stats().pages_refaulted - refaulted)
}

/// OS pages in `bytes`.
fn pages(bytes: usize) -> u64 {
    (bytes / 4096) as u64
}

#[test]
fn after_a_large_drop_nearly_all_is_back_at_once() {
    alone_with(WITHOUT_SWEEPER, || {
        let before = resident_bytes();
        for size in [64, 640] {
            let blocks = boxes(96 * MIB, size);
            assert!(resident_bytes() > before + 90 * MIB);
            drop(blocks);
            let left = resident_bytes() - before;
            assert!(left < 12 * MIB, "{} MiB are left of blocks of {size} bytes", left / MIB);
        }
        highwater::check();
    });
}

#[test]
fn of_a_sparse_heap_the_pages_without_a_survivor_are_back_at_once() {
    alone_with(WITHOUT_SWEEPER, || {
        let before = resident_bytes();
        let mut blocks = boxes(96 * MIB, 256);
        let mut index = 0;
        // One in 400 stays, each on a page of its own: a twenty-fifth of all pages.
        blocks.retain(|_| {
            index += 1;
            index % 400 == 0
        });
        blocks.shrink_to_fit();
        let left = resident_bytes() - before;
        assert!(left < 14 * MIB, "{} MiB are left", left / MIB);
        assert!(blocks.iter().all(|block| block.iter().all(|&byte| byte == 1)));
        highwater::check();
    });
}

#[test]
fn a_working_set_that_breathes_by_a_fifth_loses_no_page() {
    alone_with(WITHOUT_SWEEPER, || {
        let kept = boxes(80 * MIB, 256);
        let (mut in_a_row, mut start) = (0, 0);
        while in_a_row < 20 {
            let began = Instant::now();
            drop(boxes(20 * MIB, 256));
            // On a busy machine a breath may take so long that what is free comes to its time: then anew, and not
            // before what was begun for it is over.
            in_a_row = if began.elapsed() < BREATH { in_a_row + 1 } else { 0 };
            if in_a_row <= 1 {
                start = purged();
            }
        }
        assert_eq!(purged(), start, "of {} boxes kept", kept.len());
    });
}

#[test]
fn bursts_of_the_same_sizes_soon_find_their_memory_as_they_left_it() {
    alone_with(WITHOUT_SWEEPER, || {
        let burst = || drop(boxes(32 * MIB, 96));
        (0..8).for_each(|_| burst());
        let (given, wanted) = exchanged(|| (0..8).for_each(|_| burst()));
        let all = 8 * pages(32 * MIB);
        assert!(given * 50 < all && wanted * 50 < all, "{given} and {wanted} of {all}");
    });
}

#[test]
fn phases_that_take_turns_soon_find_their_memory_as_they_left_it() {
    alone_with(WITHOUT_SWEEPER, || {
        let round = || {
            drop(boxes(32 * MIB, 304));
            drop(boxes(32 * MIB, 96));
        };
        (0..8).for_each(|_| round());
        let (given, wanted) = exchanged(|| (0..8).for_each(|_| round()));
        let all = 8 * pages(64 * MIB);
        assert!(given * 20 < all && wanted * 20 < all, "{given} and {wanted} of {all}");
    });
}

#[test]
fn buffers_that_grow_class_by_class_soon_find_the_memory_of_those_before() {
    alone_with(WITHOUT_SWEEPER, || {
        let burst = || {
            let mut buffers = vec![Vec::new(); 600];
            for bytes in (500..30_000).step_by(500) {
                for buffer in &mut buffers {
                    buffer.reserve_exact(bytes - buffer.len());
                    buffer.resize(bytes, 1u8);
                }
            }
        };
        (0..8).for_each(|_| burst());
        let (given, wanted) = exchanged(|| (0..8).for_each(|_| burst()));
        let all = 8 * pages(600 * 30_000);
        assert!(given * 10 < all && wanted * 10 < all, "{given} and {wanted} of {all}");
    });
}

#[test]
fn a_large_phase_between_small_ones_finds_most_of_its_memory_where_it_is_resident() {
    alone_with(WITHOUT_SWEEPER, || {
        // Of boxes that are soon made: what is free for as long as the delay goes back for its age.
        let round = || {
            drop(boxes(96 * MIB, 800));
            (0..4).for_each(|_| drop(boxes(24 * MIB, 240)));
        };
        (0..8).for_each(|_| round());
        let (_, wanted) = exchanged(|| (0..8).for_each(|_| round()));
        let all = 8 * pages(192 * MIB);
        assert!(wanted * 10 < all, "{wanted} of {all}");
    });
}

#[test]
fn what_stayed_resident_serves_before_what_went_back() {
    alone_with(WITHOUT_SWEEPER, || {
        for size in [304, 96, 800, 48] {
            drop(boxes(64 * MIB, size));
            let (_, wanted) = exchanged(|| drop(boxes(2 * MIB, size / 3)));
            let all = pages(2 * MIB);
            assert!(wanted * 4 < all, "{wanted} of {all} after boxes of {size} bytes");
        }
    });
}

#[test]
fn when_sizes_shift_at_once_each_takes_the_place_of_the_one_before() {
    alone_with(WITHOUT_SWEEPER, || {
        let before = resident_bytes();
        for size in [32, 320, 96, 960, 48, 480, 160] {
            let blocks = boxes(64 * MIB, size);
            // The boxes' pointers come on top: 16 bytes each.
            let needed = 64 * MIB + blocks.capacity() * 16;
            let over = (resident_bytes() - before) * 100 / needed;
            assert!(over < 125, "{over}% of what {size}-byte boxes need are resident");
        }
    });
}

#[test]
fn a_program_that_asked_for_a_longer_delay_keeps_what_it_frees() {
    let settings = [("HIGHWATER_SWEEPER", "off"), ("HIGHWATER_RETURN_AFTER_MS", "60000")];
    alone_with(&settings, || {
        let before = resident_bytes();
        drop(boxes(64 * MIB, 64));
        assert!(resident_bytes() > before + 60 * MIB);
        assert_eq!(purged(), 0);
    });
}

#[test]
fn a_burst_that_stays_away_is_given_back_again_after_the_reluctant_ones() {
    alone_with(WITHOUT_SWEEPER, || {
        let begun = Instant::now();
        (0..6).for_each(|_| drop(boxes(32 * MIB, 96)));
        // Other sizes grow now: what the process learnt of those is undone by and by.
        for size in [32, 320, 640, 48, 480, 160, 24, 240, 720, 400] {
            drop(boxes(48 * MIB, size));
        }
        let start = purged();
        drop(boxes(64 * MIB, 1000));
        let given = purged() - start;
        // With the feature `hardened` the sizes are others, and what was learnt of them is too.
        let wanted = if cfg!(feature = "hardened") { 8 * MIB } else { 32 * MIB };
        assert!(given > pages(wanted), "{given} pages, {:?} after the start", begun.elapsed());
    });
}
