//! A scripted workload that reaches every floor, in which any allocation may fail: the block is then
//! done without. What was written to a block is looked for when it ends.
//!
//! The script lives on the system's allocator, in memory taken beforehand. It is to run in a process
//! that has not used the allocator yet.
#![allow(dead_code, reason = "not every test file does everything")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::time::Duration;

use highwater::{Highwater, Retention, SoftLimit};

use crate::faults::{self, Plan, armed, pass_ms};

/// The delay of the allocators below, milliseconds.
const DELAY_MS: u64 = 4;
/// Threads sweep, by a clock that is invented: every run makes the same calls.
pub static QUIET: Highwater = Highwater::new().return_after_ms(DELAY_MS).without_sweeper();
/// The sweeper sweeps, by the system's clock.
pub static SWEPT: Highwater = Highwater::new().return_after_ms(DELAY_MS);

/// An error number that nothing here sets.
const ERRNO: i32 = 4077;

struct Held {
    at: *mut u8,
    layout: Layout,
    fill: u8,
}

/// The blocks that the script has.
pub struct Book {
    allocator: &'static Highwater,
    blocks: Vec<Held>,
    fills: u8,
    /// Requests that found no memory.
    pub refused: usize,
}

// SAFETY: a block may be used and freed by any thread.
unsafe impl Send for Book {}

/// The bytes of a block that are written and looked at, in runs: all of a small one, some of each OS page
/// of a span, and of one in sixteen of a large one.
fn runs(size: usize) -> impl Iterator<Item = Range<usize>> {
    let (step, run) = match size {
        0..=0x8000 => (size.max(1), size),
        0x8001..=0x8_0000 => (4 << 10, 16),
        _ => (64 << 10, 16),
    };
    (0..size).step_by(step).map(move |start| start..size.min(start + run))
}

impl Book {
    /// An empty one with room for all that the script needs.
    pub fn new(allocator: &'static Highwater) -> Book {
        Book { allocator, blocks: Vec::with_capacity(20_000), fills: 0, refused: 0 }
    }

    fn fill(&mut self, at: *mut u8, layout: Layout) {
        self.fills = self.fills % 250 + 1;
        for run in runs(layout.size()) {
            // SAFETY: within a block of ours.
            unsafe { at.add(run.start).write_bytes(self.fills, run.len()) };
        }
        assert!(self.blocks.len() < self.blocks.capacity(), "the book has room");
        self.blocks.push(Held { at, layout, fill: self.fills });
    }

    /// Takes a block of `size` bytes, if there is memory.
    fn take(&mut self, size: usize, align: usize) {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: not of size 0.
        let at = unsafe { self.allocator.alloc(layout) };
        if at.is_null() {
            self.refused += 1;
            return;
        }
        assert!(at.addr().is_multiple_of(align), "{layout:?} at {at:?}");
        self.fill(at, layout);
    }

    fn take_zeroed(&mut self, size: usize) {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: not of size 0.
        let at = unsafe { self.allocator.alloc_zeroed(layout) };
        if at.is_null() {
            self.refused += 1;
            return;
        }
        assert_holds(at, size, 0);
        self.fill(at, layout);
    }

    fn take_some(&mut self, count: usize, size: usize) {
        (0..count).for_each(|_| self.take(size, 8));
    }

    /// Makes the block that was taken `back` blocks ago `size` bytes large, if there is memory.
    fn resize(&mut self, back: usize, size: usize) {
        let Some(index) = self.blocks.len().checked_sub(back + 1) else { return };
        let old = self.blocks.remove(index);
        assert_holds(old.at, old.layout.size(), old.fill);
        // SAFETY: a live block with its layout.
        let at = unsafe { self.allocator.realloc(old.at, old.layout, size) };
        if at.is_null() {
            self.refused += 1;
            assert_holds(old.at, old.layout.size(), old.fill);
            self.blocks.push(old);
            return;
        }
        let kept = size.min(old.layout.size());
        for run in runs(old.layout.size()).filter(|run| run.start < kept) {
            assert_run(at, run.start..run.end.min(kept), old.fill);
        }
        self.fill(at, Layout::from_size_align(size, old.layout.align()).unwrap());
    }

    fn free(&mut self, index: usize) {
        let block = self.blocks.swap_remove(index);
        assert_holds(block.at, block.layout.size(), block.fill);
        // SAFETY: the calling thread's own word; then a live block with its layout.
        unsafe {
            *libc::__errno_location() = ERRNO;
            self.allocator.dealloc(block.at, block.layout);
            assert_eq!(*libc::__errno_location(), ERRNO, "a free leaves the error number alone");
        }
    }

