//! highwater: a memory allocator that gives memory back as far as you choose. The README follows.
//!
// The figures in its examples are exact, and other ones with the feature `hardened`.
#![cfg_attr(not(all(doctest, feature = "hardened")), doc = include_str!("../README.md"))]
#![no_std]
#![cfg_attr(not(unix), allow(dead_code, reason = "there, only the types are used"))]
#![cfg_attr(loom, allow(dead_code, reason = "only what threads agree on is checked"))]
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
#[cfg_attr(loom, path = "sys/modelled.rs")]
#[macro_use]
mod sys;
#[cfg(unix)]
#[cfg_attr(loom, path = "heap/protocols.rs")]
mod heap;
#[cfg(unix)]
#[cfg_attr(loom, path = "mem/protocols.rs")]
mod mem;
#[cfg(all(unix, fuzzing))]
#[doc(hidden)]
pub mod fuzzing {
    //! What `tests/fuzz` reaches, in builds for it only.
    pub use crate::front::{SettingsFound, understand};
    pub use crate::sys::{cgroup, file};
}
#[cfg(all(loom, test))]
#[path = "../tests/loom/models/mod.rs"]
mod models;
mod policy;
#[cfg(unix)]
mod sync;

#[cfg(not(loom))]
mod front;

pub use base::flow::Flow;
/// For what `profile!` expands to.
#[doc(hidden)]
#[cfg(not(loom))]
pub mod __private {
    pub use crate::front::profile::{HERE, Profile, line};
}

#[doc(hidden)]
#[cfg(not(loom))]
pub use front::check;
#[cfg(not(loom))]
pub use front::{
    ArenaMap, ClassStats, Explain, Highwater, Map, MapKind, MapPlace, Measured, MeasuredClass,
    Stats, explain, map, measure, reset_peaks, retention, set_retention, set_soft_limit,
    soft_limit, stats, trim,
};
pub use policy::limit::SoftLimit;
pub use policy::retention::Retention;
