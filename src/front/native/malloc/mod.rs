//! The C allocation family, for C code in a Rust program, or, as a shared object, for any program.
//!
//! `blocks.rs` has the operations; `family.rs`, `glibc.rs` and `operators.rs` give them their C, GNU and
//! C++ names. `deep_bind.rs` has one free function in a process. A block's pool is found from its address (`mem/arena_map.rs`, `mem/find.rs`); what is no
//! block of ours is left alone and counted, or, if the program asked for it, ends the process (`check.rs`).

mod behind;
#[cfg_attr(feature = "hardened", path = "blocks_hardened.rs")]
mod blocks;
#[cfg(not(feature = "hardened"))]
mod check;
#[cfg(target_env = "gnu")]
mod deep_bind;
mod family;
mod glibc;
mod operators;
mod serve;
mod start;

pub use blocks::strays;
