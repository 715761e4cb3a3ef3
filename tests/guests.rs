//! Blocks that a thread freed and that another one allocated: few stay with who freed them, to serve it again, and all go home
//! when it lets go. With the feature `hardened` none stays.
//!
//! Every test runs in a process of its own. The allocator is called by its trait, the test itself lives on the system's.
#![cfg(not(any(feature = "malloc", feature = "hardened")))]
#![cfg(unix)]

#[path = "support/block.rs"]
mod block;
#[path = "support/child.rs"]
mod child;

use std::collections::HashSet;
use std::sync::{Mutex, mpsc};
use std::{mem, thread};

use block::{Block, assert_sound, blocks};
use child::alone_with;
use fastrand::Rng;

const NO_SWEEPER: &[(&str, &str)] = &[("HIGHWATER_SWEEPER", "off")];
/// A medium block: 64 to a pool.
const SIZE: usize = 1000;
/// More pools than a thread has places to hold frees back.
const POOLS: usize = 200;

/// One block of each of many pools, and all the others.
fn scattered() -> (Vec<Block>, Vec<Block>) {
    let mut pools = HashSet::new();
    blocks(POOLS * 64, |_| SIZE).into_iter().partition(|block| pools.insert(block.at.addr() >> 16))
}

/// Does `work` on a thread that has blocks of this size itself, and says what else is left until the main thread has looked at it.
fn elsewhere<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
    look: impl FnOnce(),
) -> R {
    let (done, is_done) = mpsc::channel();
    let (over, is_over) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        let _own = Block::new(SIZE);
        let result = work();
        done.send(()).expect("somebody waits");
        is_over.recv().expect_err("nobody sends");
        result
    });
    is_done.recv().expect("the other thread works");
    look();
    drop(over);
    other.join().expect("it waits")
}

fn starts(blocks: &[Block]) -> HashSet<usize> {
    blocks.iter().map(|block| block.at.addr()).collect()
}

/// Blocks that are in use by their pools' records, or wait for their pools' owners.
fn not_home() -> usize {
    let explained = highwater::explain();
    (explained.live + explained.waiting) / SIZE.next_multiple_of(64)
}

#[test]
fn what_a_thread_frees_here_and_there_serves_it_again() {
    alone_with(NO_SWEEPER, || {
        let (passed, _rest) = scattered();
        let freed = starts(&passed);
        let (again, all) = elsewhere(
            move || {
                drop(passed);
                // The last guests first: nothing else came to the list.
                (starts(&blocks(4, |_| SIZE)), starts(&blocks(POOLS, |_| SIZE)))
            },
            || (),
        );
        assert!(again.is_subset(&freed), "{again:x?}");
        assert!(all.is_disjoint(&freed), "few of them are guests at first");
        assert_sound();
    });
}

#[test]
fn who_frees_and_allocates_in_turns_soon_needs_no_other_blocks() {
    alone_with(NO_SWEEPER, || {
        let (mut passed, rest) = scattered();
        passed.extend(rest);
        let theirs = starts(&passed);
        let served = elsewhere(
            move || {
                // In no order: each from another pool than the one before it.
                let mut held = Vec::new();
                let turns = (0..passed.len()).step_by(2);
                turns
                    .filter(|&turn| {
                        drop(passed.swap_remove(turn * 7919 % passed.len()));
                        held.push(Block::new(SIZE));
                        theirs.contains(&held[held.len() - 1].at.addr())
                    })
                    .count()
            },
            || (),
        );
        let turns = POOLS * 32;
        assert!(served > turns / 2, "{served} of {turns}");
        assert_sound();
    });
}

#[test]
fn a_thread_that_only_frees_holds_few_and_none_when_it_lets_go() {
    alone_with(NO_SWEEPER, || {
        let (passed, rest) = scattered();
        let used = rest.len();
        elsewhere(
            move || drop(passed),
            || {
                // What the thread's current pool has is not known here. 32 are held back for their pools, and 4 are guests.
                let held = not_home() - used;
                assert!((5..=36).contains(&held), "{held} blocks");
                highwater::trim();
                // All but the class that the thread has in hand, in which nothing is given back.
                let held = not_home() - used;
                assert!(held <= 4, "{held} blocks");
            },
        );
        assert_eq!(not_home(), used);
        drop(rest);
        highwater::trim();
        let places = highwater::map();
        let used = places.arenas().flat_map(|arena| arena.places()).map(|place| place.blocks_used);
        assert_eq!(used.sum::<u32>(), 0);
        assert_sound();
    });
}

#[test]
fn a_thread_that_counts_sends_its_guests_home() {
    alone_with(NO_SWEEPER, || {
        let (passed, rest) = scattered();
        elsewhere(
            move || {
                drop(passed);
                highwater::stats();
            },
            || assert_eq!(not_home(), rest.len()),
        );
        drop(rest);
        assert_sound();
    });
}

#[test]
fn blocks_that_threads_swap_are_counted_as_they_are() {
    alone_with(NO_SWEEPER, || {
        const ROUNDS: u64 = if cfg!(debug_assertions) { 80 } else { 400 };
        // Of two sizes: to a list that is not exhausted blocks come home where the other one is. Few to a pool, so that its list is
        // often as long as that.
        let size = |number| [8000, SIZE][number % 2];
        let table: Mutex<Vec<Block>> = Mutex::new(blocks(1000, size));
        let swap = |seed| {
            let mut random = Rng::with_seed(seed);
            let mut held = Vec::new();
            for turn in 0..10_000 {
                // More, then fewer.
                match random.usize(..100) {
                    0..50 if turn / 200 % 2 == 0 => held.push(Block::new(size(turn))),
                    0..60 if !held.is_empty() => {
                        held.swap_remove(random.usize(..held.len()));
                    }
                    60.. if !held.is_empty() => {
                        let given = held.swap_remove(random.usize(..held.len()));
                        let mut table = table.lock().expect("nobody panics");
                        let place = random.usize(..table.len());
                        held.push(mem::replace(&mut table[place], given));
                    }
                    _ => {}
                }
            }
        };
        for round in 0..ROUNDS {
            thread::scope(|scope| {
                let swap = &swap;
                (0..4).for_each(|thread| drop(scope.spawn(move || swap(4 * round + thread))));
            });
            assert_sound();
        }
        drop(table);
        highwater::trim();
        assert_eq!((highwater::stats().live_bytes, highwater::explain().live), (0, 0));
        assert_sound();
    });
}
