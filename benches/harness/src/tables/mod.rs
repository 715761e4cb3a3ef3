//! Results as text: the line-by-line tables, the comparison, and the workload's own figures.

pub mod growth;
mod held;
pub mod instructions;
mod returned;
pub mod soak;
pub mod speed;

use std::fmt::Write as _;

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

use crate::compare::{Comparison, difference};
use crate::contenders;
use crate::report::{Figure, Phase, Report, Sample};
use crate::results::{Outcome, Run, WorkloadResult};
use crate::text::{NONE, mib, mib_signed, number, or_none, times};
use crate::workloads::{Group, Workload};

/// Characters of a statement in one line of a table; longer ones are wrapped.
const STATEMENT_WIDTH: u16 = 66;

/// Characters of a failure's reason in one line of the comparison, whose columns are narrow.
const REASON_WIDTH: u16 = 30;

/// A line under the heads, and nothing else that a reader of plain text would have to look past.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('-').junction(' '));

/// Everything about one workload: what its group is about, all contenders beside each other, and its own figures.
pub fn workload(workload: &Workload, result: &WorkloadResult) -> String {
    let mut text = format!("\n== {}: {}\n", workload.name, workload.about);
    let comparison = match workload.group {
        Group::Essay => {
            line_by_line(&mut text, workload, &result.runs);
            comparison(&result.runs)
        }
        Group::GivingBack => returned::comparison(&result.runs),
    };
    let _ = write!(
        text,
        "\n{} compared, MiB over each contender's own baseline\n{comparison}\n",
        workload.name,
    );
    if let Some(held) = held::moments(&result.runs) {
        let _ = write!(text, "\n{}\n{held}\n", held::TITLE);
    }
    if let Some(own) = &workload.figures {
        let reference =
            own.reference.as_ref().map(|reference| (reference.name, result.reference.as_slice()));
        let _ = write!(text, "\n{}\n{}\n", own.title, figures(&result.runs, reference));
    }
    for note in notes(&result.runs) {
        let _ = writeln!(text, "\n{}: {note}", workload.name);
    }
    text
}

/// Each contender's statements.
fn line_by_line(text: &mut String, workload: &Workload, runs: &[Run]) {
    for run in runs {
        let (unit, table) = match run.report() {
            Some(report) => (", MiB", lines(report)),
            None => ("", outcome(run)),
        };
        let _ = write!(text, "\n{} under {}{unit}\n{table}\n", workload.name, run.contender);
    }
}

/// The workloads, group by group, and the contenders.
pub fn catalogue() -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let mut workloads = table(&["workload", "what it does"]);
        for workload in group.workloads() {
            workloads.add_row([workload.name, workload.about]);
        }
        let when = match group {
            Group::Essay => "runs if nothing else is asked for",
            Group::GivingBack => "by this name, or one by one",
        };
        let _ = write!(text, "{}: {when}\n{}\n\n", group.name(), workloads.trim_fmt());
    }
    let mut contenders = table(&["contender", "what it is"]);
    for contender in contenders::ALL {
        contenders.add_row([contender.name, contender.about]);
    }
    let _ = writeln!(text, "{}", contenders.trim_fmt());
    text.push_str("\nThe allocators after `system` are peers: they run if named, or with `--features peers`.\n");
    text
}

/// The heads of the essay's table.
pub const LINE_HEADS: [&str; 7] =
    ["resident", "increment", "live", "free", "mapped", "high-water", "statement"];

/// The essay's table: one line for each statement.
fn lines(report: &Report) -> String {
    let mut table = table(&LINE_HEADS);
    align_numbers(&mut table, 0..6);
    wrap(&mut table, 6, STATEMENT_WIDTH);
    table.add_rows(line_cells(report));
    table.trim_fmt()
}

/// The cells of the essay's table.
pub fn line_cells(report: &Report) -> Vec<Vec<String>> {
    let mut before: Option<&Sample> = None;
    let cells = report.samples.iter().map(|sample| {
        let cells = line(before, sample).to_vec();
        before = Some(sample);
        cells
    });
    cells.collect()
}

