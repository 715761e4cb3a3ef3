//! Resident memory over time: one line for each contender, above what is live and the bound.

use plotters::prelude::*;

use super::canvas::{
    Area, Chart, Fit, Plot, Words, draw_axes, leader, line, px, words, words_width,
};
use super::cells::{Cell, lowest_bound_mib};
use super::ink::Ink;
use super::labels::spread;
use crate::Result;
use crate::report::Phase;
use crate::results::WorkloadResult;
use crate::ruler::Ruler;
use crate::text::number;

/// Pixels between the names at the right.
const NAMES_GAP: i32 = 15;

/// What a line at the right is called, where it ends, and its ink.
struct End {
    name: String,
    mib: f64,
    ink: Ink,
    bold: bool,
}

/// Draws a workload's curves; `None` if no contender has one.
///
/// # Errors
///
/// As [`Chart::draw`].
pub fn chart(result: &WorkloadResult, cells: &[Cell]) -> Result<Option<Chart>> {
    let drawn: Vec<&Cell> = cells.iter().filter(|cell| !cell.curve.is_empty()).collect();
    if drawn.is_empty() {
        return Ok(None);
    }
    let series = drawn.iter().map(|cell| cell.contender.to_owned()).collect();
    let chart = Chart::new(
        format!("{}-curve", result.workload),
        format!("{}: resident memory over time", result.workload),
        description(&drawn),
        series,
    );
    let names = ends(result.ruler.as_ref(), &drawn, lowest_bound_mib(cells));
    let height = |fit: Fit| {
        let names = 90 + names.len() as i32 * NAMES_GAP;
        (fit.choose(960, 360), names.max(fit.choose(340, 300)))
    };
    let chart = chart.draw(height, |area, fit| paint(area, fit, result, &drawn, &names))?;
    Ok(Some(chart))
}

fn description(cells: &[&Cell]) -> String {
    let of = |cell: &&Cell| {
        let mib = |value: Option<f64>| value.map_or("unknown".to_owned(), number);
        format!(
            "{} {} at the peak, {} at the end",
            cell.contender,
            mib(cell.peak_mib()),
            mib(cell.idle_mib())
        )
    };
    format!("MiB over the baseline: {}.", cells.iter().map(of).collect::<Vec<_>>().join("; "))
}

fn ends(ruler: Option<&Ruler>, cells: &[&Cell], bound: Option<f64>) -> Vec<End> {
    let mut ends: Vec<End> = cells
        .iter()
        .filter_map(|cell| {
            let (_, mib) = *cell.curve.last()?;
            let name = format!("{} {}", cell.contender, number(mib));
            Some(End { name, mib, ink: cell.ink, bold: false })
        })
        .collect();
    let live = ruler.and_then(|ruler| ruler.curve.last()).map(|last| last.live_bytes);
    for (name, mib, bold) in [
        ("bound", bound, true),
        ("live", live.map(|bytes| super::cells::mib(bytes.cast_signed())), false),
    ] {
        ends.extend(mib.map(|mib| End {
            name: format!("{name} {}", number(mib)),
            mib,
            ink: if bold { Ink::TEXT } else { Ink::MUTED },
            bold,
        }));
    }
    ends
}

fn paint(
    area: &Area,
    fit: Fit,
    result: &WorkloadResult,
    cells: &[&Cell],
    names: &[End],
) -> Result<()> {
    let points = || cells.iter().flat_map(|cell| &cell.curve);
    let time = Time::of(points().map(|point| point.0));
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let gutter = names.iter().map(|end| words_width(&end.name, 12)).max().unwrap_or(0) + px(26);
    let mut plot = ChartBuilder::on(area)
        .margin_top(px(30))
        .margin_right(gutter)
        .set_label_area_size(LabelAreaPosition::Left, px(fit.choose(44, 34)))
        .set_label_area_size(LabelAreaPosition::Bottom, px(40))
        .build_cartesian_2d(-WORK..1.0, 0.0..most * 1.04)?;
    draw_axes(&mut plot, 0)?;
    ticks(area, fit, &plot, &time)?;
    live(&mut plot, result.ruler.as_ref(), &time)?;
    drop_mark(area, fit, &plot, cells)?;
    for cell in cells {
        let width = if cell.contender == "return-pages" { 11 } else { 7 };
        let style = cell.ink.stand_in().stroke_width(width);
        // The rests differ by milliseconds: all lines go on to the longest one's end.
        let last = cell.curve.last().map(|last| (time.end, last.1));
        let points = cell.curve.iter().copied().chain(last).map(|point| time.placed(point));
        plot.draw_series(LineSeries::new(points, style))?;
    }
    bound(&mut plot, cells, &time)?;
    names_at_right(area, &plot, names)?;
    words(area, (px(2), px(12)), "MiB resident over the baseline", Words::left(Ink::MUTED))
}

