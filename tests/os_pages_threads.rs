//! The threads' tests with OS pages of 64 KiB; see `os_pages.rs`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "support/large_pages.rs"]
mod large_pages;
#[path = "threads.rs"]
mod threads;
