//! The C allocation family, for C code in a Rust program, or, as a shared object, for any program.
//!
//! `blocks.rs` has the operations; `family.rs`, `glibc.rs` and `operators.rs` give them their C, GNU and
//! C++ names. A block's pool is found from its address (`mem/arena_map.rs`, `mem/find.rs`); what is no
//! block of ours is left alone and counted, or, if the program asked for it, ends the process (`check.rs`).

#[cfg_attr(feature = "hardened", path = "blocks_hardened.rs")]
mod blocks;
#[cfg(not(feature = "hardened"))]
mod check;
mod family;
mod glibc;
mod operators;
mod serve;
mod start;

pub use blocks::strays;
