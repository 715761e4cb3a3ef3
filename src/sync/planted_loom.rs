//! Faults that the model checker must find, planted one at a time.

#![forbid(unsafe_code)]

extern crate std;

use core::cell::Cell;
use std::thread_local;

thread_local! {
    static PLANTED: Cell<&'static str> = const { Cell::new("") };
}

/// Whether the fault of this name is planted. A model runs on one thread of the system's.
pub fn planted(name: &str) -> bool {
    PLANTED.get() == name
}

/// Plants the fault of this name in place of the one before.
pub fn plant(name: &'static str) {
    PLANTED.set(name);
}
