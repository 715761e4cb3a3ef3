//! Samples to figures: the one line that a contender gets in a workload's comparison.

use serde::{Deserialize, Serialize};

use crate::report::{Phase, Report, Sample};

/// What a contender held on to, in bytes over its own baseline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Resident before the first statement; not over anything.
    pub baseline_bytes: Option<u64>,
    /// The most resident at any moment, also within a statement.
    pub peak_bytes: Option<i64>,
    /// Resident after the last statement, which drops.
    pub after_drop_bytes: Option<i64>,
    /// Resident after idling.
    pub idle_bytes: Option<i64>,
    /// The allocator's most live bytes.
    pub high_water_bytes: Option<i64>,
    /// Resident after the drop over the survivors' bytes; `None` when nothing survives.
    pub retained_over_live: Option<f64>,
    /// These three are of all statements together.
    pub wall_ns: u64,
    pub cpu_ns: u64,
    pub minor_faults: u64,
}

impl Comparison {
    pub fn of(report: &Report) -> Comparison {
        let samples = &report.samples;
        let phase = |phase| move |sample: &&Sample| sample.phase == phase;
        let baseline = samples.iter().find(phase(Phase::Baseline));
        let after_drop = samples.iter().rfind(phase(Phase::Statement));
        let idle = samples.iter().rfind(phase(Phase::Idle));
        let statements = || samples.iter().filter(phase(Phase::Statement));

        let baseline_bytes = baseline.and_then(|sample| sample.resident_bytes);
        let over = |bytes: Option<u64>| difference(bytes, baseline_bytes);
        let after_drop_bytes = over(after_drop.and_then(|sample| sample.resident_bytes));
        Comparison {
            baseline_bytes,
            peak_bytes: over(samples.iter().filter_map(most_resident).max()),
            after_drop_bytes,
            idle_bytes: over(idle.and_then(|sample| sample.resident_bytes)),
            high_water_bytes: difference(
                samples.iter().filter_map(|sample| Some(sample.allocator?.live_bytes_peak)).max(),
                baseline.and_then(|sample| Some(sample.allocator?.live_bytes)),
            ),
            retained_over_live: ratio(after_drop_bytes, report.survivors_bytes),
            wall_ns: statements().map(|sample| sample.wall_ns).sum(),
            cpu_ns: statements().map(|sample| sample.cpu_ns).sum(),
            minor_faults: statements().map(|sample| sample.minor_faults).sum(),
        }
    }
}

/// The most resident bytes that a sample knows of: the kernel's peak, or what was seen where it tells none.
fn most_resident(sample: &Sample) -> Option<u64> {
    sample.resident_bytes.max(sample.resident_bytes_peak)
}

/// `bytes` over `base`, where both are known. Negative where memory of the start went home too.
pub fn difference(bytes: Option<u64>, base: Option<u64>) -> Option<i64> {
    Some(bytes?.cast_signed() - base?.cast_signed())
}

fn ratio(retained: Option<i64>, live: u64) -> Option<f64> {
    retained.filter(|_| live > 0).map(|retained| retained as f64 / live as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Figures;

    const MIB: u64 = 1 << 20;

    fn sample(phase: Phase, resident: u64, peak: u64, live: u64, live_peak: u64) -> Sample {
        Sample {
            phase,
            statement: "".into(),
            at_ns: 0,
            resident_bytes: Some(resident * MIB),
            resident_bytes_peak: Some(peak * MIB),
            bound_bytes: None,
            idled_s: None,
            allocator: Some(Figures {
                live_bytes: live * MIB,
                live_bytes_peak: live_peak * MIB,
                free_bytes: 0,
                mapped_bytes: resident * MIB,
                maps: 0,
                unmaps: 0,
                remaps: 0,
                advises: 0,
            }),
            wall_ns: 5,
            cpu_ns: 3,
            minor_faults: 2,
        }
    }

    fn report(survivors_bytes: u64) -> Report {
        Report {
            allocator: String::new(),
            survivors_bytes,
            bound_bytes: None,
            samples: vec![
                sample(Phase::Baseline, 2, 2, 1, 1),
                sample(Phase::Statement, 50, 70, 40, 60),
                sample(Phase::Statement, 12, 70, 4, 60),
                sample(Phase::Idle, 7, 70, 4, 60),
            ],
            figures: Vec::new(),
            notes: Vec::new(),
            asked: Vec::new(),
            maps: Vec::new(),
        }
    }

    #[test]
    fn every_figure_is_over_the_baseline() {
        let comparison = Comparison::of(&report(4 * MIB));
        let mib = |bytes: Option<i64>| bytes.map(|bytes| bytes / MIB as i64);
        assert_eq!(comparison.baseline_bytes, Some(2 * MIB));
        assert_eq!(mib(comparison.peak_bytes), Some(68));
        assert_eq!(mib(comparison.after_drop_bytes), Some(10));
        assert_eq!(mib(comparison.idle_bytes), Some(5));
        assert_eq!(mib(comparison.high_water_bytes), Some(59));
        assert_eq!(comparison.retained_over_live, Some(2.5));
    }

    #[test]
    fn the_baseline_and_the_idling_cost_no_time() {
        let comparison = Comparison::of(&report(0));
        assert_eq!((comparison.wall_ns, comparison.cpu_ns, comparison.minor_faults), (10, 6, 4));
    }

    #[test]
    fn nothing_live_has_no_ratio() {
        assert_eq!(Comparison::of(&report(0)).retained_over_live, None);
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_not_known() {
        let mut report = report(1);
        for sample in &mut report.samples {
            (sample.resident_bytes, sample.resident_bytes_peak, sample.allocator) =
                (None, None, None);
        }
        let comparison = Comparison::of(&report);
        assert_eq!((comparison.peak_bytes, comparison.retained_over_live), (None, None));
        assert_eq!(comparison.high_water_bytes, None);
    }

    #[test]
    fn memory_below_the_baseline_is_negative() {
        assert_eq!(difference(Some(1), Some(3)), Some(-2));
    }
}
