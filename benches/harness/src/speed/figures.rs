//! Reports to figures: medians, ratios, means, and what they say of the targets.
//!
//! A ratio is highwater's figure over another's, so below 1 highwater needs less. In time it is the median of the
//! rounds' ratios, each of two processes that ran at about one time, so that a machine that slows down in the
//! middle of a session spoils no ratio.

use clap::ValueEnum;
use highwater_speed::report::Report;
use highwater_speed::rows::{self, Group, Row};
use serde::Serialize;

use super::contenders::{self, Kind};
use super::measure::{Measured, Run};

/// What a row is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// That on the wall.
    Wall,
    /// That of all processors: less disturbed by other programs, blind to waiting.
    Cpu,
    /// No time, but the instructions that callgrind counts: the same in every run, and blind to caches, to waiting and to
    /// the kernel. Needs valgrind.
    Instructions,
}

impl Clock {
    pub fn of(self, report: &Report) -> f64 {
        match self {
            Clock::Wall => report.wall_ns,
            Clock::Cpu => report.cpu_ns,
            Clock::Instructions => report.instructions.unwrap_or_default(),
        }
    }

    /// For headings: what it measures by.
    pub fn phrase(self) -> &'static str {
        match self {
            Clock::Wall => "wall time",
            Clock::Cpu => "CPU time",
            Clock::Instructions => "instructions",
        }
    }

    /// A figure as it can be read.
    pub fn text(self, figure: f64) -> String {
        match (self, figure) {
            (Clock::Instructions, count) if count < 1e3 => format!("{count:.1}"),
            (Clock::Instructions, count) if count < 1e6 => format!("{:.1} thousand", count / 1e3),
            (Clock::Instructions, count) => format!("{:.1} million", count / 1e6),
            (_, ns) if ns < 1e3 => format!("{ns:.1} ns"),
            (_, ns) if ns < 1e6 => format!("{:.1} \u{b5}s", ns / 1e3),
            (_, ns) => format!("{:.1} ms", ns / 1e6),
        }
    }
}

/// Highwater's time over another's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median of the rounds.
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// Where highwater stands on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// At most 1.00.
    Ahead,
    /// Above 1.00 by no more than the tolerance.
    Level,
    Behind,
}

impl Verdict {
    pub fn of(ratio: f64, tolerance: f64) -> Verdict {
        if ratio <= 1.0 {
            Verdict::Ahead
        } else if ratio <= 1.0 + tolerance {
            Verdict::Level
        } else {
            Verdict::Behind
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Verdict::Ahead => "ahead",
            Verdict::Level => "level",
            Verdict::Behind => "BEHIND",
        }
    }
}

/// One row under one contender; medians of the rounds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Cell {
    pub contender: &'static str,
    pub ns: f64,
    /// Highwater's time over this contender's; none where highwater has none.
    pub ratio: Option<Ratio>,
    pub resident_bytes_peak: Option<u64>,
    /// What a row that measures memory measured.
    pub resident_bytes: Option<u64>,
    pub minor_faults: f64,
    pub first_minor_faults: f64,
}

/// One row.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RowFigures {
    pub row: &'static str,
    /// Those that took part in every round.
    pub cells: Vec<Cell>,
    /// Of those that are not highwater, the one over which highwater's ratio is the greatest.
    pub fastest: Option<&'static str>,
    pub time: Option<Verdict>,
    /// The size-class peer with the least memory at the peak.
    pub leanest: Option<&'static str>,
    /// Highwater's peak over that peer's.
    pub memory_ratio: Option<f64>,
    pub memory: Option<Verdict>,
}

impl RowFigures {
    pub fn of(measured: &Measured, clock: Clock, tolerance: f64) -> RowFigures {
        let own = contenders::ALL[0].name;
        let own_run = measured.complete(own);
        let cells: Vec<Cell> = measured
            .runs
            .iter()
            .filter_map(|run| measured.complete(run.contender))
            .map(|run| cell(run, own_run, clock))
            .collect();
        let others = |wanted: fn(Kind) -> bool| {
            cells.iter().filter(move |cell| wanted(contenders::kind(cell.contender)))
        };
        // By the ratio and not by the time: else a row could count as won though a ratio in it says otherwise.
        let fastest = others(|kind| matches!(kind, Kind::System | Kind::SizeClassPeer))
            .filter_map(|cell| Some((cell, cell.ratio?.median)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(cell, _)| cell);
        let leanest = others(|kind| kind == Kind::SizeClassPeer)
            .filter(|cell| cell.resident_bytes_peak.is_some())
            .min_by_key(|cell| cell.resident_bytes_peak);
        let own_peak = cells
            .iter()
            .find(|cell| cell.contender == own)
            .and_then(|cell| cell.resident_bytes_peak);
        let memory_ratio =
            leanest.and_then(|cell| Some(own_peak? as f64 / cell.resident_bytes_peak? as f64));
        let time = fastest.and_then(|cell| cell.ratio);
        RowFigures {
            row: measured.row,
            fastest: fastest.map(|cell| cell.contender),
            time: time.map(|ratio| Verdict::of(ratio.median, tolerance)),
            leanest: leanest.map(|cell| cell.contender),
            memory_ratio,
            memory: memory_ratio.map(|ratio| Verdict::of(ratio, tolerance)),
            cells,
        }
    }

    pub fn cell(&self, contender: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.contender == contender)
    }

