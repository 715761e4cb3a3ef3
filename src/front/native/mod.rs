//! The allocator as a program sees it.

mod account;
#[cfg(feature = "hardened")]
mod beyond;
#[cfg_attr(feature = "hardened", path = "door_hardened.rs")]
mod door;
#[cfg(feature = "hardened")]
mod fault;
mod gather;
mod global;
#[cfg(feature = "hardened")]
mod guarded;
#[cfg(feature = "malloc")]
mod malloc;
mod meter;
#[cfg(feature = "hardened")]
mod seal;
mod settings;
mod survey;

/// Standard error, without allocating.
pub fn standard_error() -> impl core::fmt::Write {
    crate::sys::fatal::Stderr::new()
}

/// Addresses given back that are no block of this allocator's.
#[cfg(feature = "malloc")]
fn stray_frees() -> u64 {
    malloc::strays()
}

/// Nobody gives an address back without its layout.
#[cfg(not(feature = "malloc"))]
fn stray_frees() -> u64 {
    0
}

pub use crate::sys::{Room, resident_bytes_exact};
pub use account::{check, explain};
pub use gather::{reset_peaks, stats};
pub use global::{Highwater, retention, set_retention, set_soft_limit, soft_limit, trim};
pub use meter::measure;
#[cfg(fuzzing)]
pub use settings::{Found as SettingsFound, understand};
pub use survey::map;
