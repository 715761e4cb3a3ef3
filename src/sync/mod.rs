//! Floor 1, beside `sys`: what threads share. One door for atomics, single-writer words, the lock.

pub mod atomic;
pub mod lock;
pub mod word;
