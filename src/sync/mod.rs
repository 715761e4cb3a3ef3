//! Floor 1, beside `sys`: what threads share. One door for atomics, single-writer words, the lock.

#[cfg_attr(loom, path = "atomic_loom.rs")]
pub mod atomic;
pub mod lock;
#[cfg_attr(loom, path = "planted_loom.rs")]
pub mod planted;
pub mod word;
