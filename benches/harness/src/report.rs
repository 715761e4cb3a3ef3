//! What the parent tells a child, and what the child answers: plain data, as JSON between the two.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One child's work: a workload, its size and its places.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub workload: String,
    /// Every element count is divided by this.
    pub scale: u64,
    /// A fresh folder of this child, removed after it.
    pub scratch: PathBuf,
    /// The folder with what the parent prepared for all children of this workload.
    pub prepared: PathBuf,
    /// The folders that `index` reads.
    pub inputs: Vec<PathBuf>,
    /// Milliseconds in a second of idling: 1,000, but for tests that cannot wait.
    pub second_ms: u64,
}

impl Task {
    /// An element count at the scale of this run, never none.
    pub fn count(&self, full: u64) -> u64 {
        (full / self.scale).max(1)
    }

    /// A time as long as a second, or as short as this run makes it.
    pub fn second(&self) -> Duration {
        Duration::from_millis(self.second_ms)
    }
}

/// An allocator's own figures at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub live_bytes: u64,
    pub live_bytes_peak: u64,
    pub free_bytes: u64,
    pub mapped_bytes: u64,
    /// System calls about memory since the process began, by what they do.
    pub maps: u64,
    pub unmaps: u64,
    pub remaps: u64,
    pub advises: u64,
}

impl Figures {
    /// All system calls about memory.
    pub fn system_calls(&self) -> u64 {
        self.maps + self.unmaps + self.remaps + self.advises
    }
}

/// What a sample was taken after.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing yet: everything else is counted from here.
    Baseline,
    /// A statement. The last one of a workload is its drop.
    Statement,
    /// A pause in which nobody called the allocator.
    Idle,
    /// A fixed piece of work after the idling, done twice.
    Afterwards,
}

/// The state of the process after one statement, and what the statement cost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub phase: Phase,
    /// The statement's source text.
    pub statement: Cow<'static, str>,
    pub resident_bytes: Option<u64>,
    /// Bytes of the OS pages that held a survivor at this moment, where the workload tells its survivors.
    pub bound_bytes: Option<u64>,
    /// Seconds idled since the drop, if this is a pause.
    pub idled_s: Option<u64>,
    /// The most resident bytes since the baseline, also in the middle of a statement.
    pub resident_bytes_peak: Option<u64>,
    pub allocator: Option<Figures>,
    /// This and the next two are the statement's alone, without the looking.
    pub wall_ns: u64,
    pub cpu_ns: u64,
    pub minor_faults: u64,
}

/// A further figure that a workload gives; what it counts stands with the workload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figure {
    pub name: Cow<'static, str>,
    pub value: Option<f64>,
}

/// All that one child measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The allocator and its setting, as it says itself.
    pub allocator: String,
    /// Bytes that the workload still holds at the end, by its own count of what it asked for.
    pub survivors_bytes: u64,
    /// Bytes of all OS pages with a survivor at the end, where the workload tells its survivors.
    pub bound_bytes: Option<u64>,
    pub samples: Vec<Sample>,
    pub figures: Vec<Figure>,
    /// Sentences for the reader, such as how much input was read.
    pub notes: Vec<String>,
}
