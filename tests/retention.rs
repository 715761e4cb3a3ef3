//! Each rung's promise, seen in the allocator's counts and in the kernel's figures.
//!
//! Every test runs in a process of its own. The allocator is called by its trait, the test itself
//! lives on the system's: what is counted is what the test asked for.
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

use block::{Block, assert_sound, blocks, room};
use child::alone;
use fastrand::Rng;
use highwater::{ClassStats, Retention};

const MIB: usize = 1 << 20;
const ARENA: usize = MIB;

fn class_of(size: usize) -> ClassStats {
    let stats = highwater::stats();
    let size = size.max(block::inner::BLOCK_MIN);
    *stats.classes().find(|class| class.block_size >= size).unwrap()
}

/// Blocks in one pool, from what the design says of pools: 16, 64 or 128 KiB.
fn capacity(block_size: usize) -> usize {
    let pool = match block_size {
        0..=256 => 16 << 10,
        257..=8192 => 64 << 10,
        _ => 128 << 10,
    };
    pool / block_size
}

// ---------------------------------------------------------------------------------------------
// NeverShrink.
// ---------------------------------------------------------------------------------------------

/// The equation of the rung for one class, given the most blocks that the test has held of it.
#[track_caller]
fn assert_high_water(class: ClassStats, blocks_peak: usize) {
    let wanted = blocks_peak.div_ceil(capacity(class.block_size));
    assert_eq!(class.blocks_live_peak, blocks_peak, "of {} bytes", class.block_size);
    assert_eq!(class.pools_peak, wanted, "of {} bytes, {blocks_peak} at most", class.block_size);
    assert_eq!(class.pools, wanted, "of {} bytes, {blocks_peak} at most", class.block_size);
}

#[test]
fn under_never_shrink_the_pools_of_a_class_are_its_high_water_mark() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        let sizes: Vec<usize> =
            highwater::stats().classes().map(|class| class.block_size).collect();
        let served = sizes.iter().position(|&size| size >= block::inner::BLOCK_MIN).unwrap();
        let mut random = Rng::with_seed(7);
        let mut live: Vec<Vec<Block>> = sizes.iter().map(|_| Vec::new()).collect();
        let mut peaks = vec![0; sizes.len()];
        let turns = if cfg!(debug_assertions) { 600 } else { 3000 };
        for _ in 0..turns {
            let index = random.usize(served..sizes.len());
            let most = 4 * capacity(sizes[index]);
            let wanted = random.usize(..most + 1);
            while live[index].len() > wanted {
                let victim = random.usize(..live[index].len());
                live[index].swap_remove(victim);
            }
            while live[index].len() < wanted {
                live[index].push(Block::new(sizes[index]));
            }
            peaks[index] = peaks[index].max(wanted);
            let stats = highwater::stats();
            let class = stats.classes().nth(index).unwrap();
            assert_high_water(*class, peaks[index]);
            assert_eq!(class.blocks_live, wanted);
        }
        assert_sound();
        live.clear();
        assert_eq!(highwater::trim(), 0, "nothing leaves");
        for (class, peak) in highwater::stats().classes().zip(peaks) {
            assert_eq!(class.blocks_live, 0);
            assert_high_water(*class, peak);
        }
        assert_sound();
    });
}

#[test]
fn under_never_shrink_freed_memory_of_one_class_never_serves_another() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        for phase in 1..=8 {
            let size = phase * 64;
            let before = class_of(size);
            assert_eq!((before.pools, before.blocks_free), (0, 0), "of {size} bytes");
            let held = blocks(8 * MIB / size, |_| size);
            assert_eq!(class_of(size).blocks_live, held.len());
            drop(held);
            let after = class_of(size);
            assert_high_water(after, 8 * MIB / size);
            assert!(highwater::stats().mapped_bytes >= phase * 8 * MIB);
        }
        assert_sound();
    });
}

#[test]
fn under_never_shrink_freed_spans_and_large_blocks_serve_their_own_size_again() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        for size in [40 << 10, 200 << 10, 512 << 10, 600 << 10, 5 * MIB] {
            drop(blocks(10, |_| size));
            let mapped = highwater::stats().mapped_bytes;
            drop(blocks(10, |_| size));
            assert_eq!(highwater::stats().mapped_bytes, mapped, "{size} bytes again");
            assert_sound();
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn under_never_shrink_resident_memory_stays_at_the_peak() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        let mut held = room(400_000);
        let start = kernel::resident_bytes();
        held.extend((0..400_000).map(|_| Block::new(128)));
        let peak = kernel::resident_bytes();
        assert!(peak - start >= 400_000 * 128);
        held.clear();
        highwater::trim();
        assert!(kernel::resident_bytes() >= peak);
    });
}

