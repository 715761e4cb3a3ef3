//! A size-class allocator that gives memory back as far as you choose, accounts for every byte that
//! it holds, and shows the price of each choice.

#![no_std]
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

mod base;
#[cfg(unix)]
#[macro_use]
mod sys;
#[cfg(unix)]
mod heap;
#[cfg(unix)]
mod mem;
mod policy;
#[cfg(unix)]
mod sync;

#[cfg_attr(not(unix), path = "forward.rs")]
mod front;

#[cfg(unix)]
#[doc(hidden)]
pub use front::explain::check;
#[cfg(unix)]
pub use front::explain::{Explain, explain};
#[cfg(unix)]
pub use front::global::{Highwater, retention, set_retention, trim};
#[cfg(unix)]
pub use front::stats::{ClassStats, Stats, reset_peaks, stats};
pub use policy::retention::Retention;
