//! The bar chart: for each row, a bar for each contender, as long as its time over highwater's.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::contenders;
use super::figures::RowFigures;
use crate::Result;

/// Pixels, as everything here.
const WIDTH: u32 = 1_000;
/// The thickness of one bar, and of the gap between two rows.
const BAR: u32 = 9;
/// Room for the title and the axis.
const EDGES: u32 = 100;
/// Room for the rows' names.
const NAMES: u32 = 150;
/// Where bars end that are longer.
const LONGEST: f64 = 4.0;

/// Draws the rows into `file`, with a bar for each of the contenders.
///
/// # Errors
///
/// A sentence, if the file cannot be written.
pub fn draw(
    file: &Path,
    title: &str,
    names: &[&'static str],
    figures: &[RowFigures],
) -> Result<()> {
    let height = EDGES + (figures.len() * places(names)) as u32 * BAR;
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    paint(&area, title, names, figures)
        .map_err(|error| format!("{}: {error}", file.display()).into())
}

/// A row has a place for each contender and one for the gap.
fn places(names: &[&'static str]) -> usize {
    names.len() + 1
}

fn paint<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    title: &str,
    names: &[&'static str],
    figures: &[RowFigures],
) -> std::result::Result<(), Box<dyn Error>> {
    area.fill(&WHITE)?;
    let places = places(names);
    let end = (figures.len() * places) as i32;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..LONGEST, end..0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_desc("time over highwater's; bars at the right edge go on")
        .draw()?;
    for (place, &name) in names.iter().enumerate() {
        let color = Palette99::pick(place).mix(1.0);
        let bars = figures.iter().enumerate().filter_map(|(row, figures)| {
            let top = (row * places + place) as i32;
            let length = relative(figures, name)?.min(LONGEST);
            Some(Rectangle::new([(0.0, top), (length, top + 1)], color.filled()))
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], color.filled()));
    }
    // Highwater's own time.
    chart.draw_series([PathElement::new(vec![(1.0, 0), (1.0, end)], BLACK)])?;
    let style = ("sans-serif", 13).into_text_style(area).pos(Pos::new(HPos::Right, VPos::Center));
    for (row, figures) in figures.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(0.0, (row * places + names.len() / 2) as i32));
        area.draw_text(figures.row, &style, (x - 6, y))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

/// The contender's time over highwater's.
fn relative(figures: &RowFigures, name: &str) -> Option<f64> {
    let own = figures.cell(contenders::ALL[0].name)?.ns;
    Some(figures.cell(name)?.ns / own).filter(|ratio| ratio.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speed::figures::Cell;

    #[test]
    fn a_chart_names_rows_and_contenders() {
        let cell = |contender, ns| Cell {
            contender,
            ns,
            ratio: None,
            resident_bytes_peak: None,
            resident_bytes: None,
            minor_faults: 0.0,
            first_minor_faults: 0.0,
        };
        let figures = RowFigures {
            row: "pair-16",
            cells: vec![cell("highwater", 2.0), cell("system", 19.0)],
            fastest: None,
            time: None,
            leanest: None,
            memory_ratio: None,
            memory: None,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("chart.svg");
        draw(&file, "a title", &["highwater", "system"], &[figures]).expect("it is drawn");
        let svg = std::fs::read_to_string(&file).expect("it is there");
        for text in ["<svg", "a title", "pair-16", "system", "time over highwater"] {
            assert!(svg.contains(text), "{svg}");
        }
    }
}
