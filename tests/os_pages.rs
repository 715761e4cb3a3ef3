//! OS pages of 64 KiB, as other processors have them: the model test under a kernel that knows no
//! smaller ones (`support/large_pages.rs`), and what only then differs. With `TEST_OS_PAGE=16384` in the
//! environment they have 16 KiB.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "support/child.rs"]
mod child;
#[path = "support/large_pages.rs"]
mod large_pages;
#[path = "model.rs"]
#[allow(clippy::module_inception, reason = "the whole model test, with its own model")]
mod model;

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_int;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{ptr, slice};

use child::{alone, alone_with};
use highwater::{Highwater, Retention};
use large_pages::page_size;

static HIGHWATER: Highwater = Highwater::new().without_sweeper();

const SLOT: usize = 4 << 10;

fn map(bytes: usize) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    start.cast()
}

/// How a forked child ends that does nothing but `work`: its wait status.
fn end_of_a_child(work: impl FnOnce()) -> c_int {
    // SAFETY: the child makes system calls and ends.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            work();
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        status
    }
}

#[test]
fn such_a_kernel_knows_whole_os_pages_only() {
    // SAFETY: mappings of this test's own, and a query.
    unsafe {
        assert_eq!(libc::sysconf(libc::_SC_PAGESIZE) as usize, page_size());
        let start = map(2 * page_size() - 1);
        assert_eq!(start.addr() % page_size(), 0);
        let bytes = slice::from_raw_parts_mut(start, 2 * page_size());
        bytes.fill(7);
        assert_eq!(libc::madvise(start.cast(), 1, libc::MADV_DONTNEED), 0);
        assert!(bytes[..page_size()].iter().all(|&byte| byte == 0), "one byte is one OS page");
        assert!(bytes[page_size()..].iter().all(|&byte| byte == 7), "and no more");
        let (from, to) = (2 * page_size(), 64 * page_size());
        let moved = libc::mremap(start.cast(), from, to, libc::MREMAP_MAYMOVE).cast::<u8>();
        assert_eq!(moved.addr() % page_size(), 0);
        assert_eq!((*moved, *moved.add(page_size())), (0, 7));
        let within = moved.add(SLOT);
        let status = end_of_a_child(|| {
            libc::madvise(within.cast(), page_size(), libc::MADV_DONTNEED);
        });
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT);
        assert_eq!(libc::munmap(moved.cast(), to), 0);
    }
}

/// Blocks of one slot each, filled.
struct Slots(Vec<*mut u8>);

impl Slots {
    /// Larger than any block of a pool, and a whole number of slots.
    const LAYOUT: Layout = match Layout::from_size_align(9 * SLOT, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("a good layout"),
    };

    fn new(count: usize) -> Slots {
        // SAFETY: not of size 0; a block of this size, ours.
        let spans = (0..count).map(|number| unsafe {
            let at = HIGHWATER.alloc(Self::LAYOUT);
            assert!(!at.is_null());
            at.write_bytes(number as u8 | 1, Self::LAYOUT.size());
            at
        });
        Slots(spans.collect())
    }

    /// Frees those that `which` says, once the bytes of all were verified.
    fn free(&mut self, mut which: impl FnMut(usize) -> bool) {
        for (number, &at) in self.0.iter().enumerate().filter(|(_, at)| !at.is_null()) {
            // SAFETY: live blocks of this size.
            let bytes = unsafe { slice::from_raw_parts(at, Self::LAYOUT.size()) };
            assert!(bytes.iter().all(|&byte| byte == number as u8 | 1), "block {number}");
        }
        for (number, at) in self.0.iter_mut().enumerate() {
            if which(number) && !at.is_null() {
                // SAFETY: a live block with its layout.
                unsafe { HIGHWATER.dealloc(*at, Self::LAYOUT) };
                *at = ptr::null_mut();
            }
        }
    }
}

/// OS pages that lie between live neighbours go back, what shares an OS page with a live block stays.
#[test]
fn of_free_slots_whole_os_pages_go_back_and_no_byte_more() {
    alone(|| {
        highwater::set_retention(Retention::ReturnPages);
        let mut slots = Slots::new(200);
        highwater::trim();
        let before = highwater::explain().purged;
        slots.free(|number| number % 2 == 1);
        let free = 100 * Slots::LAYOUT.size();
        let given = highwater::trim();
        let purged = highwater::explain().purged - before;
        assert_eq!(given, purged, "nothing is unmapped while every arena is in use");
        assert_eq!(purged % page_size(), 0);
        // 36 KiB hold one or two whole OS pages of 16 KiB, none of 64.
        let (least, most) = if page_size() > Slots::LAYOUT.size() {
            (0, 0)
        } else {
            (free / Slots::LAYOUT.size() * page_size(), free)
        };
        assert!((least..=most).contains(&purged), "{purged} of {free} bytes");
        slots.free(|number| number % 8 != 0);
        highwater::trim();
        let purged = highwater::explain().purged - before;
        assert!(
            purged > 170 * Slots::LAYOUT.size() / 2,
            "runs of free blocks go but for their ends"
        );
        slots.free(|_| true);
        highwater::trim();
        assert_eq!(highwater::stats().arenas, 0, "what is wholly free leaves");
        highwater::check();
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped);
    });
}

/// Sweeps find what is old though no single slot of it can go back.
#[test]
fn free_slots_go_back_while_the_process_idles() {
    let settings = [("HIGHWATER_SWEEPER", "on"), ("HIGHWATER_RETURN_AFTER_MS", "100")];
    alone_with(&settings, || {
        let mut slots = Slots::new(400);
        // 18 MiB are live then, of which 7 are freed by and by: never surplus, always whole OS pages.
        slots.free(|number| number % 40 < 8);
        slots.free(|number| number % 40 < 15);
        let freed = 150 * Slots::LAYOUT.size();
        let deadline = Instant::now() + Duration::from_secs(60);
        while highwater::explain().purged < freed / 2 {
            assert!(Instant::now() < deadline, "{}", highwater::explain());
            sleep(Duration::from_millis(50));
        }
        slots.free(|_| true);
    });
}
