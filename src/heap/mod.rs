//! Floor 3: thread heaps and their bins, what passes between threads, spans, large blocks, what
//! happens at a thread's end and around a fork.

pub mod bin;
pub mod claim;
pub mod config;
pub mod current;
mod duty;
pub mod fork;
mod free;
mod guests;
pub mod inbox;
pub mod large;
pub mod large_apart;
pub mod large_index;
mod large_kept;
mod large_return;
pub mod ledger;
pub mod limit;
pub mod local;
pub mod outbox;
pub mod refill;
pub mod registry;
pub mod retire;
#[cfg_attr(
    all(
        feature = "malloc",
        target_os = "linux",
        target_arch = "x86_64",
        not(target_pointer_width = "32")
    ),
    path = "slot_initial_exec.rs"
)]
mod slot;
pub mod span;
mod span_kept;
pub mod surplus;
pub mod sweep;
pub mod sweeper;
mod tally;
pub mod tenancy;
pub mod thread_heap;
pub mod trim;
pub mod vacancy;
mod visit;
pub mod watch;
