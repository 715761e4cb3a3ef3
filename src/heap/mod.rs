//! Floor 3: thread heaps and their bins, what passes between threads, spans, large blocks, what
//! happens at a thread's end and around a fork.

pub mod bin;
pub mod claim;
pub mod config;
pub mod fork;
pub mod large;
pub mod large_index;
pub mod ledger;
pub mod limit;
pub mod local;
pub mod outbox;
pub mod refill;
pub mod registry;
pub mod retire;
pub mod span;
pub mod surplus;
pub mod sweep;
pub mod sweeper;
pub mod thread_heap;
pub mod trim;
