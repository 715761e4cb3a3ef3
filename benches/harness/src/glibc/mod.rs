//! What glibc's malloc tells of itself, where it is the system's allocator.

#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "linux.rs")]
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), path = "elsewhere.rs")]
mod imp;

pub use imp::block_bytes;
