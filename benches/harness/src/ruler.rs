//! The ruler: what a workload asks for over time, to the byte, before any rounding.
//!
//! A child that is measured is not asked for its live bytes, since that would be a call to its allocator, and most
//! allocators do not know them. What is asked for does not depend on who answers. So one more child, whose figures
//! stand in no table, counts bytes and allocations; it writes them down after each statement, and a thread of it every few
//! milliseconds between.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contenders::Accounts;
use crate::kernel::clock_ns;
use crate::report::{Asked, Figures, Phase, Report};
use crate::tally::{Counter, Tally};

/// How often the counts are written down.
const TICK: Duration = Duration::from_millis(2);

/// Looks that are kept: some minutes, if nothing is ever the same.
const LOOKS_MAX: usize = 100_000;

/// Counts of the whole process.
pub struct WholeProcess {
    live_bytes: AtomicU64,
    /// The most since somebody looked.
    live_bytes_most: AtomicU64,
    allocations: AtomicU64,
}

impl WholeProcess {
    pub const fn new() -> WholeProcess {
        let [live_bytes, live_bytes_most, allocations] = [const { AtomicU64::new(0) }; 3];
        WholeProcess { live_bytes, live_bytes_most, allocations }
    }

    /// Writes a look down, which begins the most anew. Does not allocate.
    fn look(&self) {
        let mut looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
        let live_bytes = self.live_bytes.load(Relaxed);
        let look = Asked {
            at_ns: clock_ns(),
            live_bytes,
            live_bytes_most: self.live_bytes_most.swap(live_bytes, Relaxed).max(live_bytes),
            allocations: self.allocations.load(Relaxed),
        };
        note(&mut looks, look);
    }
}

impl Default for WholeProcess {
    fn default() -> WholeProcess {
        WholeProcess::new()
    }
}

impl Counter for WholeProcess {
    fn count(&self, asked: usize, given_up: usize) {
        let change = (asked as u64).wrapping_sub(given_up as u64);
        let live_bytes = self.live_bytes.fetch_add(change, Relaxed).wrapping_add(change);
        if asked > given_up {
            self.live_bytes_most.fetch_max(live_bytes, Relaxed);
        }
        self.allocations.fetch_add(u64::from(asked > 0), Relaxed);
    }
}

impl Accounts for Tally<WholeProcess> {
    fn describe(&self) -> String {
        "what is asked for".to_owned()
    }

    /// None; but it is asked for them after each statement, however seldom the thread comes to look.
    fn figures(&self) -> Option<Figures> {
        self.counter().look();
        None
    }

    fn block_bytes(&self) -> Option<u64> {
        Some(self.counter().live_bytes.load(Relaxed))
    }
}

/// A thread that writes the counts down.
pub struct Watch {
    counts: &'static WholeProcess,
    thread: JoinHandle<()>,
}

/// What was written down.
static LOOKS: Mutex<Vec<Asked>> = Mutex::new(Vec::new());

static ENDED: AtomicBool = AtomicBool::new(false);

impl Watch {
    /// Starts watching. What the thread itself needs is taken before it begins.
    pub fn start(counts: &'static WholeProcess) -> Watch {
        LOOKS.lock().unwrap_or_else(PoisonError::into_inner).reserve_exact(LOOKS_MAX);
        // The first look comes before anything else, however late the thread begins.
        counts.look();
        let thread = thread::spawn(move || {
            while !ENDED.load(Relaxed) {
                counts.look();
                thread::sleep(TICK);
            }
        });
        Watch { counts, thread }
    }

