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
    /// The lock that a child holds while it works, where children run beside each other: only their rests overlap.
    pub turn: Option<PathBuf>,
    /// Whether maps of the heap are kept on the way, which is a call to the allocator that others do without.
    pub maps: bool,
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
    /// When the look was taken: see [`kernel::clock_ns`](crate::kernel::clock_ns).
    #[serde(default)]
    pub at_ns: u64,
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

#[cfg(test)]
impl Sample {
    /// A look that saw nothing, for tests to fill in.
    pub fn blank(phase: Phase) -> Sample {
        Sample {
            phase,
            statement: Cow::Borrowed(""),
            at_ns: 0,
            resident_bytes: None,
            bound_bytes: None,
            idled_s: None,
            resident_bytes_peak: None,
            allocator: None,
            wall_ns: 0,
            cpu_ns: 0,
            minor_faults: 0,
        }
    }
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
    /// Live bytes and allocations over time, where the allocator counts both: that of the ruler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<HeapMap>,
}

impl Report {
    /// From now on all times count from `start_ns` on the same clock.
    pub fn count_from(&mut self, start_ns: u64) {
        let of_samples = self.samples.iter_mut().map(|sample| &mut sample.at_ns);
        let of_asked = self.asked.iter_mut().map(|asked| &mut asked.at_ns);
        for at_ns in of_samples.chain(of_asked) {
            *at_ns = at_ns.saturating_sub(start_ns);
        }
    }

    /// When the last statement, which drops, was done.
    pub fn drop_ns(&self) -> Option<u64> {
        let drop = self.samples.iter().rfind(|sample| sample.phase == Phase::Statement);
        drop.map(|sample| sample.at_ns)
    }
}

/// Resident memory at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moment {
    pub at_ns: u64,
    pub resident_bytes: u64,
}

/// What a program has asked for until one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub at_ns: u64,
    pub live_bytes: u64,
    /// The most since the look before.
    pub live_bytes_most: u64,
    pub allocations: u64,
}

/// A heap at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeapMap {
    /// Which moment.
    pub moment: Cow<'static, str>,
    /// In order of their addresses.
    pub arenas: Vec<Vec<Place>>,
}

/// A run of slots of one arena that serves one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    pub kind: PlaceKind,
    /// Slots of 4 KiB.
    pub slots: u16,
    /// Of a pool; zero for others.
    pub block_bytes: u32,
    pub blocks_used: u32,
    pub blocks_capacity: u32,
    /// OS pages of the place that have gone home, or were never touched.
    pub os_pages_purged: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceKind {
    Records,
    Pool,
    Span,
    Free,
}
