//! Small multiples: the same contenders in the same order, once for each figure.

use super::canvas::{Area, Chart, Fit, Words, bar, line, px, words};
use super::cells::{self, Cell};
use super::ink::Ink;
use crate::Result;
use crate::results::WorkloadResult;
use crate::text::{NONE, grouped, number};

/// Pixels of a contender's row.
const ROW: i32 = 18;
/// Pixels above the rows, for the panel's title.
const HEAD: i32 = 30;
/// Pixels for the contenders' names.
const NAMES: i32 = 120;
/// Pixels at a bar's end, for its figure.
const VALUE: i32 = 52;

/// One figure of every contender.
struct Panel {
    title: String,
    values: Vec<Option<f64>>,
    show: fn(f64) -> String,
}

/// Draws a workload's figures. What no contender has is left out.
///
/// # Errors
///
/// As [`Chart::draw`].
pub fn chart(result: &WorkloadResult, cells: &[Cell]) -> Result<Option<Chart>> {
    if cells.is_empty() {
        return Ok(None);
    }
    let panels = panels(cells);
    let chart = Chart::new(
        format!("{}-figures", result.workload),
        format!("{}: figures of each contender", result.workload),
        description(cells, &panels),
        cells.iter().map(|cell| cell.contender.to_owned()).collect(),
    );
    let panel_height = HEAD + cells.len() as i32 * ROW;
    let size = |fit: Fit| match fit {
        Fit::Wide => (960, panel_height + 8),
        Fit::Narrow => (360, panels.len() as i32 * (panel_height + 14)),
    };
    let chart = chart.draw(size, |area, fit| {
        for (panel, place) in panels.iter().zip(0..) {
            match fit {
                Fit::Wide => {
                    let width = (960 - NAMES) / panels.len() as i32;
                    let left = NAMES + place * width;
                    paint(area, panel, cells, (left, 0), width)?;
                }
                Fit::Narrow => {
                    let top = place * (panel_height + 14);
                    names(area, cells, top)?;
                    paint(area, panel, cells, (NAMES, top), 360 - NAMES)?;
                }
            }
        }
        if fit == Fit::Wide { names(area, cells, 0) } else { Ok(()) }
    })?;
    Ok(Some(chart))
}

fn panels(cells: &[Cell]) -> Vec<Panel> {
    let panel = |title: &str, show: fn(f64) -> String, of: &dyn Fn(&Cell) -> Option<f64>| Panel {
        title: title.to_owned(),
        values: cells.iter().map(of).collect(),
        show,
    };
    let count: fn(f64) -> String = |count| grouped(count as u64);
    let idle = format!("after {} s idle, MiB", cells::rest_s(cells));
    let panels = [
        panel("peak, MiB", number, &|cell| cell.peak_mib()),
        panel(&idle, number, &|cell| cell.idle_mib()),
        panel("refaults", count, &|cell| cell.refaults()),
        panel("system calls", count, &|cell| cell.system_calls()),
        panel("processor time, s", |seconds| format!("{seconds:.2}"), &|cell| Some(cell.cpu_s())),
    ];
    panels.into_iter().filter(|panel| panel.values.iter().any(Option::is_some)).collect()
}

fn description(cells: &[Cell], panels: &[Panel]) -> String {
    let of_panel = |panel: &Panel| {
        let value = |value: &Option<f64>| value.map_or_else(|| "unknown".to_owned(), panel.show);
        let values = cells.iter().zip(&panel.values);
        let values = values.map(|(cell, it)| format!("{} {}", cell.contender, value(it)));
        format!("{}: {}.", panel.title, values.collect::<Vec<_>>().join(", "))
    };
    panels.iter().map(of_panel).collect::<Vec<_>>().join(" ")
}

fn names(area: &Area, cells: &[Cell], top: i32) -> Result<()> {
    for (cell, row) in cells.iter().zip(0..) {
        let at = (px(NAMES - 8), middle(top, row));
        words(area, at, cell.contender, Words::right(cell.ink))?;
    }
    Ok(())
}

fn paint(
    area: &Area,
    panel: &Panel,
    cells: &[Cell],
    (left, top): (i32, i32),
    width: i32,
) -> Result<()> {
    words(area, (px(left), px(top + 12)), &panel.title, Words::left(Ink::MUTED))?;
    let most = panel.values.iter().flatten().fold(0.0_f64, |most, &value| most.max(value));
    let room = f64::from(px(width - VALUE - 12));
    for ((cell, &value), row) in cells.iter().zip(&panel.values).zip(0..) {
        let y = middle(top, row);
        let Some(value) = value else {
            words(area, (px(left + 5), y), NONE, Words::left(Ink::MUTED))?;
            continue;
        };
        let length = if most > 0.0 { (value.max(0.0) / most * room) as i32 } else { 0 };
        bar(area, (px(left), y - px(5)), (px(left) + length, y + px(5)), cell.ink, 1.0)?;
        words(area, (px(left + 5) + length, y), &(panel.show)(value), Words::left(Ink::TEXT))?;
    }
    let bottom = px(top + HEAD + cells.len() as i32 * ROW);
    line(area, vec![(px(left), px(top + HEAD - 4)), (px(left), bottom)], Ink::MUTED, 2)
}

fn middle(top: i32, row: i32) -> i32 {
    px(top + HEAD + row * ROW + ROW / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::cells::tests::{result, run};

    #[test]
    fn every_contender_has_a_bar_in_each_panel_and_what_nobody_tells_is_left_out() {
        let result = result(vec![run("system"), run("return-pages")]);
        let chart = chart(&result, &cells::of(&result)).expect("drawn").expect("cells");
        let text = chart.alone();
        // Four panels, since nobody counts system calls: a bar in each, and the name.
        assert_eq!(text.matches("data-series=\"return-pages\"").count(), 5);
        assert!(text.contains("after 5 s idle, MiB") && !text.contains("system calls"), "{text}");
    }
}
