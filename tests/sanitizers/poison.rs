//! AddressSanitizer watches the blocks: what a program may no longer touch is reported. Without this the
//! other tests would pass under a sanitizer that sees nothing.

#![cfg(highwater_asan)]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::process::Command;

use highwater::Highwater;

static HIGHWATER: Highwater = Highwater::new().without_sweeper();

const FAULT: &str = "FAULT";

/// What the program does whose name is in the environment.
fn commit(fault: &str) {
    let layout = Layout::from_size_align(64, 8).unwrap();
    // SAFETY: none: what is wrong here is what is looked for.
    unsafe {
        let block = HIGHWATER.alloc(layout);
        match fault {
            "none" => block.add(63).write(1),
            "read" => {
                HIGHWATER.dealloc(block, layout);
                black_box(block.add(8).read());
            }
            "write" => {
                HIGHWATER.dealloc(block, layout);
                block.add(63).write(1);
            }
            "span" => {
                let layout = Layout::from_size_align(100_000, 8).unwrap();
                let span = HIGHWATER.alloc(layout);
                HIGHWATER.dealloc(span, layout);
                span.add(50_000).write(1);
            }
            _ => panic!("{fault} is not known"),
        }
    }
}

/// What AddressSanitizer says of a process that does it; nothing if it ends well.
fn reported(fault: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let ended = Command::new(this)
        .args(["--exact", "a_fault_is_committed", "--ignored"])
        .env(FAULT, fault)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    if ended.status.success() { String::new() } else { said }
}

#[test]
#[ignore = "for the other tests, in a process of its own"]
fn a_fault_is_committed() {
    commit(&std::env::var(FAULT).unwrap());
}

#[test]
fn a_program_without_a_fault_is_left_alone() {
    assert_eq!(reported("none"), "");
}

#[test]
fn the_use_of_a_freed_block_is_reported() {
    for fault in ["read", "write", "span"] {
        let said = reported(fault);
        assert!(said.contains("use-after-poison"), "{fault}: {said}");
    }
}
