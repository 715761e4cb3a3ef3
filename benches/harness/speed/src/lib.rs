//! What `cargo retention speed` and `cargo retention growth` time.
//!
//! A row is one kind of work, done through the program's own global allocator. Each allocator has a child binary,
//! which is this library and a `#[global_allocator]`; the tool starts a fresh process of it for every figure, names
//! the row, and reads one report as JSON.
//!
//! ```text
//! tool (in the harness)              speed-* (one process per row, round and contender)
//!   rows     names and groups  --task->  child    finds the row's work
//!                                        work     does it, again and again, inside
//!   report   its shape       <-report-   meter    clocks, page faults, resident memory
//! ```
//!
//! Without the feature `work` this is only the table of rows, the shape of a report and what the kernel says of a process, which is all that the tool
//! needs; so the tool does not wait for the crates that the rows are made of.

pub mod paths;
pub mod random;
pub mod report;
pub mod rows;
pub mod usage;

#[cfg(feature = "work")]
pub mod child;
#[cfg(feature = "work")]
mod meter;
#[cfg(feature = "work")]
mod work;
