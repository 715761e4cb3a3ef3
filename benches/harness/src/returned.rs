//! What was given back: the figures of one contender in a workload that ends with a rest.

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, difference};
use crate::report::{Phase, Report, Sample};

/// The target is this many times the bound,
const TARGET_PERCENT_OF_BOUND: i64 = 115;

/// and this much on top.
const TARGET_SLACK_BYTES: i64 = 3 << 20; // 3 MiB

/// The target in words, for the table's foot.
pub const TARGET: &str = "idle 5 s <= 1.15 x bound + 3 MiB";

/// Resident bytes are over the contender's own baseline, as in [`Comparison`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Returned {
    /// Resident after so many seconds without a call to the allocator.
    pub idle_1s_bytes: Option<i64>,
    pub idle_2s_bytes: Option<i64>,
    pub idle_5s_bytes: Option<i64>,
    /// Bytes of all OS pages that hold a survivor.
    pub bound_bytes: Option<u64>,
    /// The idle process after 5 s over the bound; `None` where nothing survives.
    pub idle_over_bound: Option<f64>,
    pub target_met: Option<bool>,
    /// Minor faults of the piece of work after the rest: what it must fault in, and so what it must fault in
    /// again because it was given back. Where enough was kept for the work there is none.
    pub refaults: Option<u64>,
    /// System calls about memory from the baseline to the end of the rest, where the allocator tells.
    pub system_calls: Option<u64>,
    /// Processor time of all statements and of the rest: giving back while idle is not free.
    pub cpu_ns: u64,
}

impl Returned {
    /// `None` for a workload that does not rest.
    pub fn of(report: &Report, comparison: &Comparison) -> Option<Returned> {
        let idle = |seconds| {
            let found = report.samples.iter().find(|sample| sample.idled_s == Some(seconds));
            found.map(|sample| difference(sample.resident_bytes, comparison.baseline_bytes))
        };
        let idle_5s_bytes = idle(5)?;
        Some(Returned {
            idle_1s_bytes: idle(1)?,
            idle_2s_bytes: idle(2)?,
            idle_5s_bytes,
            bound_bytes: report.bound_bytes,
            idle_over_bound: over_bound(idle_5s_bytes, report.bound_bytes),
            target_met: target_met(idle_5s_bytes, report.bound_bytes),
            refaults: refaults(&report.samples),
            system_calls: system_calls(&report.samples),
            cpu_ns: comparison.cpu_ns
                + of_phase(&report.samples, Phase::Idle).map(|idle| idle.cpu_ns).sum::<u64>(),
        })
    }
}

/// Resident bytes over the bound, where there is a bound.
pub fn over_bound(resident: Option<i64>, bound: Option<u64>) -> Option<f64> {
    let bound = bound.filter(|&bound| bound > 0)?;
    Some(resident? as f64 / bound as f64)
}

fn target_met(resident: Option<i64>, bound: Option<u64>) -> Option<bool> {
    let target = bound?.cast_signed() * TARGET_PERCENT_OF_BOUND / 100 + TARGET_SLACK_BYTES;
    Some(resident? <= target)
}

fn refaults(samples: &[Sample]) -> Option<u64> {
    Some(of_phase(samples, Phase::Afterwards).next()?.minor_faults)
}

fn system_calls(samples: &[Sample]) -> Option<u64> {
    let first = of_phase(samples, Phase::Baseline).next()?.allocator?;
    let last = of_phase(samples, Phase::Idle).last()?.allocator?;
    Some(last.system_calls() - first.system_calls())
}

fn of_phase(samples: &[Sample], phase: Phase) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| sample.phase == phase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Figures;

    const MIB: u64 = 1 << 20;

    fn sample(
        phase: Phase,
        idled_s: Option<u64>,
        resident: u64,
        faults: u64,
        calls: u64,
    ) -> Sample {
        Sample {
            phase,
            statement: "".into(),
            at_ns: 0,
            resident_bytes: Some(resident * MIB),
            bound_bytes: None,
            idled_s,
            resident_bytes_peak: None,
            allocator: Some(Figures {
                live_bytes: 0,
                live_bytes_peak: 0,
                free_bytes: 0,
                mapped_bytes: 0,
                maps: calls,
                unmaps: 1,
                remaps: 0,
                advises: calls,
            }),
            wall_ns: 5,
            cpu_ns: 3,
            minor_faults: faults,
        }
    }

    fn report(bound: u64) -> Report {
        Report {
            allocator: String::new(),
            survivors_bytes: 1,
            bound_bytes: Some(bound * MIB),
            samples: vec![
                sample(Phase::Baseline, None, 2, 0, 1),
                sample(Phase::Statement, None, 60, 9, 2),
                sample(Phase::Idle, Some(1), 52, 0, 2),
                sample(Phase::Idle, Some(2), 42, 0, 2),
                sample(Phase::Idle, Some(5), 28, 0, 7),
                sample(Phase::Afterwards, None, 40, 90, 9),
                sample(Phase::Afterwards, None, 40, 20, 9),
            ],
            figures: Vec::new(),
            notes: Vec::new(),
            asked: Vec::new(),
            maps: Vec::new(),
        }
    }

    fn returned(report: &Report) -> Option<Returned> {
        Returned::of(report, &Comparison::of(report))
    }

    #[test]
    fn idling_is_seen_after_one_two_and_five_seconds_and_costs_time() {
        let returned = returned(&report(20)).expect("a rest");
        let mib = [returned.idle_1s_bytes, returned.idle_2s_bytes, returned.idle_5s_bytes]
            .map(|bytes| bytes.map(|bytes| bytes / MIB as i64));
        assert_eq!(mib, [Some(50), Some(40), Some(26)]);
        assert_eq!(returned.idle_over_bound, Some(1.3));
        assert_eq!((returned.refaults, returned.system_calls), (Some(90), Some(12)));
        assert_eq!(returned.cpu_ns, 4 * 3);
    }

    #[test]
    fn the_target_is_the_bound_and_a_seventh_and_three_mib() {
        assert_eq!(returned(&report(20)).and_then(|it| it.target_met), Some(true));
        assert_eq!(returned(&report(19)).and_then(|it| it.target_met), Some(false));
        assert_eq!(target_met(Some(3 << 20), Some(0)), Some(true));
        assert_eq!(target_met(Some((3 << 20) + 1), Some(0)), Some(false));
        assert_eq!(target_met(None, Some(0)), None);
    }

    #[test]
    fn nothing_that_survives_has_no_ratio_and_no_rest_no_figures() {
        assert_eq!(over_bound(Some(5), Some(0)), None);
        let mut report = report(20);
        report.samples.truncate(2);
        assert_eq!(returned(&report), None);
    }
}