// ---------------------------------------------------------------------------------------------
// KeepArenas.
// ---------------------------------------------------------------------------------------------

#[test]
fn under_keep_arenas_what_one_class_freed_serves_the_next() {
    alone(|| {
        highwater::set_retention(Retention::KeepArenas);
        let bytes = 16 * MIB;
        drop(blocks(bytes / 64, |_| 64));
        let mapped = highwater::stats().mapped_bytes;
        for size in [8, 24, 96, 640, 1000, 2000, 8000, 30_000, 100_000, 400_000] {
            // Half as much: tails of pools and arenas take their share, and the last pool of each
            // class that had its turn stays.
            drop(blocks(bytes / 2 / size, |_| size));
            let now = highwater::stats().mapped_bytes;
            assert!(now <= mapped, "{size} bytes: {now} mapped, not {mapped}");
            assert_sound();
        }
    });
}

#[test]
fn under_keep_arenas_nothing_goes_to_the_system() {
    alone(|| {
        highwater::set_retention(Retention::KeepArenas);
        let mut random = Rng::with_seed(3);
        // The first ones find no place that fits, and cut one; that unmaps what lies around it.
        drop(blocks(100, |_| 600 << 10));
        drop(blocks(64 * 1024, |_| 1024));
        let before = highwater::stats();
        for _ in 0..20 {
            drop(blocks(2000, |number| 1 + number * 7 % 20_000));
            drop(blocks(20, |number| (40 << 10) + number * 20_000));
            drop(blocks(20, |number| (600 << 10) + number * 100));
            let mut mixed = blocks(3000, |number| 8 << (number % 12));
            while !mixed.is_empty() {
                let victim = random.usize(..mixed.len());
                mixed.swap_remove(victim);
            }
            assert_eq!(highwater::trim(), 0);
        }
        let after = highwater::stats();
        assert_eq!(after.unmaps, before.unmaps, "nothing is unmapped");
        assert_eq!(after.advises, before.advises, "nothing is purged");
        assert_eq!(after.arenas_returned, 0);
        assert!(after.mapped_bytes >= before.mapped_bytes);
        assert_eq!(after.mapped_bytes, after.mapped_bytes_peak);
        assert_sound();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn under_keep_arenas_resident_memory_does_not_grow_when_phases_shift() {
    alone(|| {
        highwater::set_retention(Retention::KeepArenas);
        let mut held = room(32 * MIB / 48);
        held.extend((0..32 * MIB / 48).map(|_| Block::new(48)));
        held.clear();
        let after_the_first = kernel::resident_bytes();
        // With guards an arena holds less.
        let more = if cfg!(feature = "hardened") { 2 * MIB } else { MIB };
        for size in [56, 136, 520, 1024, 4096, 50_000] {
            held.extend((0..24 * MIB / size).map(|_| Block::new(size)));
            held.clear();
            let now = kernel::resident_bytes();
            assert!(now <= after_the_first + more, "{size} bytes: {now}, not {after_the_first}");
        }
    });
}

// ---------------------------------------------------------------------------------------------
// ReturnArenas.
// ---------------------------------------------------------------------------------------------

#[test]
fn under_return_arenas_all_but_a_little_leaves_with_the_last_block() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        drop(Block::new(8));
        let start = highwater::stats().mapped_bytes;
        for size in [8, 24, 128, 1000, 5000, 20_000, 32_768, 100_000, 524_288, 3 * MIB] {
            let many = blocks(64 * MIB / size, |_| size);
            assert!(highwater::stats().mapped_bytes >= start + 63 * MIB);
            drop(many);
            let left = highwater::stats().mapped_bytes - start;
            // One arena is kept, and for each class that had its turn the one of its last pool.
            assert!(left <= 12 * ARENA, "{size} bytes: {left} left");
            assert_sound();
        }
        drop(blocks(100_000, |number| 1 + number * 13 % 5000));
        highwater::trim();
        let stats = highwater::stats();
        assert_eq!(stats.live_bytes, 0);
        assert!(stats.mapped_bytes <= start + MIB / 2, "records stay, arenas do not");
        assert_eq!(stats.arenas, 0, "after trim");
        assert_eq!(stats.large_kept_bytes, 0, "after trim");
        assert_sound();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn under_return_arenas_resident_memory_falls_back_to_the_start() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let mut held = room(500_000);
        let start = kernel::resident_bytes();
        for size in [24, 120, 1000] {
            held.extend((0..48 * MIB / size.max(100)).map(|_| Block::new(size)));
            held.clear();
            let left = kernel::resident_bytes().saturating_sub(start);
            assert!(left <= 3 * MIB, "{size} bytes: {left} left");
        }
        held.extend((0..500_000).map(|number| Block::new(16 + number % 300)));
        assert!(kernel::resident_bytes() - start >= 70 * MIB);
        held.clear();
        highwater::trim();
        let left = kernel::resident_bytes() - start;
        assert!(left <= MIB, "{left} left after trim");
    });
}