/// The heads and the cells of a workload's comparison.
pub fn comparison_cells(result: &WorkloadResult) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let rests = result
        .runs
        .iter()
        .any(|run| matches!(run.outcome, Outcome::Measured { returned: Some(_), .. }));
    if rests {
        (returned::HEADS.to_vec(), returned::cells(&result.runs))
    } else {
        (COMPARISON_HEADS.to_vec(), cells(&result.runs))
    }
}

fn line(before: Option<&Sample>, sample: &Sample) -> [String; 7] {
    let increment =
        difference(sample.resident_bytes, before.and_then(|before| before.resident_bytes));
    let own = sample.allocator;
    [
        or_none(sample.resident_bytes, mib),
        if sample.phase == Phase::Baseline {
            String::new()
        } else {
            or_none(increment, mib_signed)
        },
        or_none(own.map(|own| own.live_bytes), mib),
        or_none(own.map(|own| own.free_bytes), mib),
        or_none(own.map(|own| own.mapped_bytes), mib),
        or_none(own.map(|own| own.live_bytes_peak), mib),
        sample.statement.to_string(),
    ]
}

const COMPARISON_HEADS: [&str; 8] = [
    "contender",
    "baseline",
    "peak",
    "after the drop",
    "idle 1 s",
    "high-water",
    "retained/live",
    "wall s",
];

/// One line for each contender.
fn comparison(runs: &[Run]) -> String {
    let mut table = table(&COMPARISON_HEADS);
    align_numbers(&mut table, 1..COMPARISON_HEADS.len());
    wrap(&mut table, 1, REASON_WIDTH);
    table.add_rows(cells(runs));
    table.trim_fmt()
}

fn cells(runs: &[Run]) -> Vec<Vec<String>> {
    let cells = runs.iter().map(|run| match &run.outcome {
        Outcome::Measured { comparison, .. } => comparison_row(&run.contender, comparison).to_vec(),
        Outcome::Failed { .. } => failed(run, COMPARISON_HEADS.len()),
    });
    cells.collect()
}

/// A row of so many cells that says why there is nothing in it.
fn failed(run: &Run, length: usize) -> Vec<String> {
    let nothing = (2..length).map(|_| NONE.to_owned());
    [run.contender.clone(), outcome(run)].into_iter().chain(nothing).collect()
}

fn comparison_row(contender: &str, comparison: &Comparison) -> [String; 8] {
    [
        contender.to_owned(),
        or_none(comparison.baseline_bytes, mib),
        or_none(comparison.peak_bytes, mib_over),
        or_none(comparison.after_drop_bytes, mib_over),
        or_none(comparison.idle_bytes, mib_over),
        or_none(comparison.high_water_bytes, mib_over),
        or_none(comparison.retained_over_live, times),
        format!("{:.3}", comparison.wall_ns as f64 / 1e9),
    ]
}

/// A difference where a plus would say nothing.
fn mib_over(bytes: i64) -> String {
    mib_signed(bytes).trim_start_matches('+').to_owned()
}

/// A workload's own figures: a line for each, a column for each contender, before them the reference.
fn figures(runs: &[Run], reference: Option<(&str, &[Figure])>) -> String {
    let reports: Vec<(&str, Option<&Report>)> =
        runs.iter().map(|run| (run.contender.as_str(), run.report())).collect();
    let heads = reference
        .iter()
        .map(|(name, _)| *name)
        .chain(reports.iter().map(|(contender, _)| *contender));
    let heads: Vec<&str> = [""].into_iter().chain(heads).collect();
    let mut table = table(&heads);
    align_numbers(&mut table, 1..heads.len());
    let of_reports =
        reports.iter().find_map(|(_, report)| Some(report.as_ref()?.figures.as_slice()));
    let names = of_reports.or(reference.map(|(_, figures)| figures)).unwrap_or_default();
    for Figure { name, .. } in names {
        let base = reference.and_then(|(_, figures)| value(figures, name));
        let mut row = vec![name.to_string()];
        row.extend(reference.map(|_| or_none(base, number)));
        row.extend(reports.iter().map(|(_, report)| {
            or_none(report.and_then(|report| value(&report.figures, name)), |value| {
                beside(value, base)
            })
        }));
        table.add_row(row);
    }
    table.trim_fmt()
}

fn value(figures: &[Figure], name: &str) -> Option<f64> {
    figures.iter().find(|figure| figure.name == name)?.value
}

