//! Blocks that are moved as they grow, and go where a kept mapping begins: they grow on without being moved, though a span
//! could have held them, and are found again by their address.
//!
//! Every test runs in a process of its own. The allocator is called by its trait, the test itself
//! lives on the system's.
// With the feature `malloc` the system's allocator is highwater too: its blocks would be among those that are counted. With
// `hardened` no such block is made.
#![cfg(not(any(feature = "malloc", feature = "hardened")))]
#![cfg(target_os = "linux")]

#[path = "support/block.rs"]
mod block;
#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};

use block::{HIGHWATER, assert_sound, blocks};
use child::alone_with;
use highwater::Retention;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What stays, stays until the test is over.
const LASTING: [(&str, &str); 2] =
    [("HIGHWATER_SWEEPER", "off"), ("HIGHWATER_RETURN_AFTER_MS", "1000")];

/// A block whose every OS page says which it is.
struct Growing {
    at: *mut u8,
    layout: Layout,
}

impl Growing {
    fn new(size: usize) -> Self {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        // SAFETY: the size is not 0.
        let at = unsafe { HIGHWATER.alloc(layout) };
        let mut block = Growing { at, layout };
        block.fill(0);
        block
    }

    fn pages(&self, from: usize) -> impl Iterator<Item = *mut u64> + use<> {
        let (at, size) = (self.at, self.layout.size());
        // SAFETY: within the block.
        (from.next_multiple_of(4 * KIB)..size)
            .step_by(4 * KIB)
            .map(move |offset| unsafe { at.add(offset).cast() })
    }

    fn fill(&mut self, from: usize) {
        let first = from.div_ceil(4 * KIB);
        // SAFETY: OS pages of the block.
        self.pages(from)
            .zip(first as u64..)
            .for_each(|(page, number)| unsafe { page.write(number) });
    }

    #[track_caller]
    fn resize(&mut self, size: usize) {
        let before = self.layout.size();
        // SAFETY: a live block with its layout.
        self.at = unsafe { HIGHWATER.realloc(self.at, self.layout, size) };
        assert!(!self.at.is_null());
        self.layout = Layout::from_size_align(size, 8).expect("a layout");
        self.fill(before);
        // SAFETY: OS pages of the block, all written.
        self.pages(0).zip(0..).for_each(|(page, number)| {
            assert_eq!(unsafe { page.read() }, number, "{before} to {size}")
        });
    }

    /// The addresses that it has, as its size is doubled up to `size`.
    fn double_up_to(&mut self, size: usize) -> Vec<usize> {
        let mut places = Vec::new();
        while self.layout.size() < size {
            self.resize(2 * self.layout.size());
            places.push(self.at.addr());
        }
        places
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // SAFETY: a live block with its layout.
        unsafe { HIGHWATER.dealloc(self.at, self.layout) };
    }
}

/// Leaves a mapping behind into which blocks can grow, of a mebibyte.
fn leave_one() {
    Growing::new(512 * KIB).resize(MIB);
    assert_eq!(highwater::stats().large_kept_bytes, MIB);
}

/// What can hold no more than it does.
fn hemmed_in(size: usize) -> (Growing, Vec<block::Block>) {
    let block = Growing::new(size);
    (block, blocks(16, |_| size))
}

#[test]
fn what_is_moved_goes_where_it_can_grow_and_is_not_moved_again() {
    alone_with(&LASTING, || {
        leave_one();
        let (mut block, neighbours) = hemmed_in(128 * KIB);
        let places = block.double_up_to(MIB);
        assert_eq!(places, [places[0]; 3], "256, 512 and 1024 KiB in one place");
        assert_eq!((places[0] % MIB, highwater::stats().large_kept_bytes), (0, 0));
        assert_sound();
        drop(block);
        assert_eq!(highwater::stats().large_kept_bytes, MIB, "in one piece");
        drop(neighbours);
        highwater::trim();
        let left = highwater::stats();
        assert_eq!((left.large_blocks, left.large_bytes, left.large_kept_bytes), (0, 0, 0));
        assert_sound();
    });
}

#[test]
fn whatever_size_it_is_freed_with_it_is_found() {
    alone_with(&LASTING, || {
        for size in [256 * KIB, 300_000, 512 * KIB, 512 * KIB + 1, 900_000, 3 * MIB] {
            leave_one();
            let (mut block, neighbours) = hemmed_in(200 * KIB);
            block.resize(size);
            assert_sound();
            drop((block, neighbours));
            highwater::trim();
            assert_eq!(highwater::stats().large_blocks, 0, "{size}");
            assert_sound();
        }
    });
}

#[test]
fn it_shrinks_where_it_is_and_becomes_a_span_when_it_is_short() {
    alone_with(&LASTING, || {
        leave_one();
        let (mut block, _neighbours) = hemmed_in(200 * KIB);
        block.resize(MIB);
        let place = block.at;
        for size in [600 * KIB, 400 * KIB, 256 * KIB] {
            block.resize(size);
            assert_eq!(block.at, place, "{size}");
            assert_sound();
        }
        block.resize(256 * KIB - 1);
        assert!(!block.at.addr().is_multiple_of(MIB), "no longer large");
        assert_sound();
    });
}

#[test]
fn only_where_classes_share_and_a_kept_mapping_is_resident() {
    alone_with(&LASTING, || {
        let grow = || {
            let (mut block, _neighbours) = hemmed_in(128 * KIB);
            block.resize(256 * KIB);
            block.at.addr().is_multiple_of(MIB)
        };
        assert!(!grow(), "none is kept");
        leave_one();
        assert!(grow());
        highwater::set_retention(Retention::NeverShrink);
        assert!(!grow(), "classes are kept apart");
    });
}

#[test]
fn many_that_grow_and_shrink_at_random_keep_their_bytes() {
    alone_with(&[("HIGHWATER_RETURN_AFTER_MS", "1")], || {
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for rung in Retention::ALL {
            highwater::set_retention(rung);
            let mut all: Vec<Growing> = (0..12).map(|_| Growing::new(64 * KIB)).collect();
            for turn in 0..3000 {
                let (at, size) = (random(all.len()), 32 * KIB + random(MIB + MIB / 2));
                if random(4) == 0 {
                    all[at] = Growing::new(size);
                } else {
                    all[at].resize(size);
                }
                if turn % 100 == 0 {
                    assert_sound();
                }
            }
            let live: usize = all.iter().map(|block| block.layout.size()).sum();
            assert_eq!(highwater::stats().live_bytes, live);
        }
    });
}
