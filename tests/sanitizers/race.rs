//! ThreadSanitizer watches the blocks: a race on one is reported. Without this the other tests would pass
//! under a sanitizer that sees nothing.

#![cfg(highwater_tsan)]

use std::alloc::{GlobalAlloc, Layout};
use std::process::Command;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::{env, hint, ptr, thread};

use highwater::Highwater;

static HIGHWATER: Highwater = Highwater::new().without_sweeper();

const RACE: &str = "RACE";

/// Two threads write to one block, which the second got without any order.
fn race() {
    let handed = AtomicPtr::new(ptr::null_mut::<u8>());
    let done = AtomicUsize::new(0);
    let layout = Layout::from_size_align(64, 8).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: none: what is wrong here is what is looked for.
            unsafe {
                let block = HIGHWATER.alloc(layout);
                handed.store(block, Relaxed);
                while done.load(Relaxed) == 0 {
                    block.write_volatile(1);
                }
            }
        });
        scope.spawn(|| {
            while handed.load(Relaxed).is_null() {
                hint::spin_loop();
            }
            // SAFETY: as above.
            unsafe { handed.load(Relaxed).write_volatile(2) };
            done.store(1, Relaxed);
        });
    });
}

#[test]
#[ignore = "for the other test, in a process of its own"]
fn two_threads_race() {
    if env::var_os(RACE).is_some() {
        race();
    }
}

#[test]
fn a_race_on_a_block_is_reported() {
    let this = env::current_exe().unwrap();
    let args = ["--exact", "two_threads_race", "--ignored"];
    let ended = Command::new(this).args(args).env(RACE, "").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("data race"), "{said}");
}
