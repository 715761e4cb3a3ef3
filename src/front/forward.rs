//! What the crate is where it has no floors: the system's allocator under the same names.

extern crate std;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use std::alloc::System;
use std::io::Write as _;
use std::vec::Vec;

use super::explain::Explain;
use super::map::Map;
use super::measure::Measured;
use super::stats::Stats;
use crate::base::class::SizeClass;
use crate::base::flow::Flow;
use crate::policy::limit::SoftLimit;
use crate::policy::retention::Retention;

/// Forwards to [`std::alloc::System`]: this target is not supported yet.
#[derive(Debug)]
pub struct Highwater;

impl Default for Highwater {
    fn default() -> Self {
        Self::new()
    }
}

impl Highwater {
    /// Forwards.
    pub const fn new() -> Self {
        Self
    }

    /// Forwards; there is nothing to retain here.
    pub const fn with_retention(_: Retention) -> Self {
        Self
    }

    /// Forwards; nothing waits here.
    pub const fn return_after_ms(self, _: u64) -> Self {
        self
    }

    /// Forwards; nothing is limited here.
    pub const fn soft_limit(self, _: usize) -> Self {
        self
    }

    /// Forwards; nothing is limited here.
    pub const fn with_soft_limit(self, _: SoftLimit) -> Self {
        self
    }

    /// Forwards; nothing is asked of the system here.
    pub const fn with_huge_pages(self) -> Self {
        self
    }

    /// Forwards; there is no sweeper here.
    pub const fn without_sweeper(self) -> Self {
        self
    }
}

// SAFETY: forwards everything to the system's allocator.
unsafe impl GlobalAlloc for Highwater {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Nothing is known here: all zero.
pub fn stats() -> Stats {
    Stats::none()
}

/// Nothing is known here: all zero.
pub fn explain() -> Explain {
    Explain::default()
}

/// Nothing is known here: without any arena.
pub fn map() -> Map {
    Map::none()
}

/// Does `work`; nothing is known here of what it allocates: all zero.
pub fn measure<T>(work: impl FnOnce() -> T) -> Measured<T> {
    let none = Flow::NONE;
    Measured {
        value: work(),
        blocks: none,
        bytes: none,
        large_blocks: none,
        large_bytes: none,
        classes: SizeClass::table(|_| none),
    }
}

/// Does nothing here.
pub fn reset_peaks() {}

/// Gives nothing back here.
pub fn trim() -> usize {
    0
}

/// The default: nothing else is in force here.
pub fn retention() -> Retention {
    Retention::DEFAULT
}

/// Does nothing here.
pub fn set_retention(_: Retention) {}

/// None: nothing is limited here.
pub fn soft_limit() -> SoftLimit {
    SoftLimit::NONE
}

/// Does nothing here.
pub fn set_soft_limit(_: SoftLimit) {}

/// Does nothing here.
#[doc(hidden)]
pub fn check() {}

/// Not known here.
pub fn resident_bytes_exact() -> Option<usize> {
    None
}

/// Standard error.
pub fn standard_error() -> impl fmt::Write {
    struct Stderr;
    impl fmt::Write for Stderr {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            std::io::stderr().write_all(text.as_bytes()).map_err(|_| fmt::Error)
        }
    }
    Stderr
}

/// A list of values: here nothing is told of that it could disturb.
#[derive(Debug)]
pub struct Room<T>(Vec<T>);

impl<T: Copy> Room<T> {
    /// Without a value.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// For values: `None` never.
    pub fn of(_: usize) -> Option<Self> {
        Some(Self::none())
    }

    /// Puts a value behind the others.
    pub fn push(&mut self, value: T) -> bool {
        self.0.push(value);
        true
    }

    /// The values.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}