/// How wide the work is drawn, where the rest has a width of one: the moment of the drop is at the same place in
/// every chart, and work is seen though it is much shorter than the rest.
const WORK: f64 = 0.45;

/// The time of a chart, in seconds since the drop.
struct Time {
    start: f64,
    end: f64,
}

impl Time {
    fn of(seconds: impl Iterator<Item = f64> + Clone) -> Time {
        Time { start: seconds.clone().fold(-0.001, f64::min), end: seconds.fold(0.001, f64::max) }
    }

    /// From left to right: from -WORK to 0 for the work, from 0 to 1 for the rest.
    fn place(&self, seconds: f64) -> f64 {
        if seconds < 0.0 { -seconds / self.start * WORK } else { seconds / self.end }
    }

    fn placed(&self, (seconds, mib): (f64, f64)) -> (f64, f64) {
        (self.place(seconds), mib)
    }

    /// Round moments, some in the work and some in the rest.
    fn ticks(&self, fit: Fit) -> Vec<f64> {
        let before = step(-self.start, fit.choose(3.0, 2.0));
        let after = step(self.end, fit.choose(6.0, 5.0));
        let round = |step: f64, last: f64| {
            (1..).map(move |n| f64::from(n) * step).take_while(move |&it| it < last * 1.001)
        };
        let before = round(before, -self.start).map(|seconds| -seconds);
        before.chain([0.0]).chain(round(after, self.end)).collect()
    }
}

