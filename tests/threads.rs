//! Blocks that pass between threads, and threads that end before their blocks do.
//!
//! The allocator is called by its trait; the test itself lives on the system's, so that what is
//! counted is what the test asked for.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]

#[path = "support/crowd.rs"]
mod crowd;
#[path = "support/patience.rs"]
mod patience;
#[path = "support/sweepers.rs"]
mod sweepers;

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use std::time::Duration;
use std::{process, ptr, thread};

use crowd::{Block, on_threads, serially};
use fastrand::Rng;
use highwater::Retention;
use patience::{Patience, whereabouts};
use sweepers::sweepers;

const DEBUG: bool = cfg!(debug_assertions);
const MIB: usize = 1 << 20;

// ---------------------------------------------------------------------------------------------
// The stress test of mimalloc, in spirit: blocks are exchanged, threads end and survivors stay.
// ---------------------------------------------------------------------------------------------

const EXCHANGES: usize = 1000;

/// Where threads leave blocks for each other.
struct Exchange(Vec<AtomicPtr<Block>>);

impl Exchange {
    fn new() -> Self {
        Exchange((0..EXCHANGES).map(|_| AtomicPtr::new(ptr::null_mut())).collect())
    }

    fn swap(&self, index: usize, block: Option<Box<Block>>) -> Option<Box<Block>> {
        let given = block.map_or(ptr::null_mut(), Box::into_raw);
        let taken = self.0[index].swap(given, AcqRel);
        // SAFETY: what is not null was a box that whoever put it there gave up.
        (!taken.is_null()).then(|| unsafe { Box::from_raw(taken) })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        (0..EXCHANGES).for_each(|index| drop(self.swap(index, None)));
    }
}

/// Sizes by powers of two, small ones more often, now and then a very large one.
fn stress_size(random: &mut Rng) -> usize {
    match random.usize(..2000) {
        0 => 600_000 + random.usize(..MIB),
        1..8 => 33_000 + random.usize(..200_000),
        _ => {
            let power = random.usize(..10).min(random.usize(..14));
            8 * (1 << power) + random.usize(..8 << power)
        }
    }
}

/// Sizes of spans alone.
fn span_size(random: &mut Rng) -> usize {
    33_000 + random.usize(..200_000)
}

fn stress(seed: usize, turns: usize, size: fn(&mut Rng) -> usize, exchange: &Exchange) {
    let mut random = Rng::with_seed(seed as u64);
    let (mut held, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        if random.usize(..2) == 0 {
            let block = Box::new(Block::new(size(&mut random)));
            if random.usize(..10) == 0 { kept.push(block) } else { held.push(block) }
        } else if !held.is_empty() {
            let index = random.usize(..held.len());
            held.swap_remove(index);
        }
        if random.usize(..4) == 0 && !held.is_empty() {
            let index = random.usize(..held.len());
            let given = held.swap_remove(index);
            let taken = exchange.swap(random.usize(..EXCHANGES), Some(given));
            held.extend(taken);
        }
    }
}

fn stress_on(rung: Retention) {
    let [threads, rounds, turns] = if DEBUG { [8, 10, 8000] } else { [16, 50, 50_000] };
    stress_by(rung, [threads, rounds, turns], stress_size);
}