    /// Ends it, and hands back what was seen.
    pub fn end(self) -> Vec<Asked> {
        ENDED.store(true, Relaxed);
        let _ = self.thread.join();
        self.counts.look();
        mem::take(&mut LOOKS.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps a look, without allocating. Of a stretch without a change only both ends are kept.
fn note(looks: &mut Vec<Asked>, look: Asked) {
    if let [.., before, last] = looks.as_mut_slice()
        && before.allocations == look.allocations
        && before.live_bytes == look.live_bytes
    {
        *last = look;
    } else if looks.len() < looks.capacity() {
        looks.push(look);
    }
}

/// What a workload asks for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ruler {
    /// Allocations of all statements; a reallocation is one.
    pub allocations: u64,
    /// The most live bytes between the baseline and the drop, over those at the baseline.
    pub live_bytes_peak: u64,
    /// Live bytes over those at the baseline, up to the drop, from which the times count backwards.
    pub curve: Vec<LiveMoment>,
}

/// Live bytes so many nanoseconds after the drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LiveMoment {
    pub after_drop_ns: i64,
    pub live_bytes: u64,
}

impl Ruler {
    /// Reads the ruler child's report; `None` if the child looked at nothing.
    pub fn of(report: &Report) -> Option<Ruler> {
        let phase = |phase| report.samples.iter().find(move |sample| sample.phase == phase);
        let (start_ns, drop_ns) = (phase(Phase::Baseline)?.at_ns, report.drop_ns()?);
        let until = |at_ns| report.asked.iter().rfind(move |asked| asked.at_ns <= at_ns);
        let base = until(start_ns).or(report.asked.first())?;
        // A look comes some milliseconds after the last statement; until the work after the rest nobody allocates.
        let end_ns = phase(Phase::Idle).map_or(drop_ns, |idle| idle.at_ns);
        let end = until(end_ns)?;
        let over = |bytes: u64| bytes.saturating_sub(base.live_bytes);
        let moment = |asked: &Asked| LiveMoment {
            after_drop_ns: (asked.at_ns.cast_signed() - drop_ns.cast_signed()).min(0),
            live_bytes: over(asked.live_bytes_most),
        };
        // The look after the drop still knows the most before it.
        let mut after_drop = report.asked.iter().skip_while(|asked| asked.at_ns <= drop_ns);
        let within =
            report.asked.iter().filter(|asked| (start_ns..=drop_ns).contains(&asked.at_ns));
        let until_drop = within.chain(after_drop.next());
        let at_drop = LiveMoment { after_drop_ns: 0, live_bytes: over(end.live_bytes) };
        Some(Ruler {
            allocations: end.allocations - base.allocations,
            live_bytes_peak: until_drop.clone().map(|asked| over(asked.live_bytes_most)).max()?,
            curve: until_drop.map(moment).chain([at_drop]).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Sample;

    #[test]
    fn a_process_is_counted_across_threads_and_watched() {
        static COUNTS: WholeProcess = WholeProcess::new();
        let watch = Watch::start(&COUNTS);
        COUNTS.count(100, 0);
        thread::scope(|scope| {
            scope.spawn(|| COUNTS.count(0, 40));
        });
        let looks = watch.end();
        let last = *looks.last().expect("a look");
        assert_eq!((last.live_bytes, last.allocations), (60, 1));
        assert_eq!(looks.iter().map(|look| look.live_bytes_most).max(), Some(100));
    }

    #[test]
    fn a_ruler_reads_from_the_baseline_to_the_drop() {
        let sample = |phase, at_ns| Sample { at_ns, ..Sample::blank(phase) };
        let asked = |at_ns, live_bytes, live_bytes_most, allocations| Asked {
            at_ns,
            live_bytes,
            live_bytes_most,
            allocations,
        };
        let report = Report {
            allocator: String::new(),
            survivors_bytes: 0,
            bound_bytes: None,
            samples: vec![
                sample(Phase::Baseline, 10),
                sample(Phase::Statement, 20),
                sample(Phase::Statement, 40),
                sample(Phase::Idle, 60),
                sample(Phase::Afterwards, 90),
            ],
            figures: Vec::new(),
            notes: Vec::new(),
            asked: vec![
                asked(5, 100, 100, 3),
                asked(15, 150, 150, 10),
                asked(25, 880, 900, 90),
                asked(45, 130, 1_300, 95),
                asked(80, 7_000, 8_000, 900),
            ],
            maps: Vec::new(),
        };
        let ruler = Ruler::of(&report).expect("looks");
        assert_eq!((ruler.allocations, ruler.live_bytes_peak), (92, 1_200));
        let curve: Vec<(i64, u64)> =
            ruler.curve.iter().map(|moment| (moment.after_drop_ns, moment.live_bytes)).collect();
        assert_eq!(curve, [(-25, 50), (-15, 800), (0, 1_200), (0, 30)]);
    }
}