    /// Frees all but every `nth` block, from the first on.
    fn thin_out(&mut self, nth: usize) {
        let mut index = 0;
        let before = self.blocks.len();
        for number in 0..before {
            if number % nth == 0 {
                index += 1;
            } else {
                // The last one takes its place, and is looked at next.
                self.free(index);
            }
        }
    }

    fn free_all(&mut self) {
        while !self.blocks.is_empty() {
            self.free(self.blocks.len() - 1);
        }
    }

    /// Every block holds what was written to it.
    fn assert_whole(&self) {
        for block in &self.blocks {
            assert_holds(block.at, block.layout.size(), block.fill);
        }
    }
}

#[track_caller]
fn assert_holds(at: *mut u8, size: usize, fill: u8) {
    runs(size).for_each(|run| assert_run(at, run, fill));
}

/// A run of bytes holds `fill` throughout: its first, and each what the one before does.
#[track_caller]
fn assert_run(at: *mut u8, run: Range<usize>, fill: u8) {
    // SAFETY: within a live block of ours.
    let same = unsafe {
        let first = at.add(run.start);
        let all = libc::memcmp(first.cast(), first.add(1).cast(), run.len() - 1) == 0;
        first.read() == fill && all
    };
    assert!(same, "bytes {run:?} do not hold {fill}");
}

/// Does `work` with the book in another thread, which begins and ends meanwhile. False if there is no
/// thread to be had.
fn elsewhere(book: &mut Book, work: fn(&mut Book)) -> bool {
    struct Errand<'a>(&'a mut Book, fn(&mut Book));
    extern "C" fn run(errand: *mut c_void) -> *mut c_void {
        // SAFETY: lives until the thread is joined.
        let Errand(book, work) = unsafe { &mut *errand.cast::<Errand<'_>>() };
        // Not disarmed: the thread's end is the allocator's business too.
        armed(true, || work(book));
        faults::stay_armed();
        ptr::null_mut()
    }
    let mut errand = Errand(book, work);
    let mut thread = 0;
    // SAFETY: the errand outlives the thread, which is joined here.
    armed(false, || unsafe {
        if libc::pthread_create(&mut thread, ptr::null(), run, (&raw mut errand).cast()) != 0 {
            return false;
        }
        assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
        true
    })
}

fn small(book: &mut Book) {
    // More than a pool of each.
    for size in [8, 24, 100, 640, 1000] {
        book.take_some((20 << 10) / size, size);
    }
    for size in [5000, 30_000] {
        book.take_some((150 << 10) / size, size);
    }
    book.thin_out(7);
    for size in [48, 200, 1000, 20_000] {
        book.take_some((64 << 10) / size, size);
    }
    book.take_zeroed(3000);
    book.take(64, 64);
    book.take(4096, 4096);
    book.resize(0, 9000);
    book.assert_whole();
}

fn spans(book: &mut Book) {
    for size in [40_000, 100_000, 500_000] {
        book.take_some(3, size);
        book.resize(0, size / 2 + 20_000);
        book.resize(1, size + 9000);
    }
    book.take(64 << 10, 64 << 10);
    book.take_zeroed(200_000);
    book.thin_out(2);
}

fn large(book: &mut Book) {
    const MIB: usize = 1 << 20;
    book.take_some(3, 3 * MIB);
    book.take(600_000, 2 * MIB);
    book.take_zeroed(700_000);
    // Grown by moving OS pages, cut, grown into what was cut off.
    for size in [5 * MIB, MIB, 2 * MIB, 9 * MIB, 600_000] {
        book.resize(2, size);
    }
    book.thin_out(2);
    book.take_some(2, MIB);
    book.take_zeroed(800_000);
    book.resize(0, 4 * MIB);
}

/// Blocks whose owner has ended, and blocks that other threads free.
fn threads(book: &mut Book) {
    elsewhere(book, |book| {
        book.take_some(1200, 48);
        book.take_some(150, 1000);
        book.take_some(2, 100_000);
    });
    book.thin_out(3);
    elsewhere(book, |book| {
        book.take_some(600, 48);
        book.free_all();
    });
    // What the thread freed comes home.
    book.take_some(1500, 24);
    book.take_some(200, 640);
    book.thin_out(4);
}

/// Time passes between bursts, so that what is left of them gets old.
fn sweeps(book: &mut Book) {
    for size in [200, 24, 5000] {
        book.take_some((400 << 10) / size, size);
        book.thin_out(50);
        for _ in 0..4 {
            pass_ms(DELAY_MS);
            book.take_some(4, 100_000);
            book.thin_out(2);
        }
    }
    highwater::trim();
    purged_reads_as_zero(book);
}