    /// Highwater's time over this contender's.
    pub fn ratio(&self, contender: &str) -> Option<Ratio> {
        self.cell(contender)?.ratio
    }

    /// The row's entry in the table of rows.
    pub fn entry(&self) -> &'static Row {
        rows::find(self.row).expect("figures are made of rows of the table")
    }
}

fn cell(run: &Run, own: Option<&Run>, clock: Clock) -> Cell {
    let middle = |figure: fn(&Report) -> f64| median(run.rounds.iter().map(figure)).unwrap_or(0.0);
    let bytes = |figure: fn(&Report) -> Option<u64>| {
        median(run.rounds.iter().filter_map(figure).map(|bytes| bytes as f64))
            .map(|bytes| bytes as u64)
    };
    Cell {
        contender: run.contender,
        ns: median(run.rounds.iter().map(|report| clock.of(report))).unwrap_or(0.0),
        ratio: own.and_then(|own| {
            ratio(
                own.rounds
                    .iter()
                    .zip(&run.rounds)
                    .map(|(own, other)| (clock.of(own), clock.of(other))),
            )
        }),
        resident_bytes_peak: bytes(|report| report.resident_bytes_peak),
        resident_bytes: bytes(|report| report.resident_bytes),
        minor_faults: middle(|report| report.minor_faults),
        first_minor_faults: middle(|report| report.first_minor_faults as f64),
    }
}

/// The ratio of pairs; none for none, and for those without a time.
fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> Option<Ratio> {
    let ratios: Vec<f64> =
        pairs.filter(|pair| pair.1 > 0.0).map(|(own, other)| own / other).collect();
    Some(Ratio {
        median: median(ratios.iter().copied())?,
        least: ratios.iter().copied().min_by(f64::total_cmp)?,
        most: ratios.iter().copied().max_by(f64::total_cmp)?,
    })
}

/// The middle value, or the mean of the two in the middle; none for none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}

/// The geometric mean; none for none.
pub fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// The geometric mean of highwater's time over a contender's, over the rows of a group, or over all.
pub fn mean(figures: &[RowFigures], group: Option<Group>, contender: &str) -> Option<f64> {
    let rows = figures.iter().filter(|row| group.is_none_or(|group| row.entry().group == group));
    geometric_mean(rows.filter_map(|row| Some(row.ratio(contender)?.median)))
}

/// A wish, and what came of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Target {
    pub wish: &'static str,
    pub reached: bool,
    pub found: String,
}

/// The targets that these figures can be held against.
pub fn targets(figures: &[RowFigures]) -> Vec<Target> {
    let means = [
        ("at most 0.90 of rusty_alloc's time over all rows", None, "rusty-alloc", 0.90),
        ("at most 0.65 of mimalloc v3's on the small rows", Some(Group::Small), "mimalloc", 0.65),
        ("at most 0.80 of mimalloc v3's on the programs", Some(Group::Programs), "mimalloc", 0.80),
    ];
    let means = means.into_iter().filter_map(|(wish, group, contender, most)| {
        let mean = mean(figures, group, contender)?;
        Some(Target { wish, reached: mean <= most, found: format!("{mean:.2}") })
    });
    let each = [
        every_row("at most the fastest's time on every row", figures, |row| {
            Some((row.time?, row.ratio(row.fastest?)?.median))
        }),
        every_row("at most the leanest size-class peer's memory on every row", figures, |row| {
            Some((row.memory?, row.memory_ratio?))
        }),
    ];
    each.into_iter().flatten().chain(means).collect()
}

