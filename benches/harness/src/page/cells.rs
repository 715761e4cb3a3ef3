//! What was measured, as the figures that charts show: one cell for each contender of a workload that has not failed.

use super::ink::Ink;
use crate::compare::{Comparison, difference};
use crate::report::{Moment, Phase, Report};
use crate::results::{Outcome, Run, WorkloadResult};
use crate::returned::Returned;
use crate::ruler::Ruler;

const MIB: f64 = (1 << 20) as f64;

/// One contender's outcome in one workload.
pub struct Cell<'a> {
    pub contender: &'a str,
    pub ink: Ink,
    pub comparison: &'a Comparison,
    returned: Option<&'a Returned>,
    pub report: &'a Report,
    /// MiB over the baseline by seconds since the drop, from the baseline to the end of the rest.
    pub curve: Vec<(f64, f64)>,
}

/// The cells of a workload, in the order of the tables.
pub fn of<'a>(result: &'a WorkloadResult) -> Vec<Cell<'a>> {
    let cell = |run: &'a Run| match &run.outcome {
        Outcome::Measured { comparison, returned, report, curve } => Some(Cell {
            contender: &run.contender,
            ink: Ink::contender(&run.contender),
            comparison,
            returned: returned.as_deref(),
            report,
            curve: over_time(report, comparison, curve),
        }),
        Outcome::Failed { .. } => None,
    };
    result.runs.iter().filter_map(cell).collect()
}

fn over_time(report: &Report, comparison: &Comparison, curve: &[Moment]) -> Vec<(f64, f64)> {
    let samples = &report.samples;
    let (Some(first), Some(drop_ns), Some(base)) =
        (samples.first(), report.drop_ns(), comparison.baseline_bytes)
    else {
        return Vec::new();
    };
    let rested = samples.iter().rfind(|sample| sample.phase == Phase::Idle);
    let end_ns = rested.map_or(drop_ns, |sample| sample.at_ns);
    let start = Some((seconds(first.at_ns, drop_ns), 0.0));
    let end = rested.and_then(|sample| {
        Some((seconds(end_ns, drop_ns), mib(difference(sample.resident_bytes, Some(base))?)))
    });
    let between = curve.iter().filter(|moment| (first.at_ns..end_ns).contains(&moment.at_ns));
    let between = between.map(|moment| {
        let over = moment.resident_bytes.cast_signed() - base.cast_signed();
        (seconds(moment.at_ns, drop_ns), mib(over))
    });
    start.into_iter().chain(between).chain(end).collect()
}

fn seconds(at_ns: u64, drop_ns: u64) -> f64 {
    (at_ns.cast_signed() - drop_ns.cast_signed()) as f64 / 1e9
}

pub fn mib(bytes: i64) -> f64 {
    bytes as f64 / MIB
}

impl Cell<'_> {
    /// MiB over the baseline after the rest.
    pub fn idle_mib(&self) -> Option<f64> {
        let bytes = self.returned.and_then(|returned| returned.idle_5s_bytes);
        bytes.or(self.comparison.idle_bytes).map(mib)
    }

    pub fn peak_mib(&self) -> Option<f64> {
        self.comparison.peak_bytes.map(mib)
    }

    /// MiB of the OS pages that hold a survivor after the drop.
    pub fn bound_mib(&self) -> Option<f64> {
        self.report.bound_bytes.map(|bytes| bytes as f64 / MIB)
    }

    /// Faults of the work after the rest.
    pub fn refaults(&self) -> Option<f64> {
        Some(self.returned?.refaults? as f64)
    }

    /// System calls about memory, where the allocator counts them.
    pub fn system_calls(&self) -> Option<f64> {
        let figures = || self.report.samples.iter().filter_map(|sample| sample.allocator);
        let told = self.returned.and_then(|returned| returned.system_calls);
        let counted =
            || Some(figures().next_back()?.system_calls() - figures().next()?.system_calls());
        told.or_else(counted).map(|calls| calls as f64)
    }

    /// Processor seconds of all statements and of the rest.
    pub fn cpu_s(&self) -> f64 {
        self.returned.map_or(self.comparison.cpu_ns, |returned| returned.cpu_ns) as f64 / 1e9
    }

    /// Processor nanoseconds for each allocation, with its free and with all that the program does with it.
    pub fn cpu_ns_per_allocation(&self, ruler: Option<&Ruler>) -> Option<f64> {
        let allocations = ruler.map(|ruler| ruler.allocations).filter(|&count| count > 0)?;
        Some(self.cpu_s() * 1e9 / allocations as f64)
    }
}

