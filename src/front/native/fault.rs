//! A caller's mistake, and the one line that names it.

#![forbid(unsafe_code)]

use core::fmt::{self, Display, Formatter};

use super::seal::Request;
use crate::sys;

/// A mistake with one block.
pub struct Fault {
    /// The address given back, or come to.
    pub block: *mut u8,
    /// Bytes of the block, its class's if it lies in a pool; 0 if it is none.
    pub bytes: usize,
    pub sort: Sort,
}

/// What the mistake is.
pub enum Sort {
    /// Given back again.
    Twice,
    /// Given back by an address within the block.
    Inside { within: usize },
    /// No block was ever made there.
    Never,
    /// Not in memory of the allocator's, or not any more.
    Foreign,
    /// In an arena, but no pool or span has the place.
    Nowhere,
    /// Somebody wrote behind the user's last byte.
    Overflow,
    /// Somebody came to the guard so many bytes behind the user's last one.
    Behind { by: usize },
    /// Somebody came to the guard so many bytes before the user's first one.
    Before { by: usize },
    /// Somebody came to a guard of an arena's.
    Guard,
    /// Given back with another layout.
    Layout { asked: Request, given: Request },
    /// A block of `malloc`'s, given back with a layout.
    Malloced { request: Request },
    /// A block that was asked for by a layout, given back to `free`.
    #[cfg(feature = "malloc")]
    Layouted { request: Request },
}

impl Fault {
    /// Names the mistake on standard error and ends the process.
    #[cold]
    pub fn end(&self) -> ! {
        sys::fatal::complain(format_args!("{self}"));
        sys::abort()
    }
}

impl Display for Fault {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (block, bytes) = (self.block, self.bytes);
        match &self.sort {
            Sort::Twice => write!(out, "double free: {block:p}, a block of {bytes} bytes"),
            Sort::Inside { within } => {
                write!(
                    out,
                    "free inside a block: {block:p}, {within} bytes into one of {bytes} bytes"
                )
            }
            Sort::Never => {
                write!(
                    out,
                    "free of no block: {block:p}, never handed out among blocks of {bytes} bytes"
                )
            }
            Sort::Foreign => {
                write!(
                    out,
                    "free of a foreign address: {block:p}, in no block, or one freed before"
                )
            }
            Sort::Nowhere => {
                write!(out, "free of no block: {block:p}, no block's start, or one freed before")
            }
            Sort::Overflow => {
                write!(out, "write past the end: {block:p}, a block of {bytes} bytes")
            }
            Sort::Behind { by } => {
                write!(
                    out,
                    "access past the end: {block:p}, {by} bytes past a block of {bytes} bytes"
                )
            }
            Sort::Before { by } => {
                write!(
                    out,
                    "access before the start: {block:p}, {by} bytes before a block of {bytes} bytes"
                )
            }
            Sort::Guard => {
                write!(
                    out,
                    "access to a guard: {block:p}, beside the records or the blocks of an arena"
                )
            }
            Sort::Layout { asked, given } => write!(
                out,
                "wrong layout: {block:p}, a block of {bytes} bytes, asked for as {asked}, given back as {given}",
            ),
            Sort::Malloced { request } => write!(
                out,
                "wrong family: {block:p}, a block of {bytes} bytes, asked of malloc as {request}, given back \
                 with a layout",
            ),
            #[cfg(feature = "malloc")]
            Sort::Layouted { request } => write!(
                out,
                "wrong family: {block:p}, a block of {bytes} bytes, asked for as {request}, given to free",
            ),
        }
    }
}

impl Display for Request {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes aligned to {}", self.size, self.align())
    }
}
