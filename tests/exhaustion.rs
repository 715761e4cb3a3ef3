//! Exhausted memory: null comes back, nothing is lost, and the next call works.
//!
//! Each test limits the address space of a process of its own. The test lives on the system's
//! allocator, in memory taken before the limit.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]
#![cfg(target_os = "linux")]

#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};
use std::fs;
use std::ptr;

use child::alone;
use highwater::{Highwater, Retention};

static HIGHWATER: Highwater = Highwater::new();

const MIB: usize = 1 << 20;
/// Address space that a test may take beside what its process has.
const ROOM: usize = if cfg!(debug_assertions) { 24 * MIB } else { 96 * MIB };

/// Lets the process have `room` bytes of address space more than now; `None` for no limit.
fn limit(room: Option<usize>) {
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').next().unwrap().parse().unwrap();
    // SAFETY: queries and sets a limit of this process, in memory of its own.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limit), 0);
        limit.rlim_cur = match room {
            Some(room) => (pages * page + room) as libc::rlim_t,
            None => limit.rlim_max,
        };
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
    }
}

/// Blocks of one layout, linked through their own first words: the list needs no memory.
struct Chain {
    layout: Layout,
    first: *mut u8,
    count: usize,
}

impl Chain {
    fn new(size: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(size, align).unwrap();
        Chain { layout, first: ptr::null_mut(), count: 0 }
    }

    /// Takes one more; false without memory.
    fn grow(&mut self) -> bool {
        // SAFETY: not of size 0.
        let block = unsafe { HIGHWATER.alloc(self.layout) };
        if block.is_null() {
            return false;
        }
        // SAFETY: a block of at least a pointer's size, ours.
        unsafe { block.cast::<*mut u8>().write_unaligned(self.first) };
        self.first = block;
        self.count += 1;
        true
    }

    fn grow_to_the_end(&mut self) {
        while self.grow() {}
    }

    fn free(&mut self) {
        while !self.first.is_null() {
            let block = self.first;
            // SAFETY: a live block of the chain: its first word links it to the next.
            unsafe {
                self.first = block.cast::<*mut u8>().read_unaligned();
                HIGHWATER.dealloc(block, self.layout);
            }
            self.count -= 1;
        }
        assert_eq!(self.count, 0, "every link was kept");
    }

    /// Frees every block that so many others come before, again and again. How many those are.
    fn free_every(&mut self, others: usize) -> usize {
        let (mut link, mut passed, before) = (&raw mut self.first, 0, self.count);
        // SAFETY: live blocks of the chain, each linked to the next by its first word.
        unsafe {
            while !link.read_unaligned().is_null() {
                let block = link.read_unaligned();
                if passed < others {
                    passed += 1;
                    link = block.cast();
                } else {
                    passed = 0;
                    link.write_unaligned(block.cast::<*mut u8>().read_unaligned());
                    HIGHWATER.dealloc(block, self.layout);
                    self.count -= 1;
                }
            }
        }
        before - self.count
    }
}

#[track_caller]
fn assert_sound(live_bytes: usize) {
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "{explained}");
    assert_eq!(highwater::stats().live_bytes, live_bytes);
    assert_eq!(explained.live + explained.large, live_bytes);
}

const KINDS: [(usize, usize); 7] = [
    (8, 8),
    (1000, 8),
    (32 << 10, 8),
    (40 << 10, 8),
    (64 << 10, 64 << 10),
    (700 << 10, 8),
    (3 * MIB, 2 * MIB),
];

/// Takes blocks of each kind to the end of memory, frees them, and does it again: as many come. There is so much
/// `room`, or what the machine has.
fn exhaust(rung: Retention, room: Option<usize>) {
    highwater::set_retention(rung);
    for (size, align) in KINDS {
        let mut chain = Chain::new(size, align);
        limit(room);
        chain.grow_to_the_end();
        let most = chain.count;
        assert!(most * size >= ROOM / 4, "{most} blocks of {size} bytes are too few");
        assert!(!chain.grow() && !chain.grow(), "still none");
        let live = highwater::stats().live_bytes;
        assert!(live >= most * size);
        assert_sound(live);
        chain.free();
        assert_sound(0);
        chain.grow_to_the_end();
        assert!(chain.count + chain.count / 8 >= most, "{} after {most}", chain.count);
        chain.free();
        assert_sound(0);
        limit(None);
        highwater::trim();
        assert_sound(0);
    }
}

#[test]
fn at_the_end_of_memory_null_comes_back_and_nothing_is_lost_under_return_arenas() {
    alone(|| exhaust(Retention::ReturnArenas, Some(ROOM)));
}

#[test]
fn at_the_end_of_memory_null_comes_back_and_nothing_is_lost_under_keep_arenas() {
    alone(|| exhaust(Retention::KeepArenas, Some(ROOM)));
}

#[test]
fn at_the_end_of_memory_null_comes_back_and_nothing_is_lost_under_never_shrink() {
    alone(|| exhaust(Retention::NeverShrink, Some(ROOM)));
}

/// The machine's own setting is not a test's to change: `.ci/emulated` does, in a machine of its own.
#[test]
fn at_the_end_of_what_a_machine_promises_null_comes_back_and_nothing_is_lost() {
    let policy = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap();
    if policy.trim() != "2" {
        println!("skipped: this machine promises more memory than it has");
        return;
    }
    alone(|| {
        // The room is there once for all kinds, so that what one had must leave for the next.
        for rung in [Retention::ReturnArenas, Retention::ReturnPools, Retention::ReturnPages] {
            exhaust(rung, None);
        }
    });
}

