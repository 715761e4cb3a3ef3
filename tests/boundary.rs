//! What comes and goes at a boundary: an arena's last block, a large block. It costs no system call.
//!
//! Every test runs in a process of its own.

#[path = "support/block.rs"]
mod block;
#[path = "support/child.rs"]
mod child;

use block::{Block, assert_sound, blocks};
use child::alone;
use fastrand::Rng;
use highwater::Retention;

const MIB: usize = 1 << 20;
const ARENA: usize = MIB;

fn system_calls() -> (u64, u64, u64, u64) {
    let stats = highwater::stats();
    (stats.maps, stats.unmaps, stats.remaps, stats.advises)
}

/// Blocks until a further one of `size` bytes needs another arena, that one and then `beyond` more.
fn fill_to_a_boundary(size: usize, beyond: usize) -> Vec<Block> {
    let mut list = Vec::new();
    let arenas = highwater::stats().arenas;
    while highwater::stats().arenas < arenas + 2 {
        list.push(Block::new(size));
    }
    list.extend((0..beyond).map(|_| Block::new(size)));
    list
}

/// At a place near an arena's boundary, frees the last block and takes it again.
#[track_caller]
fn ping_pong(size: usize, width: usize, turns: usize) {
    let before = system_calls();
    for _ in 0..turns {
        drop(blocks(width, |_| size));
    }
    assert_eq!(system_calls(), before, "{turns} turns of {width} blocks of {size} bytes");
}

#[test]
fn at_an_arenas_boundary_a_block_comes_and_goes_without_a_system_call() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        for size in [1024, 16 << 10, 32 << 10, 100_000, 512 << 10] {
            let mut held = fill_to_a_boundary(size, 3);
            let boundary = held.len();
            // Every offset around the boundary, going down through it: a few blocks at a time.
            let offsets = (2 * ARENA / size).min(80);
            let turns = 10_000 / offsets;
            for _ in 0..offsets {
                held.pop();
                if held.is_empty() {
                    break;
                }
                // The first turn may move what is kept; it is the turns that must cost nothing.
                drop(Block::new(size));
                ping_pong(size, 1, turns);
            }
            assert!(held.len() < boundary);
            // And at the boundary itself, the full count of turns.
            drop(held);
            let held = fill_to_a_boundary(size, 0);
            drop(Block::new(size));
            ping_pong(size, 1, 10_000);
            drop(held);
        }
        assert_sound();
    });
}

#[test]
fn a_large_block_comes_and_goes_without_a_system_call() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        for size in [513 << 10, 700 << 10, MIB] {
            drop(Block::new(size));
            ping_pong(size, 1, 1000);
        }
    });
}

#[test]
fn of_freed_large_blocks_at_most_a_mebibyte_is_kept() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let mut random = Rng::with_seed(11);
        for _ in 0..200 {
            let count = 1 + random.usize(..6);
            let unit = 600 << 10;
            drop(blocks(count, |number| unit + number * 90_000));
            let stats = highwater::stats();
            assert!(stats.large_kept_bytes <= MIB, "{} kept", stats.large_kept_bytes);
            assert_sound();
        }
        let big = Block::new(5 * MIB);
        drop(big);
        assert!(highwater::stats().large_kept_bytes <= MIB);
        drop(Block::new(600 << 10));
        assert!(highwater::stats().large_kept_bytes > 0, "one is kept");
    });
}
