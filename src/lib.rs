//! highwater: a memory allocator that gives memory back as far as you choose. The README follows.
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(not(unix), allow(dead_code, reason = "there, only the types are used"))]
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(all(feature = "malloc", not(target_os = "linux")))]
compile_error!(
    "the feature `malloc` is for Linux: elsewhere a program's `malloc` is not replaced by a symbol"
);

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

mod front;

pub use base::flow::Flow;
/// For what `profile!` expands to.
#[doc(hidden)]
pub mod __private {
    pub use crate::front::profile::{HERE, Profile, line};
}

#[doc(hidden)]
pub use front::check;
pub use front::{
    ArenaMap, ClassStats, Explain, Highwater, Map, MapKind, MapPlace, Measured, MeasuredClass,
    Stats, explain, map, measure, reset_peaks, retention, set_retention, set_soft_limit,
    soft_limit, stats, trim,
};
pub use policy::limit::SoftLimit;
pub use policy::retention::Retention;
