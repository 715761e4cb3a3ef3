//! Resident memory at moments within a workload, against the bound at each.

use super::{align_numbers, table};
use crate::compare::difference;
use crate::report::{Report, Sample};
use crate::results::Run;
use crate::returned::over_bound;
use crate::text::{NONE, mib, times};

pub const TITLE: &str =
    "Moment by moment: MiB resident over the baseline / MiB of the bound, and their ratio";

/// A line for each moment, a column for each contender, and the worst ratio of each kind of moment; `None` if no
/// moment was held against a bound.
pub fn moments(runs: &[Run]) -> Option<String> {
    let reports: Vec<(&str, &Report)> =
        runs.iter().filter_map(|run| Some((run.contender.as_str(), run.report()?))).collect();
    let names: Vec<&str> = held(reports.first()?.1).map(|sample| &*sample.statement).collect();
    if names.is_empty() {
        return None;
    }
    let heads: Vec<&str> = [""].into_iter().chain(reports.iter().map(|(name, _)| *name)).collect();
    let mut table = table(&heads);
    align_numbers(&mut table, 1..heads.len());
    for (index, name) in names.iter().enumerate() {
        let nth = names[..=index].iter().filter(|other| other == &name).count();
        let mut row = vec![format!("{name} {nth}")];
        row.extend(reports.iter().map(|(_, report)| cell(report, index)));
        table.add_row(row);
    }
    let mut kinds = names.clone();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let mut row = vec![format!("worst {kind}")];
        row.extend(
            reports
                .iter()
                .map(|(_, report)| worst(report, kind).map_or_else(|| NONE.to_owned(), times)),
        );
        table.add_row(row);
    }
    Some(table.trim_fmt())
}

/// The moments at which the workload told what it held.
fn held(report: &Report) -> impl Iterator<Item = &Sample> {
    report.samples.iter().filter(|sample| sample.bound_bytes.is_some())
}

fn cell(report: &Report, index: usize) -> String {
    let told = held(report).nth(index).and_then(|sample| {
        let resident = resident(report, sample)?;
        let ratio = over_bound(Some(resident), sample.bound_bytes)?;
        Some((resident, sample.bound_bytes?, ratio))
    });
    told.map_or_else(
        || NONE.to_owned(),
        |(resident, bound, ratio)| {
            format!("{}/{} {}", super::mib_over(resident), mib(bound), times(ratio))
        },
    )
}

/// The highest ratio at moments of this name.
fn worst(report: &Report, name: &str) -> Option<f64> {
    held(report)
        .filter(|sample| sample.statement == name)
        .filter_map(|sample| over_bound(resident(report, sample), sample.bound_bytes))
        .max_by(f64::total_cmp)
}

/// Resident bytes over the baseline.
fn resident(report: &Report, sample: &Sample) -> Option<i64> {
    difference(sample.resident_bytes, report.samples.first()?.resident_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Phase;

    fn sample(statement: &'static str, resident: u64, bound: Option<u64>) -> Sample {
        Sample {
            statement: statement.into(),
            resident_bytes: Some(resident << 20),
            bound_bytes: bound.map(|bound| bound << 20),
            ..Sample::blank(Phase::Statement)
        }
    }

    fn run(samples: Vec<Sample>) -> Run {
        let report = Report {
            allocator: String::new(),
            survivors_bytes: 0,
            bound_bytes: None,
            samples,
            figures: Vec::new(),
            notes: Vec::new(),
            asked: Vec::new(),
            maps: Vec::new(),
        };
        Run::measured("system", report, Vec::new())
    }

    #[test]
    fn every_moment_stands_against_its_bound_and_the_worst_of_each_kind_below() {
        let runs = [run(vec![
            sample("(baseline)", 2, None),
            sample("peak", 12, Some(10)),
            sample("trough", 5, Some(1)),
            sample("peak", 17, Some(10)),
        ])];
        let table = moments(&runs).expect("moments");
        let lines: Vec<String> = table.lines().map(crate::text::one_line).collect();
        assert_eq!(
            lines[2..],
            [
                "peak 1 10.0/10.0 1.00",
                "trough 1 3.0/1.0 3.00",
                "peak 2 15.0/10.0 1.50",
                "worst peak 1.50",
                "worst trough 3.00",
            ]
        );
        assert_eq!(moments(&[run(vec![sample("(baseline)", 2, None)])]), None);
    }
}