/// A pool of which so few blocks are free is not allocated from as long as there is other memory.
#[test]
fn at_the_end_of_memory_the_few_free_blocks_of_pools_that_are_nearly_full_serve() {
    alone(|| {
        for size in [32, 64, 384] {
            let mut chain = Chain::new(size, 8);
            limit(Some(ROOM));
            chain.grow_to_the_end();
            let freed = chain.free_every(200);
            assert!(freed > 50, "{freed} are too few");
            for served in 0..freed {
                assert!(chain.grow(), "{served} of {freed} blocks of {size} bytes came");
            }
            assert!(!chain.grow(), "no more were freed");
            chain.free();
            assert_sound(0);
            limit(None);
            highwater::trim();
        }
    });
}

#[test]
fn memory_freed_in_one_kind_serves_every_other_at_the_limit() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        limit(Some(ROOM));
        for (size, align) in KINDS.into_iter().chain(KINDS.into_iter().rev()) {
            let mut chain = Chain::new(size, align);
            chain.grow_to_the_end();
            assert!(chain.count * size >= ROOM / 4, "{} blocks of {size} bytes", chain.count);
            chain.free();
            assert_sound(0);
        }
    });
}

#[test]
fn a_realloc_that_finds_no_memory_leaves_the_block_as_it_was() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        for (from, to) in [
            (100, 200 * MIB),
            (20_000, 400_000),
            (40 << 10, 500 << 10),
            (100 << 10, 50 * MIB),
            (MIB, 200 * MIB),
            (10 * MIB, 90 * MIB),
        ] {
            let layout = Layout::from_size_align(from, 8).unwrap();
            // SAFETY: not of size 0.
            let block = unsafe { HIGHWATER.alloc(layout) };
            assert!(!block.is_null());
            // SAFETY: a block of this size, ours.
            unsafe { block.write_bytes(0x5A, from) };
            limit(Some(64 << 10));
            let mut rest = Chain::new(64, 8);
            rest.grow_to_the_end();
            // SAFETY: a live block with its layout.
            let grown = unsafe { HIGHWATER.realloc(block, layout, to) };
            assert!(grown.is_null(), "{from} to {to} bytes");
            // SAFETY: the block is still ours.
            let bytes = unsafe { std::slice::from_raw_parts(block, from) };
            assert!(bytes.iter().all(|&byte| byte == 0x5A), "{from} to {to} bytes");
            rest.free();
            assert_sound(highwater::stats().live_bytes);
            limit(None);
            // SAFETY: a live block with its layout; now there is memory.
            unsafe {
                let grown = HIGHWATER.realloc(block, layout, to);
                assert!(!grown.is_null());
                assert_eq!(grown.add(from - 1).read(), 0x5A);
                HIGHWATER.dealloc(grown, Layout::from_size_align(to, 8).unwrap());
            }
            assert_sound(0);
        }
    });
}

#[test]
fn threads_that_find_no_memory_get_null_and_end_in_peace() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        // The threads have begun before the limit does: their stacks, also those for signals, are not
        // the allocator's business.
        let gate = std::sync::Barrier::new(5);
        std::thread::scope(|scope| {
            for kind in 0..4 {
                let gate = &gate;
                scope.spawn(move || {
                    let (size, align) = KINDS[kind * 2];
                    gate.wait();
                    gate.wait();
                    let mut chain = Chain::new(size, align);
                    for _ in 0..5 {
                        chain.grow_to_the_end();
                        chain.free();
                    }
                    gate.wait();
                });
            }
            gate.wait();
            limit(Some(ROOM));
            gate.wait();
            gate.wait();
            limit(None);
        });
        highwater::trim();
        assert_sound(0);
    });
}

/// The kernel bounds how many mappings a process has: to unmap every second of many makes too many
/// holes, and is refused. What cannot leave must stay known.
#[test]
#[cfg_attr(
    feature = "hardened",
    ignore = "docs/trust.md, \"Hostile callers\": what is kept then does not leave"
)]
fn memory_that_the_kernel_does_not_take_back_is_not_lost() {
    alone(|| {
        highwater::set_retention(Retention::ReturnArenas);
        let bound = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
        let bound: usize = bound.trim().parse().unwrap();
        if bound > 100_000 {
            // So many would take too long to make.
            return;
        }
        // One of these fills half an arena, so that each has its own.
        let span = Layout::from_size_align(512 << 10, 8).unwrap();
        let large = Layout::from_size_align(516 << 10, 8).unwrap();
        let mut spans = Vec::with_capacity(128);
        let mut mappings = Vec::with_capacity(2 * bound + 2000);
        // SAFETY: not of size 0. Not touched: they take address space only.
        unsafe {
            spans.extend((0..128).map(|_| HIGHWATER.alloc(span)));
            mappings.extend((0..2 * bound + 2000).map(|_| HIGHWATER.alloc(large)));
        }
        assert!(spans.iter().chain(&mappings).all(|block| !block.is_null()));
        let free = |blocks: &[*mut u8], layout, first: usize| {
            for &block in blocks.iter().skip(first).step_by(2) {
                // SAFETY: a live block with its layout.
                unsafe { HIGHWATER.dealloc(block, layout) };
            }
        };
        spans.sort();
        mappings.sort();
        free(&mappings, large, 0);
        let refused = highwater::stats().purges;
        assert!(refused > 0, "the kernel refused large blocks");
        assert_sound(highwater::stats().live_bytes);
        free(&spans, span, 0);
        assert!(highwater::stats().purges > refused, "the kernel refused arenas");
        assert_sound(highwater::stats().live_bytes);
        free(&spans, span, 1);
        free(&mappings, large, 1);
        assert_sound(0);
        // What was refused then can leave now.
        highwater::trim();
        assert_sound(0);
        let stats = highwater::stats();
        assert_eq!((stats.arenas, stats.large_kept_bytes), (0, 0));
    });
}
