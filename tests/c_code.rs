//! A Rust program with the feature `malloc`: what its C code allocates comes from highwater too, also inside
//! the C library itself.
//!
//! `cargo test --features malloc --test c_code`

#![cfg(target_os = "linux")]

#[path = "support/child.rs"]
mod child;

use std::ffi::{CStr, c_char, c_void};
use std::hint::black_box;

use child::alone;
use highwater::{Highwater, Retention};

#[global_allocator]
static GLOBAL: Highwater = Highwater::with_retention(Retention::KeepArenas);

fn live() -> usize {
    highwater::stats().live_bytes
}

#[test]
fn a_block_of_c_code_is_counted_and_given_back() {
    alone(|| {
        let before = live();
        // SAFETY: freed below, once.
        let block = black_box(unsafe { libc::malloc(1000) });
        assert!(!block.is_null() && live() - before >= 1000);
        // SAFETY: allocated above.
        unsafe { libc::free(block) };
        assert_eq!(live(), before);
    });
}

#[test]
fn what_the_c_library_allocates_for_its_caller_is_highwaters() {
    alone(|| {
        let mut bytes = vec![b'x'; 5000];
        bytes.push(0);
        let text = CStr::from_bytes_with_nul(&bytes).unwrap();
        let before = live();
        // SAFETY: a string with an end; freed below.
        let copy: *mut c_char = black_box(unsafe { libc::strdup(text.as_ptr()) });
        assert!(live() - before >= 5001, "the C library calls this program's malloc");
        // SAFETY: as above.
        unsafe { libc::free(copy.cast::<c_void>()) };
        assert_eq!(live(), before);
    });
}

#[test]
fn a_pool_may_be_freed_to_for_ever_while_it_is_current() {
    alone(|| {
        let before = live();
        // More often than a pool's countdown has numbers, and in every size of pool.
        for size in [16, 64, 500, 9000] {
            // SAFETY: freed below, once.
            let kept = black_box(unsafe { libc::malloc(size) });
            for _ in 0..100_000 {
                // SAFETY: freed at once, once.
                unsafe { libc::free(black_box(libc::malloc(size))) };
                // SAFETY: as above, the later one last.
                unsafe {
                    let blocks = black_box([libc::malloc(size), libc::malloc(size)]);
                    blocks.iter().for_each(|&block| libc::free(block));
                }
            }
            assert!(live() - before >= size, "what is kept of {size}");
            // SAFETY: allocated above.
            unsafe { libc::free(kept) };
            assert_eq!(live(), before, "{size}");
        }
        let explained = highwater::explain();
        assert_eq!(explained.sum(), explained.mapped);
    });
}

#[test]
fn what_was_allocated_last_is_taken_back_wherever_its_pool_has_got_to() {
    alone(|| {
        let before = live();
        for size in [24, 100, 1000, 20_000] {
            // Nothing, one block of another class, more of its own than a pool has, and blocks that are freed again.
            for (other, count) in [(size, 0), (48, 1), (size, 3000), (48, 3000)] {
                // SAFETY: freed below, once.
                let block = black_box(unsafe { libc::malloc(size) });
                let rust: Vec<_> = (0..count).map(|_| Vec::<u8>::with_capacity(other)).collect();
                assert!(live() - before >= size + count * other, "{size} {other} {count}");
                drop(rust);
                // SAFETY: allocated above.
                unsafe { libc::free(block) };
                assert_eq!(live(), before, "{size} {other} {count}");
            }
        }
    });
}

#[test]
fn null_is_nothing_also_before_a_thread_allocates_and_after_it_freed() {
    alone(|| {
        let frees = || {
            // SAFETY: null is nothing; the block is freed once.
            unsafe {
                libc::free(std::ptr::null_mut());
                libc::free(black_box(libc::malloc(100)));
                libc::free(std::ptr::null_mut());
            }
        };
        frees();
        std::thread::spawn(frees).join().unwrap();
        // What the first thread of a process leaves behind is there by now.
        let before = live();
        std::thread::spawn(frees).join().unwrap();
        frees();
        assert_eq!(live(), before);
        assert_eq!(highwater::stats().stray_frees, 0);
    });
}

#[test]
fn the_constructors_rung_is_in_force_though_c_code_allocated_before_main() {
    alone(|| assert_eq!(highwater::retention(), Retention::KeepArenas));
}

#[test]
#[cfg(not(feature = "hardened"))]
fn an_address_that_is_nobodys_is_counted_as_stray() {
    alone(|| {
        // In the middle of a span: no block starts there.
        let span = vec![1u8; 100_000];
        assert_eq!(highwater::stats().stray_frees, 0);
        // SAFETY: an address that is no block's is left alone.
        unsafe {
            libc::free(span.as_ptr().add(4096 - span.as_ptr().addr() % 4096).cast_mut().cast())
        };
        assert_eq!(highwater::stats().stray_frees, 1);
        // SAFETY: null is nothing.
        unsafe { libc::free(std::ptr::null_mut()) };
        assert_eq!(highwater::stats().stray_frees, 1);
        drop(span);
    });
}
