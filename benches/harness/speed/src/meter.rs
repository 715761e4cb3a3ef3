//! The meter: repetitions of one piece of work, timed one by one.

use std::time::{Duration, Instant};

use crate::report::{Report, Task};
use crate::usage;

/// Repetitions before those that are timed. The first is reported by itself, on fresh memory; the second lets
/// caches, branch predictors and the allocator's lists settle.
const WARM_UP: usize = 2;

/// What one repetition took.
#[derive(Clone, Copy)]
struct Repetition {
    wall: Duration,
    cpu: Duration,
    minor_faults: u64,
}

/// Times a row's work.
pub struct Meter {
    scale: usize,
    /// Its memory is taken before anything is timed.
    repetitions: Vec<Repetition>,
    wanted: usize,
    operations: usize,
    resident_bytes: Option<u64>,
}

impl Meter {
    pub fn new(task: &Task) -> Meter {
        let wanted = WARM_UP + task.repetitions.max(1) as usize;
        Meter {
            scale: task.scale.max(1) as usize,
            repetitions: Vec::with_capacity(wanted),
            wanted,
            operations: 1,
            resident_bytes: None,
        }
    }

    /// A count at the scale of this run, never none.
    pub fn count(&self, full: usize) -> usize {
        (full / self.scale).max(1)
    }

    /// Does `work` for as many repetitions as were asked for; each does `operations` operations.
    pub fn time(&mut self, operations: usize, mut work: impl FnMut()) {
        self.operations = operations;
        for _ in 0..self.wanted {
            let (faults, cpu, wall) = (usage::minor_faults(), usage::cpu_time(), Instant::now());
            work();
            let repetition = Repetition {
                wall: wall.elapsed(),
                cpu: usage::cpu_time().saturating_sub(cpu),
                minor_faults: usage::minor_faults() - faults,
            };
            self.repetitions.push(repetition);
        }
    }

    /// Keeps what a row that measures memory measured.
    pub fn resident(&mut self, bytes: Option<u64>) {
        self.resident_bytes = bytes;
    }

    /// The figures of all repetitions.
    pub fn report(&self, allocator: String) -> Report {
        let timed = self.repetitions.get(WARM_UP..).unwrap_or_default();
        let first = self.repetitions.first();
        let each = |time: Duration| time.as_secs_f64() * 1e9 / self.operations as f64;
        let faults: u64 = timed.iter().map(|repetition| repetition.minor_faults).sum();
        Report {
            allocator,
            operations: self.operations as u64,
            wall_ns: each(median(timed.iter().map(|repetition| repetition.wall))),
            cpu_ns: each(median(timed.iter().map(|repetition| repetition.cpu))),
            instructions: None,
            first_wall_ns: each(first.map_or(Duration::ZERO, |first| first.wall)),
            minor_faults: faults as f64 / timed.len().max(1) as f64,
            first_minor_faults: first.map_or(0, |first| first.minor_faults),
            resident_bytes_peak: usage::resident_bytes_peak(),
            resident_bytes: self.resident_bytes,
        }
    }
}

/// The middle one; the later of two in the middle; nothing for none.
fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(scale: u32, repetitions: u32) -> Meter {
        Meter::new(&Task { row: String::new(), scale, repetitions })
    }

    #[test]
    fn work_is_done_for_the_warm_up_and_for_every_repetition() {
        let mut meter = meter(1, 3);
        let mut done = 0;
        meter.time(10, || done += 1);
        assert_eq!(done, WARM_UP + 3);
        assert_eq!(meter.report(String::new()).operations, 10);
    }

    #[test]
    fn counts_are_scaled_and_never_none() {
        assert_eq!((meter(10, 1).count(1_000), meter(10, 1).count(3)), (100, 1));
    }

    #[test]
    fn the_middle_time_counts_whatever_the_order() {
        let times = [9, 1, 5].map(Duration::from_nanos);
        assert_eq!(median(times.into_iter()), Duration::from_nanos(5));
        assert_eq!(median(std::iter::empty()), Duration::ZERO);
    }
}
