//! Threads that sleep, and what is given back of theirs meanwhile: their current pools too, but for what they had in
//! hand last.
//!
//! The allocator is called by its trait; the test itself lives on the system's, so that what is counted is what the
//! test asked for.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]

#[path = "support/block.rs"]
mod block;
#[path = "support/child.rs"]
mod child;
#[cfg(target_os = "linux")]
#[path = "support/kernel.rs"]
mod kernel;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use block::{Block, assert_sound, room};
use child::{alone, alone_with};

const THREADS: usize = 16;
const KIB: usize = 1 << 10;
/// What a thread uses of each size at a time.
const ROUND: usize = 96 * KIB;
/// One of each size class up to 8 KiB is used, or nearly.
const SIZES: [usize; 36] = [
    8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640,
    768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
];

/// Has threads use every size and free all of it, then calls `asleep` with what was resident before, while
/// they sleep; then has them go on.
#[cfg(target_os = "linux")]
fn with_sleepers(asleep: impl FnOnce(usize)) {
    let barrier = || Barrier::new(THREADS + 1);
    let (born, full, awake) = (barrier(), barrier(), barrier());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut list = room(ROUND / SIZES[0]);
                let mut use_every_size = |bytes: usize| {
                    for size in SIZES {
                        list.extend((0..bytes / size).map(|_| Block::new(size)));
                        list.clear();
                    }
                    drop(Block::new(64));
                };
                use_every_size(0);
                born.wait();
                use_every_size(ROUND);
                full.wait();
                awake.wait();
                use_every_size(ROUND / 8);
            });
        }
        born.wait();
        let before = kernel::resident_bytes();
        full.wait();
        asleep(before);
        awake.wait();
    });
    assert_sound();
}

/// What so many threads may keep: a pool of 16 KiB each; and what the allocator and the test keep besides.
#[cfg(target_os = "linux")]
const KEPT: usize = THREADS * 16 * KIB + 1024 * KIB;

#[test]
#[cfg(target_os = "linux")]
fn sleeping_threads_keep_one_pool_each_at_most() {
    alone(|| {
        with_sleepers(|before| {
            let began = Instant::now();
            while kernel::resident_bytes() > before + KEPT {
                let more = kernel::resident_bytes() - before;
                assert!(began.elapsed() < Duration::from_secs(60), "{more} bytes, not {KEPT}");
                thread::sleep(Duration::from_millis(20));
            }
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
fn trim_reaches_the_current_pools_of_threads_that_sleep() {
    alone_with(&[("HIGHWATER_SWEEPER", "off")], || {
        with_sleepers(|before| {
            highwater::trim();
            let more = kernel::resident_bytes().saturating_sub(before);
            assert!(more <= KEPT, "{more} bytes, not {KEPT}");
        });
    });
}

/// Works on a few classes without a pause, mostly by the fast path; returns how often it came to one.
fn works(number: usize, until: &AtomicBool, rounds: &AtomicUsize) {
    let mut kept: Vec<Block> = Vec::new();
    let mut state = number as u32 + 1;
    while !until.load(Relaxed) {
        for _ in 0..1000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let draw = (state >> 16) as usize;
            if kept.len() > draw % 48 {
                let block = kept.swap_remove(draw % kept.len());
                // SAFETY: alive, and of at least 16 bytes.
                let mark = unsafe { block.at.cast::<usize>().read() };
                assert_eq!(mark, block.at.addr() ^ number, "a block is its user's alone");
            } else {
                let block = Block::new(16 << (draw % 6));
                // SAFETY: as above.
                unsafe { block.at.cast::<usize>().write(block.at.addr() ^ number) };
                kept.push(block);
            }
        }
        rounds.fetch_add(1, Relaxed);
    }
}

#[test]
fn what_threads_have_in_hand_stays_theirs() {
    alone(|| {
        let trims = if cfg!(debug_assertions) { 3_000 } else { 30_000 };
        let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..4 {
                let (over, rounds) = (&over, &rounds);
                scope.spawn(move || works(number, over, rounds));
            }
            // And until the threads have come to work.
            let mut trimmed = 0;
            while trimmed < trims || rounds.load(Relaxed) <= 100 {
                highwater::trim();
                trimmed += 1;
            }
            over.store(true, Relaxed);
        });
        assert_sound();
    });
}