/// A figure, with its difference to the base where there is one: `32 (+8)`.
fn beside(value: f64, base: Option<f64>) -> String {
    base.map_or_else(
        || number(value),
        |base| {
            format!("{} ({}{})", number(value), sign(value - base), number((value - base).abs()))
        },
    )
}

fn sign(difference: f64) -> &'static str {
    if difference < -0.05 { "-" } else { "+" }
}

/// The notes of the runs, each once.
fn notes(runs: &[Run]) -> Vec<&str> {
    let mut notes: Vec<&str> = Vec::new();
    for note in runs.iter().filter_map(Run::report).flat_map(|report| &report.notes) {
        if !notes.contains(&note.as_str()) {
            notes.push(note);
        }
    }
    notes
}

/// The text of a run's failure; empty for none.
fn outcome(run: &Run) -> String {
    match &run.outcome {
        Outcome::Measured { .. } => String::new(),
        Outcome::Failed { failed } => format!("failed: {failed}"),
    }
}

fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(heads.iter().map(Cell::new));
    table
}

/// Breaks what is longer than `width` into several lines, in this column only.
fn wrap(table: &mut Table, column: usize, width: u16) {
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::MAX);
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
    }
}

fn align_numbers(table: &mut Table, columns: std::ops::Range<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(phase: Phase, statement: &'static str, resident_bytes: u64) -> Sample {
        Sample {
            phase,
            statement: statement.into(),
            at_ns: 0,
            resident_bytes: Some(resident_bytes),
            resident_bytes_peak: None,
            bound_bytes: None,
            idled_s: None,
            allocator: None,
            wall_ns: 250_000_000,
            cpu_ns: 0,
            minor_faults: 0,
        }
    }

    fn run(contender: &'static str, value: f64) -> Run {
        let samples = vec![
            sample(Phase::Baseline, "(baseline)", 2 << 20),
            sample(Phase::Statement, "let a = f()", 10 << 20),
            sample(Phase::Statement, "drop(a)", 4 << 20),
        ];
        let figures = vec![Figure { name: "integer".into(), value: Some(value) }];
        let notes = vec!["read 3 files".to_owned()];
        let report = Report {
            allocator: String::new(),
            survivors_bytes: 0,
            bound_bytes: None,
            samples,
            figures,
            notes,
            asked: Vec::new(),
            maps: Vec::new(),
        };
        Run::measured(contender, report, Vec::new())
    }

    /// The cells of a table, a line each, one space between.
    fn cells(table: &str) -> Vec<String> {
        table.lines().map(crate::text::one_line).collect()
    }

    #[test]
    fn a_line_has_the_memory_after_its_statement_and_the_difference_to_the_line_before() {
        let run = run("system", 32.0);
        let lines = cells(&lines(run.report().expect("a report")));
        assert_eq!(lines[2], format!("2.0 {NONE} {NONE} {NONE} {NONE} (baseline)"));
        assert_eq!(lines[3], format!("10.0 +8.0 {NONE} {NONE} {NONE} {NONE} let a = f()"));
        assert_eq!(lines[4], format!("4.0 -6.0 {NONE} {NONE} {NONE} {NONE} drop(a)"));
    }

    #[test]
    fn a_failed_contender_fails_only_its_own_line() {
        let runs = [run("system", 32.0), Run::failed("never-shrink", "exit code 3".to_owned())];
        let lines = cells(&comparison(&runs));
        assert_eq!(lines[2], format!("system 2.0 8.0 2.0 {NONE} {NONE} {NONE} 0.500"));
        assert!(lines[3].starts_with("never-shrink failed: exit code 3 "), "{}", lines[3]);
    }

    #[test]
    fn figures_stand_beside_their_reference() {
        let asked = [Figure { name: "integer".into(), value: Some(8.0) }];
        let lines = cells(&figures(&[run("system", 32.0)], Some(("asked", &asked))));
        assert_eq!(lines[2], "integer 8 32 (+24)");
    }

    #[test]
    fn a_note_that_all_contenders_make_is_printed_once() {
        assert_eq!(notes(&[run("system", 1.0), run("keep-arenas", 1.0)]), ["read 3 files"]);
    }

    #[test]
    fn a_figure_below_its_reference_is_marked_so() {
        assert_eq!(beside(7.5, Some(8.0)), "7.5 (-0.5)");
    }
}