/// What was given back and is handed out again is known to be zero, and so not written.
fn purged_reads_as_zero(book: &mut Book) {
    (0..12).for_each(|_| book.take_zeroed(150_000));
    (0..3).for_each(|_| book.take_zeroed(700_000));
    book.thin_out(2);
}

fn limits(book: &mut Book) {
    highwater::set_soft_limit(SoftLimit::cgroup(0.9));
    book.take_some(40, 100_000);
    highwater::set_soft_limit(SoftLimit::bytes(1 << 20));
    book.take_some(300, 1000);
    book.take_some(20, 100_000);
    book.take(2 << 20, 8);
    book.thin_out(3);
    book.take_some(300, 400);
    let stats = highwater::stats();
    assert!(stats.resident_bytes > 0 || stats.soft_limit_bytes > 0);
    highwater::set_soft_limit(SoftLimit::NONE);
}

fn rungs(book: &mut Book) {
    for rung in [Retention::NeverShrink, Retention::ReturnArenas, Retention::ReturnPages] {
        highwater::set_retention(rung);
        book.take_some(8, 100_000);
        book.take_some(4, 700_000);
        book.take_some(40, 5000);
        book.thin_out(3);
        highwater::trim();
        purged_reads_as_zero(book);
    }
}

/// A child frees all that its parent has, works on, and ends well.
fn fork(book: &mut Book) {
    if !faults::is_told_of_forks() {
        return;
    }
    // SAFETY: what the child calls is what is under test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        book.assert_whole();
        book.thin_out(3);
        small(book);
        elsewhere(book, spans);
        book.free_all();
        highwater::trim();
        assert_closes();
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    if child > 0 {
        let mut status = 0;
        // SAFETY: the child is ours.
        while unsafe { libc::waitpid(child, &mut status, 0) } != child {}
        assert_eq!(status, 0, "the child ended well");
    }
}

/// More large blocks than the first index of them holds.
pub fn many_large(book: &mut Book) {
    let layout = Layout::from_size_align(600_000, 8).unwrap();
    for _ in 0..4200 {
        // SAFETY: not of size 0. Not filled: that would take long.
        let at = unsafe { book.allocator.alloc(layout) };
        if at.is_null() {
            book.refused += 1;
        } else {
            // SAFETY: a block of this size, ours.
            book.blocks.push(Held { at, layout, fill: unsafe { at.read() } });
        }
    }
    for block in book.blocks.drain(..) {
        // SAFETY: a live block with its layout.
        unsafe { book.allocator.dealloc(block.at, block.layout) };
    }
}

#[track_caller]
fn assert_closes() {
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "the sum closes\n{explained}");
    let stats = highwater::stats();
    assert_eq!(explained.live + explained.large, stats.live_bytes, "live bytes\n{explained}");
    highwater::check();
}

/// The whole script, once.
pub fn run(book: &mut Book) {
    small(book);
    spans(book);
    large(book);
    threads(book);
    assert_closes();
    sweeps(book);
    limits(book);
    rungs(book);
    fork(book);
    book.assert_whole();
    assert_closes();
    book.free_all();
}

/// Work with whatever fails, and then, when all works again, whether anything was lost.
pub fn run_and_look_back(book: &mut Book, work: impl FnOnce(&mut Book)) {
    work(book);
    faults::plan(Plan::None);
    look_back(book);
}

/// Whether anything was lost: nothing is live, what is mapped is known, and memory works.
pub fn look_back(book: &mut Book) {
    armed(true, || {
        assert_closes();
        book.refused = 0;
        let rung = highwater::retention();
        small(book);
        spans(book);
        large(book);
        assert_eq!(book.refused, 0, "memory works again");
        book.free_all();
        highwater::set_retention(Retention::ReturnArenas);
        highwater::trim();
        highwater::set_retention(rung);
        assert_closes();
    });
    let stats = highwater::stats();
    // The sweeper may be between a call and the count of it.
    let is_known = || highwater::stats().mapped_bytes == faults::mapped_bytes();
    let known = (0..1000).any(|_| {
        is_known() || {
            std::thread::sleep(Duration::from_millis(1));
            false
        }
    });
    assert!(known, "{} bytes are mapped, {stats:?}", faults::mapped_bytes());
    assert_eq!((stats.live_bytes, stats.large_blocks), (0, 0), "nothing is live");
    assert_eq!((stats.arenas, stats.large_kept_bytes), (0, 0), "nothing is kept");
    let explained = highwater::explain();
    assert_eq!(explained.purged, 0, "nothing is left over\n{explained}\n{stats:?}");
}