/// A target that every row must reach; none where no row tells.
fn every_row(
    wish: &'static str,
    figures: &[RowFigures],
    of: impl Fn(&RowFigures) -> Option<(Verdict, f64)>,
) -> Option<Target> {
    let told: Vec<(&str, Verdict, f64)> = figures
        .iter()
        .filter_map(|row| of(row).map(|(verdict, ratio)| (row.row, verdict, ratio)))
        .collect();
    let behind: Vec<String> = told
        .iter()
        .filter(|(_, verdict, _)| *verdict == Verdict::Behind)
        .map(|(row, _, ratio)| format!("{row} {ratio:.2}"))
        .collect();
    let level = told.iter().filter(|(_, verdict, _)| *verdict == Verdict::Level).count();
    let found = match behind.is_empty() {
        true if level == 0 => "all".to_owned(),
        true => format!("all, {level} of them within the tolerance"),
        false => format!("{} of {} behind: {}", behind.len(), told.len(), behind.join(", ")),
    };
    (!told.is_empty()).then_some(Target { wish, reached: behind.is_empty(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(wall_ns: f64, peak: u64) -> Report {
        Report {
            allocator: String::new(),
            operations: 1,
            wall_ns,
            cpu_ns: wall_ns / 2.0,
            instructions: None,
            first_wall_ns: wall_ns,
            minor_faults: 3.0,
            first_minor_faults: 7,
            resident_bytes_peak: Some(peak),
            resident_bytes: None,
        }
    }

    fn run(contender: &'static str, peak: u64, times: &[f64]) -> Run {
        let rounds = times.iter().map(|&time| report(time, peak)).collect();
        Run { contender, rounds, failed: None }
    }

    fn figures(row: &'static str, runs: Vec<Run>) -> RowFigures {
        RowFigures::of(&Measured { row, runs }, Clock::Wall, 0.02)
    }

    #[test]
    fn figures_are_in_a_unit_that_can_be_read() {
        assert_eq!(
            [1.64, 157_289.7, 145_919_134.0].map(|ns| Clock::Cpu.text(ns)),
            ["1.6 ns", "157.3 \u{b5}s", "145.9 ms"]
        );
        assert_eq!(
            [22.14, 157_289.7, 145_919_134.0].map(|count| Clock::Instructions.text(count)),
            ["22.1", "157.3 thousand", "145.9 million"]
        );
    }

    #[test]
    fn a_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 5.0].into_iter()), Some(5.0));
        assert_eq!(median([9.0, 1.0, 5.0, 7.0].into_iter()), Some(6.0));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn half_and_double_have_the_geometric_mean_of_one() {
        let mean = geometric_mean([0.5, 2.0].into_iter()).expect("two values");
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        assert_eq!(geometric_mean(std::iter::empty()), None);
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_not_that_of_the_medians() {
        // The machine became three times slower after the first round; highwater was at half the time throughout.
        let row = figures(
            "pair-16",
            vec![run("highwater", 10, &[1.0, 3.0, 3.0]), run("system", 10, &[2.0, 6.0, 6.0])],
        );
        let ratio = row.ratio("system").expect("both ran");
        assert_eq!((ratio.median, ratio.least, ratio.most), (0.5, 0.5, 0.5));
    }

    #[test]
    fn the_fastest_other_counts_and_highwaters_other_settings_are_not_others() {
        let row = figures(
            "pair-16",
            vec![
                run("highwater", 30, &[4.0]),
                run("never-shrink", 10, &[1.0]),
                run("system", 10, &[8.0]),
                run("mimalloc", 40, &[2.0]),
                run("jemalloc", 20, &[3.0]),
            ],
        );
        assert_eq!((row.fastest, row.time), (Some("mimalloc"), Some(Verdict::Behind)));
        // System is no size-class peer.
        assert_eq!((row.leanest, row.memory_ratio), (Some("jemalloc"), Some(1.5)));
    }

    #[test]
    fn a_contender_that_failed_in_a_round_has_no_figures() {
        let mut failed = run("mimalloc", 1, &[1.0]);
        failed.failed = Some("exit code 3".to_owned());
        let row = figures("pair-16", vec![run("highwater", 1, &[2.0]), failed]);
        assert_eq!((row.fastest, row.cell("mimalloc")), (None, None));
    }

    #[test]
    fn level_is_what_the_tolerance_covers() {
        let verdicts = [1.0, 1.02, 1.021].map(|ratio| Verdict::of(ratio, 0.02));
        assert_eq!(verdicts, [Verdict::Ahead, Verdict::Level, Verdict::Behind]);
    }

    #[test]
    fn means_are_of_a_group_or_of_all_rows() {
        let row = |name, own| {
            figures(name, vec![run("highwater", 1, &[own]), run("mimalloc", 1, &[8.0])])
        };
        let figures = [row("pair-16", 4.0), row("list", 1.0)];
        let near = |mean: Option<f64>, wanted: f64| (mean.expect("rows") - wanted).abs() < 1e-12;
        assert!(near(mean(&figures, Some(Group::Small), "mimalloc"), 0.5));
        assert!(near(mean(&figures, None, "mimalloc"), 0.25));
        assert_eq!(mean(&figures, None, "sefer"), None);
    }

    #[test]
    fn a_target_names_the_rows_that_miss_it() {
        let row = |name, own| {
            figures(name, vec![run("highwater", 1, &[own]), run("mimalloc", 1, &[4.0])])
        };
        let targets = targets(&[row("pair-16", 1.0), row("list", 6.0)]);
        assert!(!targets[0].reached);
        assert_eq!(targets[0].found, "1 of 2 behind: list 1.50");
        assert!(targets[1].reached, "{}", targets[1].found);
    }
}
