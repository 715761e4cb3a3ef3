//! The trade-off: what is held after the rest against what an allocation costs, a point for each contender.

use plotters::prelude::*;

use super::canvas::{Area, Chart, Fit, Words, draw_axes, leader, line, point, px, words};
use super::cells::{self, Cell};
use super::ink::Ink;
use super::labels;
use crate::Result;
use crate::results::{Results, WorkloadResult};
use crate::text::number;

/// The ladder, from the rung that keeps everything: its points are joined.
const LADDER: [&str; 5] =
    ["never-shrink", "keep-arenas", "return-arenas", "return-pools", "return-pages"];

/// One contender: what it costs, and what it holds.
#[derive(Clone, PartialEq, Debug)]
struct Point {
    contender: String,
    cost: f64,
    held: f64,
}

/// What the axes are, and what cannot be undercut.
struct Axes {
    cost: &'static str,
    held: String,
    bound: Option<f64>,
}

/// Draws one workload's trade-off; `None` if it is not known what its allocations cost.
///
/// # Errors
///
/// As [`Chart::draw`].
pub fn chart(result: &WorkloadResult, cells: &[Cell]) -> Result<Option<Chart>> {
    let of_cell = |cell: &Cell| {
        Some(Point {
            contender: cell.contender.to_owned(),
            cost: cell.cpu_ns_per_allocation(result.ruler.as_ref())?,
            held: cell.idle_mib()?.max(0.0),
        })
    };
    let axes = Axes {
        cost: "processor ns for each allocation",
        held: format!("MiB held after {} s idle", cells::rest_s(cells)),
        bound: cells::lowest_bound_mib(cells),
    };
    let name = format!("{}-trade-off", result.workload);
    let title = format!("{}: memory held against time", result.workload);
    draw(name, title, 260, &axes, cells.iter().filter_map(of_cell).collect())
}

/// Draws the trade-off over all workloads: what the contenders that failed nowhere hold in all of them together, against
/// the geometric mean of what an allocation costs. `None` if there is nothing of both.
///
/// # Errors
///
/// As [`Chart::draw`].
pub fn summary(results: &Results) -> Result<Option<Chart>> {
    let (points, bound) = summed(results);
    let axes = Axes {
        cost: "processor ns for each allocation, geometric mean",
        held: "MiB held after the rest, all workloads together".to_owned(),
        bound,
    };
    let title = "All workloads: memory held against time".to_owned();
    draw("trade-off".to_owned(), title, 360, &axes, points)
}

fn summed(results: &Results) -> (Vec<Point>, Option<f64>) {
    let names: Vec<&str> = contenders(results);
    // Of each workload: what every contender costs and holds, and the bound.
    let rows: Vec<(Vec<(f64, f64)>, f64)> =
        results.workloads.iter().filter_map(|result| row(result, &names)).collect();
    if rows.is_empty() {
        return (Vec::new(), None);
    }
    let points = names.iter().enumerate().map(|(index, &name)| Point {
        contender: name.to_owned(),
        cost: (rows.iter().map(|row| row.0[index].0.ln()).sum::<f64>() / rows.len() as f64).exp(),
        held: rows.iter().map(|row| row.0[index].1).sum(),
    });
    (points.collect(), Some(rows.iter().map(|row| row.1).sum()))
}

/// Contenders that failed nowhere.
fn contenders(results: &Results) -> Vec<&str> {
    let Some(first) = results.workloads.first() else { return Vec::new() };
    let measured = |name: &str| {
        results.workloads.iter().all(|result| {
            result.runs.iter().any(|run| run.contender == name && run.report().is_some())
        })
    };
    let names = first.runs.iter().map(|run| run.contender.as_str());
    names.filter(|name| measured(name)).collect()
}

fn row(result: &WorkloadResult, names: &[&str]) -> Option<(Vec<(f64, f64)>, f64)> {
    let cells = cells::of(result);
    let ruler = result.ruler.as_ref()?;
    let of = |name: &&str| {
        let cell = cells.iter().find(|cell| cell.contender == *name)?;
        Some((cell.cpu_ns_per_allocation(Some(ruler))?, cell.idle_mib()?.max(0.0)))
    };
    // What survives has no bound where the workload does not tell its blocks: then its bytes are one.
    let survives = ruler.curve.last().map(|last| cells::mib(last.live_bytes.cast_signed()));
    let bound = cells::lowest_bound_mib(&cells).or(survives)?;
    Some((names.iter().map(of).collect::<Option<_>>()?, bound))
}