fn stress_by(rung: Retention, [threads, rounds, turns]: [usize; 3], size: fn(&mut Rng) -> usize) {
    serially(rung, || {
        let exchange = Exchange::new();
        for round in 0..rounds {
            let seeds = (0..threads).map(|thread| round * threads + thread);
            on_threads(seeds, |seed| stress(seed, turns, size, &exchange));
            // The survivors are in the exchange; from time to time half of them go.
            for index in 0..EXCHANGES {
                if round % 3 == 0 && index % 2 == 0 {
                    drop(exchange.swap(index, None));
                }
            }
        }
    });
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_return_arenas() {
    stress_on(Retention::ReturnArenas);
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_return_pages() {
    stress_on(Retention::ReturnPages);
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_keep_arenas() {
    stress_on(Retention::KeepArenas);
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_never_shrink() {
    stress_on(Retention::NeverShrink);
}

#[test]
fn exchanged_spans_keep_their_bytes_and_go_home_or_stay() {
    for rung in [Retention::ReturnPages, Retention::NeverShrink] {
        stress_by(rung, if DEBUG { [8, 10, 300] } else { [16, 30, 1000] }, span_size);
    }
}

// ---------------------------------------------------------------------------------------------
// Threads that end early.
// ---------------------------------------------------------------------------------------------

fn made_by_another_thread(count: usize, size: impl Fn(usize) -> usize + Sync) -> Vec<Block> {
    let make = |()| (0..count).map(|number| Block::new(size(number))).collect();
    on_threads([()], make).remove(0)
}

/// What goes at once goes when the last thread has ended, unless the sweeper, which a test before this one had started
/// and which nobody joins, is the one that takes it in. It ends when no thread has a heap.
fn await_the_sweepers_end() {
    let mut patience = Patience::new(60, Duration::from_millis(10));
    while sweepers() > 0 {
        assert!(patience.nap(), "the sweeper stays:\n{}", whereabouts(process::id()));
    }
}

#[test]
fn blocks_outlive_the_thread_that_made_them() {
    for rung in Retention::ALL {
        serially(rung, || {
            let mut held = Vec::new();
            for round in 0..20 {
                held.extend(made_by_another_thread(500, |number| 1 + number * 37 % 40_000));
                held.iter_mut().for_each(Block::assert_intact);
                // Those that adopt a heap meet its used blocks.
                let random = &mut Rng::with_seed(round as u64);
                (0..250).for_each(|_| drop(held.swap_remove(random.usize(..held.len()))));
            }
        });
    }
}

#[test]
fn what_the_last_thread_frees_of_a_dead_heap_makes_its_arenas_leave() {
    serially(Retention::ReturnArenas, || {
        await_the_sweepers_end();
        highwater::trim();
        let start = highwater::stats().mapped_bytes;
        for size in [16, 200, 5000] {
            let bytes = if DEBUG && size < 100 { 16 * MIB } else { 64 * MIB };
            let held = made_by_another_thread(bytes / size, |_| size);
            assert!(highwater::stats().mapped_bytes >= start + bytes / 2);
            drop(held);
            let left = highwater::stats().mapped_bytes.saturating_sub(start);
            assert!(left <= 4 * MIB, "{size} bytes: {left} left");
        }
    });
}

#[test]
fn what_several_threads_free_of_a_dead_heap_makes_its_arenas_leave() {
    let rounds = if DEBUG { 10 } else { 100 };
    for _ in 0..rounds {
        serially(Retention::ReturnArenas, || {
            await_the_sweepers_end();
            highwater::trim();
            let start = highwater::stats().mapped_bytes;
            let mut held = made_by_another_thread(40_000, |_| 500);
            // Neighbours go to different threads: they race for the last block of every pool.
            let mut shares: [Vec<Block>; 4] = Default::default();
            held.drain(..).enumerate().for_each(|(number, block)| shares[number % 4].push(block));
            let together = Barrier::new(4);
            on_threads(shares, |share| {
                together.wait();
                drop(share);
            });
            let left = highwater::stats().mapped_bytes.saturating_sub(start);
            assert!(left <= 4 * MIB, "{left} of 20 MiB left");
        });
    }
}

#[test]
fn blocks_freed_while_their_thread_ends_make_its_arenas_leave() {
    let rounds = if DEBUG { 30 } else { 300 };
    serially(Retention::ReturnArenas, || {
        await_the_sweepers_end();
        let start = highwater::stats().mapped_bytes;
        for _ in 0..rounds {
            let (give, take) = mpsc::channel();
            let maker = thread::spawn(move || {
                (0..20_000).for_each(|_| give.send(Block::new(500)).unwrap());
            });
            // The last blocks are freed while the maker goes.
            let freer = thread::spawn(move || take.into_iter().for_each(drop));
            maker.join().unwrap();
            freer.join().unwrap();
            let left = highwater::stats().mapped_bytes.saturating_sub(start);
            assert!(left <= 4 * MIB, "{left} left, nothing is live");
        }
    });
}

#[test]
fn a_producer_and_a_consumer_need_no_more_than_what_is_between_them() {
    for rung in Retention::ALL {
        serially(rung, || {
            let blocks = if DEBUG { 200_000 } else { 2_000_000 };
            let (send, receive) = mpsc::sync_channel(1000);
            let start = highwater::stats().mapped_bytes;
            highwater::reset_peaks();
            let producer = thread::spawn(move || {
                (0..blocks).for_each(|number| {
                    send.send(Block::new(16 + number % 400)).unwrap();
                });
            });
            let consumer = thread::spawn(move || receive.into_iter().for_each(drop));
            producer.join().unwrap();
            consumer.join().unwrap();
            // 1000 blocks are on the way, and of each of 50 classes some pools' worth is late.
            let stats = highwater::stats();
            let most = stats.mapped_bytes_peak.saturating_sub(start);
            assert!(most <= 16 * MIB, "{most} mapped for at most 1000 blocks");
        });
    }
}

#[test]
fn a_ring_of_threads_hands_every_block_on() {
    serially(Retention::ReturnArenas, || {
        let (threads, turns) = (4, if DEBUG { 20_000 } else { 200_000 });
        let (mut senders, receivers): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| mpsc::sync_channel::<Block>(64)).unzip();
        senders.rotate_left(1);
        let freed = AtomicUsize::new(0);
        let ring = senders.into_iter().zip(receivers).enumerate();
        on_threads(ring, |(thread, (send, receive))| {
            let mut random = Rng::with_seed(thread as u64);
            for _ in 0..turns {
                let _ = send.try_send(Block::new(1 + random.usize(..3000)));
                while let Ok(mut block) = receive.try_recv() {
                    block.assert_intact();
                    freed.fetch_add(1, Relaxed);
                }
            }
        });
        assert!(freed.load(Relaxed) > 0, "blocks went round");
    });
}