/// The least round step of which at most so many fit into the length.
fn step(length: f64, most: f64) -> f64 {
    let decade = 10_f64.powf((length / most).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    steps.into_iter().find(|step| length / step <= most).unwrap_or(length)
}

fn ticks(area: &Area, fit: Fit, plot: &Plot, time: &Time) -> Result<()> {
    for seconds in time.ticks(fit) {
        let (x, bottom) = plot.backend_coord(&(time.place(seconds), 0.0));
        line(area, vec![(x, bottom), (x, bottom + px(4))], Ink::GRID, 4)?;
        // As many digits as the step has.
        let text = format!("{}", (seconds * 1e4).round() / 1e4);
        words(area, (x, bottom + px(13)), &text, Words::centre(Ink::MUTED))?;
    }
    let work = fit.choose("seconds at work", "at work");
    let rest = fit.choose("seconds at rest, since the drop", "seconds at rest");
    for (middle, text) in [(-WORK / 2.0, work), (0.5, rest)] {
        let (x, bottom) = plot.backend_coord(&(middle, 0.0));
        words(area, (x, bottom + px(31)), text, Words::centre(Ink::MUTED))?;
    }
    Ok(())
}

/// What is live, as an area: up to the drop as the ruler saw it, then what survives.
fn live(plot: &mut Plot, ruler: Option<&Ruler>, time: &Time) -> Result<()> {
    let Some(ruler) = ruler else { return Ok(()) };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let points: Vec<(f64, f64)> = ruler
        .curve
        .iter()
        .map(|moment| (moment.after_drop_ns as f64 / 1e9, mib(moment.live_bytes)))
        .filter(|point| point.0 >= time.start)
        .collect();
    let Some(&last) = points.last() else { return Ok(()) };
    let points = points.into_iter().chain([(time.end, last.1)]).map(|point| time.placed(point));
    plot.draw_series(AreaSeries::new(points, 0.0, Ink::LIVE.stand_in().filled()))?;
    Ok(())
}

/// A line where the drop is done, and its statement where there is room.
fn drop_mark(area: &Area, fit: Fit, plot: &Plot, cells: &[&Cell]) -> Result<()> {
    let (x, bottom) = plot.backend_coord(&(0.0, 0.0));
    line(area, vec![(x, px(24)), (x, bottom)], Ink::MUTED, 3)?;
    let statement = cells
        .first()
        .and_then(|cell| cell.report.samples.iter().rfind(|it| it.phase == Phase::Statement))
        .map_or("", |sample| &sample.statement);
    // Some workloads name a moment there rather than quote their source.
    let is_short_code = statement.contains('(') && statement.len() <= fit.choose(34, 0);
    let text = if is_short_code { statement } else { "the drop" };
    words(area, (x + px(5), px(29)), text, Words::left(Ink::MUTED))
}

/// The bound from the drop on, and where the workload tells what it holds before that, there too.
fn bound(plot: &mut Plot, cells: &[&Cell], time: &Time) -> Result<()> {
    let lowest = cells
        .iter()
        .filter_map(|cell| Some((cell, cell.bound_mib()?)))
        .min_by(|one, other| one.1.total_cmp(&other.1));
    let Some((cell, mib)) = lowest else { return Ok(()) };
    let drop_ns = cell.report.drop_ns().unwrap_or(0);
    let told = cell.report.samples.iter().filter_map(|sample| {
        let seconds = (sample.at_ns.cast_signed() - drop_ns.cast_signed()) as f64 / 1e9;
        Some((seconds, sample.bound_bytes? as f64 / f64::from(1 << 20)))
    });
    let points = told.chain([(0.0, mib), (time.end, mib)]).map(|point| time.placed(point));
    plot.draw_series(LineSeries::new(points, Ink::BOUND.stand_in().stroke_width(5)))?;
    Ok(())
}

/// Each line's name where it ends, and how high it is there.
fn names_at_right(area: &Area, plot: &Plot, names: &[End]) -> Result<()> {
    let at: Vec<(i32, i32)> =
        names.iter().map(|name| plot.backend_coord(&(1.0, name.mib.max(0.0)))).collect();
    let wanted: Vec<i32> = at.iter().map(|at| at.1).collect();
    let (_, bottom) = plot.backend_coord(&(1.0, 0.0));
    let places = spread(&wanted, px(NAMES_GAP), px(30), bottom);
    for ((name, (x, y)), place) in names.iter().zip(at).zip(places) {
        leader(area, (x + px(2), y), (x + px(14), place), name.ink)?;
        let style = Words::left(name.ink);
        let style = if name.bold { style.bold() } else { style };
        words(area, (x + px(18), place), &name.name, style)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::cells::{
        self,
        tests::{result, run},
    };
    use crate::results::Run;

    #[test]
    fn there_is_a_line_and_a_name_for_each_contender_that_has_not_failed() {
        let failed = Run::failed("keep-arenas", "no".into());
        let result = result(vec![run("system"), run("return-pages"), failed]);
        let chart = chart(&result, &cells::of(&result)).expect("drawn").expect("curves");
        assert_eq!(chart.series, ["system", "return-pages"]);
        let text = chart.inline();
        // The line, its leader, and its name, in both widths.
        assert_eq!(text.matches("data-series=\"system\"").count(), 6);
        assert_eq!(text.matches("data-series=\"keep-arenas\"").count(), 0);
        for words in ["system 12", "bound 8", "drop(objects)"] {
            assert!(text.contains(words), "{words}");
        }
    }

    #[test]
    fn the_drop_is_at_the_same_place_whatever_the_times() {
        let time = Time::of([-0.25, 0.0, 5.0].into_iter());
        assert_eq!([-0.25, 0.0, 2.5, 5.0].map(|it| time.place(it)), [-WORK, 0.0, 0.5, 1.0]);
        assert_eq!(time.ticks(Fit::Wide), [-0.1, -0.2, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((step(0.25, 1.0), step(7.0, 6.0), step(1.0, 6.0)), (0.5, 2.0, 0.2));
    }

    #[test]
    fn where_all_failed_there_is_no_chart() {
        let result = result(vec![Run::failed("system", "no".into())]);
        assert!(chart(&result, &cells::of(&result)).expect("nothing to draw").is_none());
    }
}
