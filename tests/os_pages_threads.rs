//! The threads' tests with OS pages of 64 KiB; see `os_pages.rs`.
// With the feature `malloc` the system's allocator, on which the test itself lives, is highwater too: what is
// counted would no longer be what the test asked for.
#![cfg(not(feature = "malloc"))]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "support/large_pages.rs"]
mod large_pages;
#[path = "threads.rs"]
mod threads;