#[test]
fn a_sparse_arena_drains_because_the_fullest_are_used_first() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        // 32 arenas of which every second keeps one block in 64, the others seven in eight.
        let size = 4096;
        let mut held = blocks(32 * MIB / size, |_| size);
        held.sort_by_key(|block| block.at.addr());
        let mut number = 0;
        held.retain(|block| {
            number += 1;
            let sparse = (block.at.addr() / ARENA).is_multiple_of(2);
            if sparse { number % 64 == 0 } else { number % 8 != 0 }
        });
        let sparse_left =
            held.iter().filter(|block| (block.at.addr() / ARENA).is_multiple_of(2)).count();
        assert!(sparse_left > 50);
        let before = highwater::stats();
        // Blocks are replaced one by one: each new one goes where it is full.
        let mut random = Rng::with_seed(5);
        let turns = 8 * held.len();
        for _ in 0..turns {
            let victim = random.usize(..held.len());
            held.swap_remove(victim);
            held.push(Block::new(size));
        }
        highwater::trim();
        let after = highwater::stats();
        assert_eq!(after.live_bytes, before.live_bytes);
        assert!(
            after.arenas + 8 <= before.arenas,
            "{} arenas, {} before",
            after.arenas,
            before.arenas
        );
        assert_sound();
    });
}

#[test]
fn under_return_arenas_pools_without_a_used_block_do_not_hold_arenas() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let sizes: Vec<usize> =
            highwater::stats().classes().map(|class| class.block_size).collect();
        let held: Vec<_> = sizes.iter().map(|&size| blocks(2 * MIB / size, |_| size)).collect();
        let peak = highwater::stats().arenas;
        assert!(peak > 2 * sizes.len());
        drop(held);
        let arenas = highwater::stats().arenas;
        assert!(arenas <= 8, "{arenas} of {peak} arenas are left, and nothing is live");
    });
}

#[test]
fn a_rung_changed_at_run_time_is_in_force_at_once_for_trim() {
    alone(|| {
        highwater::set_retention(Retention::NeverShrink);
        drop(blocks(100_000, |number| 8 + number % 2000));
        drop(blocks(20, |_| 300 << 10));
        drop(blocks(20, |_| 3 * MIB));
        assert_eq!(highwater::trim(), 0);
        let kept = highwater::stats().mapped_bytes;
        assert!(kept >= 160 * MIB);

        highwater::set_retention(Retention::KeepArenas);
        assert_eq!(highwater::trim(), 0);
        assert_eq!(highwater::stats().mapped_bytes, kept);

        highwater::set_retention(Retention::ReturnArenas);
        let given = highwater::trim();
        assert_eq!(highwater::stats().mapped_bytes, kept - given);
        assert!(kept - given <= MIB / 2, "{} of {kept} left", kept - given);
        assert_sound();
    });
}

/// With the feature `hardened` spans do not lie side by side.
#[cfg(not(feature = "hardened"))]
#[test]
fn a_span_that_grows_over_purged_slots_counts_them_as_used_again() {
    use std::alloc::{GlobalAlloc, Layout};

    use block::HIGHWATER;

    alone(|| {
        const SPAN: usize = 64 << 10;
        const SLOT: usize = 4 << 10;
        let layout = Layout::from_size_align(SPAN, 8).unwrap();
        // SAFETY: not of size 0.
        let [first, second] = [0; 2].map(|_| unsafe { HIGHWATER.alloc(layout) });
        assert_eq!(first.wrapping_add(SPAN), second, "side by side");
        // SAFETY: a block of this size, then freed as it was allocated.
        unsafe {
            second.write_bytes(1, SPAN);
            HIGHWATER.dealloc(second, layout);
        }
        highwater::trim();
        let before = highwater::stats().pages_refaulted;
        // SAFETY: a live block with its layout.
        let longer = unsafe { HIGHWATER.realloc(first, layout, 2 * SPAN) };
        assert_eq!(longer, first, "in place");
        assert_eq!(highwater::stats().pages_refaulted - before, (SPAN / SLOT) as u64);
        // SAFETY: as it was reallocated.
        unsafe { HIGHWATER.dealloc(longer, Layout::from_size_align(2 * SPAN, 8).unwrap()) };
        assert_sound();
    });
}