fn draw(
    name: String,
    title: String,
    tall: i32,
    axes: &Axes,
    points: Vec<Point>,
) -> Result<Option<Chart>> {
    if points.is_empty() {
        return Ok(None);
    }
    let told = |point: &Point| {
        format!("{} {} at {}", point.contender, number(point.held), number(point.cost))
    };
    let description = format!(
        "{} (down) against {} (across): {}.",
        axes.held,
        axes.cost,
        points.iter().map(told).collect::<Vec<_>>().join("; ")
    );
    let series = points.iter().map(|point| point.contender.clone()).collect();
    let more = 12 * (points.len() as i32 - 6).max(0);
    let size = |fit: Fit| (fit.choose(960, 360), fit.choose(tall, 320) + more);
    let chart = Chart::new(name, title, description, series);
    Ok(Some(chart.draw(size, |area, fit| paint(area, fit, axes, &points))?))
}

fn paint(area: &Area, fit: Fit, axes: &Axes, points: &[Point]) -> Result<()> {
    let most = |of: fn(&Point) -> f64| points.iter().map(of).fold(0.0_f64, f64::max);
    let (dearest, largest) = (most(|point| point.cost), most(|point| point.held));
    let largest = largest.max(axes.bound.unwrap_or(0.0)).max(1.0);
    let margin = fit.choose(120, 16);
    let mut plot = ChartBuilder::on(area)
        .margin_top(px(30))
        .margin_right(px(margin))
        .set_label_area_size(LabelAreaPosition::Left, px(fit.choose(44, 34)))
        .set_label_area_size(LabelAreaPosition::Bottom, px(40))
        .build_cartesian_2d(0.0..dearest * 1.08, 0.0..largest * 1.08)?;
    draw_axes(&mut plot, fit.choose(12, 5))?;
    words(area, (px(2), px(12)), &axes.held, Words::left(Ink::MUTED))?;
    let (left, bottom) = plot.backend_coord(&(0.0, 0.0));
    let (right, top) = plot.backend_coord(&(dearest * 1.08, largest * 1.08));
    words(area, ((left + right) / 2, bottom + px(32)), axes.cost, Words::centre(Ink::MUTED))?;
    if let Some(bound) = axes.bound {
        let (_, y) = plot.backend_coord(&(0.0, bound));
        line(area, vec![(left, y), (right, y)], Ink::BOUND, 5)?;
        let text = format!("bound {}", number(bound));
        words(area, (left + px(6), y - px(9)), &text, Words::left(Ink::TEXT).bold())?;
    }
    let at = |point: &Point| plot.backend_coord(&(point.cost, point.held));
    let rungs: Vec<(i32, i32)> = LADDER
        .iter()
        .filter_map(|name| points.iter().find(|point| point.contender == *name))
        .map(at)
        .collect();
    line(area, rungs, Ink::MUTED, 3)?;
    names(
        area,
        points,
        &points.iter().map(at).collect::<Vec<_>>(),
        ((left, top), (right + px(margin), bottom)),
    )
}

/// The points, and their names around them.
fn names(area: &Area, points: &[Point], at: &[(i32, i32)], within: labels::Bounds) -> Result<()> {
    let named: Vec<((i32, i32), &str)> =
        at.iter().copied().zip(points.iter().map(|point| point.contender.as_str())).collect();
    for ((at, name), (place, across)) in named.iter().zip(labels::beside(&named, within)) {
        let ink = Ink::contender(name);
        if (place.1 - at.1).abs() > px(12) {
            leader(area, *at, place, ink)?;
        }
        point(area, *at, ink)?;
        words(area, place, name, Words { across, ..Words::left(ink) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::cells::tests::{result, run};
    use crate::results::Run;
    use crate::ruler::{LiveMoment, Ruler};

    fn measured(runs: Vec<Run>) -> WorkloadResult {
        let curve = vec![LiveMoment { after_drop_ns: 0, live_bytes: 1 << 20 }];
        let ruler = Ruler { allocations: 1_000_000, live_bytes_peak: 48 << 20, curve };
        WorkloadResult { ruler: Some(ruler), ..result(runs) }
    }

    #[test]
    fn each_contender_is_a_point_with_its_name() {
        let result = measured(vec![run("system"), run("never-shrink"), run("return-pages")]);
        let chart = chart(&result, &cells::of(&result)).expect("drawn").expect("points");
        let text = chart.alone();
        for name in ["never-shrink", "return-pages"] {
            assert!(text.matches(&format!("data-series=\"{name}\"")).count() >= 2, "{text}");
        }
        assert_eq!(text.matches("<circle").count(), 4, "a hollow point is two circles");
    }

    #[test]
    fn the_summary_is_of_contenders_that_failed_nowhere() {
        let mut results = crate::page::html::tests::results();
        results.workloads = vec![
            measured(vec![run("system"), run("return-pages")]),
            measured(vec![run("system"), Run::failed("return-pages", "no".into())]),
        ];
        let (points, bound) = summed(&results);
        assert_eq!(points.len(), 1);
        // 12 MiB in each of two, and 20 ms for a million.
        assert_eq!((points[0].contender.as_str(), points[0].held.round()), ("system", 24.0));
        assert!((points[0].cost - 20.0).abs() < 1e-9);
        assert!(bound.is_some_and(|bound| (bound - 16.0).abs() < 1e-9));
    }
}
