//! The tables of `cargo retention growth`.

use std::fmt::Write as _;

use highwater_speed::rows::Group;

use super::{align_numbers, table};
use crate::speed::build::Programs;
use crate::speed::contenders;
use crate::speed::figures::{Clock, RowFigures};
use crate::speed::growth::{
    IDLE_THREAD_BYTES_MAX, PROGRAM_BYTES_MAX, START_BYTES_MAX, factor, over_system, peers_factor,
};
use crate::text::{NONE, or_none};

/// All that there is to say of these rows under these contenders; where instructions are counted, not of memory, as in
/// [`speed`](super::speed::speed).
pub fn growth(
    names: &[&'static str],
    clock: Clock,
    figures: &[RowFigures],
    programs: &Programs,
) -> String {
    let mut text = String::new();
    for (group, title) in [
        (Group::LiveBlocks, "a random one of so many live blocks replaced"),
        (Group::LiveBuffers, "a random one of so many live buffers of 1 to 128 KiB replaced"),
        (Group::Threads, "4,000,000 replacements divided among so many threads"),
    ] {
        let rows: Vec<&RowFigures> =
            figures.iter().filter(|row| row.entry().group == group).collect();
        if !rows.is_empty() {
            let _ = write!(
                text,
                "\n{title}: {} for one, and how often that of the first row\n{}\n",
                clock.phrase(),
                curve(names, clock, figures, &rows)
            );
        }
    }
    let measures = |row: &RowFigures| row.entry().group == Group::Memory;
    if clock != Clock::Instructions && figures.iter().any(measures) {
        let _ = write!(text, "\nover System, KiB\n{}\n", memory(names, figures, programs));
    }
    text
}

fn curve(
    names: &[&'static str],
    clock: Clock,
    figures: &[RowFigures],
    rows: &[&RowFigures],
) -> String {
    let heads: Vec<&str> =
        ["row"].into_iter().chain(names.iter().copied()).chain(["steepest other", ""]).collect();
    let mut table = table(&heads);
    align_numbers(&mut table, 1..heads.len() - 1);
    for row in rows {
        let own = factor(figures, row, contenders::ALL[0].name);
        let steepest = peers_factor(figures, row, names);
        let mut cells = vec![row.row.to_owned()];
        cells.extend(names.iter().map(|name| {
            let ns = row.cell(name).map(|cell| cell.ns);
            or_none(ns.zip(factor(figures, row, name)), |(ns, factor)| {
                format!("{} ({factor:.1})", clock.text(ns))
            })
        }));
        cells.push(or_none(steepest, |factor| format!("({factor:.1})")));
        cells.push(or_none(own.zip(steepest), |(own, steepest)| {
            if own <= steepest { "within" } else { "STEEPER" }.to_owned()
        }));
        table.add_row(cells);
    }
    table.trim_fmt()
}

/// What stands in the memory table beside a limit.
type Over<'a> = Box<dyn Fn(&str) -> Option<i64> + 'a>;

fn memory(names: &[&'static str], figures: &[RowFigures], programs: &Programs) -> String {
    let heads: Vec<&str> =
        [""].into_iter().chain(names.iter().copied()).chain(["at most", ""]).collect();
    let mut table = table(&heads);
    align_numbers(&mut table, 1..heads.len() - 1);
    let row = |name: &str| figures.iter().find(|row| row.row == name);
    let lines: [(&str, i64, Over); 3] = [
        (
            "resident when main starts",
            START_BYTES_MAX,
            Box::new(|name| over_system(row("start")?, name)),
        ),
        (
            "resident for each idle thread",
            IDLE_THREAD_BYTES_MAX,
            Box::new(|name| over_system(row("idle-thread")?, name)),
        ),
        (
            "the program's file",
            PROGRAM_BYTES_MAX,
            Box::new(|name| {
                let binary = contenders::find(name)?.binary;
                let bytes = |binary| Some(programs.file_bytes(binary)? as i64);
                Some(bytes(binary)? - bytes("speed-system")?)
            }),
        ),
    ];
    for (title, limit, over) in &lines {
        let own = over(contenders::ALL[0].name);
        let mut cells = vec![(*title).to_owned()];
        cells.extend(names.iter().map(|name| or_none(over(name), kib)));
        cells.push(kib(*limit));
        cells.push(
            own.map_or(NONE, |own| if own <= *limit { "kept" } else { "EXCEEDED" }).to_owned(),
        );
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn kib(bytes: i64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0)
}