/// The lowest bound of all contenders: each has its own, by where it put the survivors.
pub fn lowest_bound_mib(cells: &[Cell]) -> Option<f64> {
    cells.iter().filter_map(Cell::bound_mib).min_by(f64::total_cmp)
}

/// The longest rest of a cell, in whole seconds.
pub fn rest_s(cells: &[Cell]) -> u64 {
    let idled = |cell: &Cell| cell.report.samples.iter().filter_map(|it| it.idled_s).max();
    cells.iter().filter_map(idled).max().unwrap_or(1)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::report::Sample;

    /// A run that reaches 60 MiB, falls to 30 at the drop, and rests at 12, over a baseline of 2.
    pub fn run(contender: &str) -> Run {
        let sample = |phase, at_ms: u64, resident: u64, idled_s| Sample {
            statement: "drop(objects)".into(),
            at_ns: at_ms * 1_000_000,
            resident_bytes: Some(resident << 20),
            idled_s,
            cpu_ns: 4_000_000,
            ..Sample::blank(phase)
        };
        let report = Report {
            allocator: contender.to_owned(),
            survivors_bytes: 1 << 20,
            bound_bytes: Some(8 << 20),
            samples: vec![
                sample(Phase::Baseline, 10, 2, None),
                sample(Phase::Statement, 500, 62, None),
                sample(Phase::Statement, 1_010, 32, None),
                sample(Phase::Idle, 2_010, 20, Some(1)),
                sample(Phase::Idle, 3_010, 18, Some(2)),
                sample(Phase::Idle, 6_010, 14, Some(5)),
                sample(Phase::Afterwards, 7_000, 40, None),
            ],
            figures: Vec::new(),
            notes: Vec::new(),
            asked: Vec::new(),
            maps: Vec::new(),
        };
        let moment = |at_ms: u64, resident: u64| Moment {
            at_ns: at_ms * 1_000_000,
            resident_bytes: resident << 20,
        };
        let curve = vec![moment(5, 1), moment(510, 62), moment(1_510, 22), moment(6_500, 40)];
        Run::measured(contender, report, curve)
    }

    pub fn result(runs: Vec<Run>) -> WorkloadResult {
        WorkloadResult { workload: "survivors-1".into(), reference: Vec::new(), runs, ruler: None }
    }

    #[test]
    fn a_curve_goes_from_the_baseline_to_the_end_of_the_rest() {
        let result = result(vec![run("system")]);
        let cells = of(&result);
        assert_eq!(cells[0].curve, [(-1.0, 0.0), (-0.5, 60.0), (0.5, 20.0), (5.0, 12.0)]);
        assert_eq!((cells[0].idle_mib(), cells[0].peak_mib()), (Some(12.0), Some(60.0)));
        assert_eq!((rest_s(&cells), lowest_bound_mib(&cells)), (5, Some(8.0)));
    }

    #[test]
    fn an_allocation_costs_its_share_of_the_processor_time() {
        let result = result(vec![run("system"), Run::failed("keep-arenas", "no".into())]);
        let cells = of(&result);
        assert_eq!(cells.len(), 1);
        let ruler = Ruler { allocations: 1_000, live_bytes_peak: 1, curve: Vec::new() };
        // Two statements and three looks at the rest, 4 ms each.
        assert_eq!(cells[0].cpu_ns_per_allocation(Some(&ruler)), Some(20_000.0));
        assert_eq!(cells[0].cpu_ns_per_allocation(None), None);
    }
}
