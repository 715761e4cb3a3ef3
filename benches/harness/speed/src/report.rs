//! What the tool tells a child, and what the child answers: plain data, as JSON between the two.

use serde::{Deserialize, Serialize};

/// One child's work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// A name of [`rows::ALL`](crate::rows::ALL).
    pub row: String,
    /// Every count of operations is divided by this.
    pub scale: u32,
    /// Repetitions that are timed, at least one.
    pub repetitions: u32,
}

/// What one child measured. Times are nanoseconds for one operation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The allocator, as it says itself.
    pub allocator: String,
    /// Operations in one repetition.
    pub operations: u64,
    /// The median of the timed repetitions.
    pub wall_ns: f64,
    /// The same of the time on all processors, in user code and in the kernel, threads of the allocator's own included.
    pub cpu_ns: f64,
    /// Instructions for one operation, in user code, if whoever ran the child counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<f64>,
    /// The first repetition, on memory that nobody has touched yet; not among those timed.
    pub first_wall_ns: f64,
    /// Page faults without disk in a timed repetition, on average.
    pub minor_faults: f64,
    /// The same in the first repetition.
    pub first_minor_faults: u64,
    /// The most resident memory since the program's start.
    pub resident_bytes_peak: Option<u64>,
    /// What a row that measures memory measured.
    pub resident_bytes: Option<u64>,
}
