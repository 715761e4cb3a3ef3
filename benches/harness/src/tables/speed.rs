//! The tables of `cargo retention speed`.

use std::fmt::Write as _;

use highwater_speed::rows::Group;

use super::{align_numbers, table};
use crate::speed::contenders::{self, Kind};
use crate::speed::figures::{self, Clock, Ratio, RowFigures, Target};
use crate::speed::measure::Measured;
use crate::text::{NONE, mib, or_none};

/// All that there is to say of these rows under these contenders. Of a program whose instructions are counted, memory says
/// nothing: it is that of the counter.
pub fn speed(
    contenders: &[&'static str],
    clock: Clock,
    figures: &[RowFigures],
    targets: &[Target],
) -> String {
    let (own, less) = match clock {
        Clock::Instructions => ("instructions", "fewer"),
        _ => ("time", "faster"),
    };
    let mut text = String::new();
    for (group, name) in [(Group::Small, "small rows"), (Group::Programs, "the others")] {
        let rows: Vec<&RowFigures> =
            figures.iter().filter(|row| row.entry().group == group).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n{name}: highwater's {own} for an operation; beside it, over the others' (below 1.00: {less})\n{}\n",
            times(contenders, clock, &rows)
        );
    }
    let _ = write!(
        text,
        "\nhighwater's {own} over the others', geometric means\n{}\n",
        means(contenders, figures)
    );
    if clock == Clock::Instructions {
        return text;
    }
    let _ = write!(text, "\nresident at the peak, MiB\n{}\n", memory(contenders, figures));
    let _ = write!(
        text,
        "\npage faults in a repetition (in the first one, on fresh memory)\n{}\n",
        faults(contenders, figures)
    );
    if !targets.is_empty() {
        let _ = write!(text, "\ntargets\n{}\n", target_lines(targets));
    }
    text
}

/// What failed, a line for each contender and row; empty if nothing did.
pub fn failures(measured: &[Measured]) -> String {
    let mut text = String::new();
    for row in measured {
        for run in &row.runs {
            if let Some(reason) = &run.failed {
                let _ = writeln!(text, "{} under {} failed: {reason}", row.row, run.contender);
            }
        }
    }
    text
}

/// The others: whoever has a column beside highwater's.
fn others<'a>(contenders: &'a [&'static str]) -> impl Iterator<Item = &'static str> + 'a {
    contenders.iter().copied().filter(|name| contenders::kind(name) != Kind::Own)
}

fn times(contenders: &[&'static str], clock: Clock, rows: &[&RowFigures]) -> String {
    let heads: Vec<&str> = ["row", "highwater"]
        .into_iter()
        .chain(others(contenders))
        .chain(["best other", "over it", "least to most", ""])
        .collect();
    let mut table = table(&heads);
    let columns = heads.len();
    align_numbers(&mut table, 1..columns - 4);
    align_numbers(&mut table, columns - 3..columns - 1);
    for row in rows {
        let mut cells = vec![row.row.to_owned()];
        cells.push(or_none(row.cell(contenders::ALL[0].name), |cell| clock.text(cell.ns)));
        cells.extend(others(contenders).map(|name| or_none(row.ratio(name), median)));
        let best = row.fastest.and_then(|name| row.ratio(name));
        cells.push(row.fastest.unwrap_or(NONE).to_owned());
        cells.push(or_none(best, median));
        cells.push(or_none(best, |ratio| format!("{:.2} to {:.2}", ratio.least, ratio.most)));
        cells.push(or_none(row.time, |verdict| verdict.text().to_owned()));
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn median(ratio: Ratio) -> String {
    format!("{:.2}", ratio.median)
}

fn means(contenders: &[&'static str], figures: &[RowFigures]) -> String {
    let heads: Vec<&str> = ["rows"].into_iter().chain(others(contenders)).collect();
    let mut table = table(&heads);
    align_numbers(&mut table, 1..heads.len());
    for (name, group) in
        [("small rows", Some(Group::Small)), ("the others", Some(Group::Programs)), ("all", None)]
    {
        let means = others(contenders).map(|other| {
            or_none(figures::mean(figures, group, other), |mean| format!("{mean:.2}"))
        });
        table.add_row([name.to_owned()].into_iter().chain(means));
    }
    table.trim_fmt()
}

fn memory(contenders: &[&'static str], figures: &[RowFigures]) -> String {
    let heads: Vec<&str> = ["row"]
        .into_iter()
        .chain(contenders.iter().copied())
        .chain(["leanest peer", "over it", ""])
        .collect();
    let mut table = table(&heads);
    let columns = heads.len();
    align_numbers(&mut table, 1..columns - 3);
    align_numbers(&mut table, columns - 2..columns - 1);
    for row in figures {
        let mut cells = vec![row.row.to_owned()];
        cells.extend(
            contenders
                .iter()
                .map(|name| or_none(row.cell(name).and_then(|cell| cell.resident_bytes_peak), mib)),
        );
        cells.push(row.leanest.unwrap_or(NONE).to_owned());
        cells.push(or_none(row.memory_ratio, |ratio| format!("{ratio:.2}")));
        cells.push(or_none(row.memory, |verdict| verdict.text().to_owned()));
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn faults(contenders: &[&'static str], figures: &[RowFigures]) -> String {
    let heads: Vec<&str> = ["row"].into_iter().chain(contenders.iter().copied()).collect();
    let mut table = table(&heads);
    align_numbers(&mut table, 1..heads.len());
    for row in figures {
        let cells = contenders.iter().map(|name| {
            or_none(row.cell(name), |cell| {
                format!("{:.0} ({:.0})", cell.minor_faults, cell.first_minor_faults)
            })
        });
        table.add_row([row.row.to_owned()].into_iter().chain(cells));
    }
    table.trim_fmt()
}

fn target_lines(targets: &[Target]) -> String {
    let mut table = table(&["target", "", "found"]);
    super::wrap(&mut table, 2, 80);
    for target in targets {
        let reached = if target.reached { "reached" } else { "MISSED" };
        table.add_row([target.wish, reached, &target.found]);
    }
    table.trim_fmt()
}
