//! The same work at ever more live blocks, and on ever more threads; and what there is before any work.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::meter::Meter;
use crate::random::Random;
use crate::usage;

type Block = Box<[MaybeUninit<u64>]>;

/// 8 to 128 bytes.
fn block(random: &mut Random) -> Block {
    let mut block = Box::new_uninit_slice(1 + random.below(16));
    block[0].write(1);
    block
}

/// 1 to 128 KiB, of which little is written: filling it would take longer than allocating it.
fn buffer(random: &mut Random) -> Block {
    let mut buffer = Box::new_uninit_slice(128 + random.below((128 << 10) / 8 - 127));
    buffer[0].write(1);
    buffer
}

fn blocks(count: usize, random: &mut Random, make: impl Fn(&mut Random) -> Block) -> Vec<Block> {
    (0..count).map(|_| make(random)).collect()
}

fn replace(
    blocks: &mut [Block],
    times: usize,
    random: &mut Random,
    make: impl Fn(&mut Random) -> Block,
) {
    for _ in 0..times {
        let index = random.below(blocks.len());
        blocks[index] = make(random);
    }
}

/// Replaces random ones of so many live blocks.
pub fn live<const LIVE: usize>(meter: &mut Meter) {
    replace_of(LIVE, 500_000, block, meter);
}

/// Replaces random ones of so many live buffers.
pub fn buffers<const LIVE: usize>(meter: &mut Meter) {
    replace_of(LIVE, 100_000, buffer, meter);
}

fn replace_of(
    live: usize,
    times: usize,
    make: impl Fn(&mut Random) -> Block + Copy,
    meter: &mut Meter,
) {
    let (live, times) = (meter.count(live), meter.count(times));
    let mut random = Random::seeded(0);
    let mut blocks = blocks(live, &mut random, make);
    meter.time(times, || replace(&mut blocks, times, &mut random, make));
    black_box(blocks);
}

/// Divides the same number of replacements among so many threads, each with 100 blocks of its own. The threads
/// exist before the clock starts and after it stops.
pub fn threads<const THREADS: usize>(meter: &mut Meter) {
    const OWN_BLOCKS: usize = 100;
    let times = meter.count(4_000_000 / THREADS);
    let (start, end, done) =
        (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1), AtomicBool::new(false));
    let (start, end, done) = (&start, &end, &done);
    thread::scope(|scope| {
        for seed in 0..THREADS {
            scope.spawn(move || {
                let mut random = Random::seeded(seed as u64);
                let mut blocks = blocks(OWN_BLOCKS, &mut random, block);
                loop {
                    start.wait();
                    if done.load(Relaxed) {
                        break;
                    }
                    replace(&mut blocks, times, &mut random, block);
                    end.wait();
                }
                black_box(blocks);
            });
        }
        meter.time(times * THREADS, || {
            start.wait();
            end.wait();
        });
        done.store(true, Relaxed);
        start.wait();
    });
}

/// Nothing: the child has looked at its memory before it did anything.
pub fn start(_: &mut Meter) {}

/// What a thread makes resident that allocates one block and then waits, its stack included, which is the same
/// under every allocator.
pub fn idle_thread(meter: &mut Meter) {
    let threads = meter.count(512);
    let (here, over) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let (here, over) = (&here, &over);
    let before = usage::resident_bytes();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                let block = black_box(Box::new([1_u64; 8]));
                here.wait();
                over.wait();
                drop(block);
            });
        }
        here.wait();
        let after = usage::resident_bytes();
        let each = |before: u64, after: u64| after.saturating_sub(before) / threads as u64;
        meter.resident(before.zip(after).map(|(before, after)| each(before, after)));
        over.wait();
    });
}
