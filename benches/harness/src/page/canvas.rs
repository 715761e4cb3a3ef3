//! A chart: what plotters draws, with inks in place of colours, and made fit for a page and for a file of its own.

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ink::{self, Ink};
use crate::Result;
use crate::text::number;

/// Units of a drawing in one pixel of the page: plotters draws in whole units, and curves should be smooth.
const FINE: i32 = 4;

/// By how much plotters' SVG makes letters smaller than was asked.
const PLOTTERS_SHRINKS: f64 = 1.24;

/// The font size of everything that is not said otherwise, in pixels.
pub const SMALL: i32 = 12;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// An area with two axes.
pub type Plot<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// How wide a drawing is, in pixels. Each chart is drawn for both; the page shows the one that fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    Wide,
    Narrow,
}

impl Fit {
    /// The one of the two that fits.
    pub fn choose<T>(self, wide: T, narrow: T) -> T {
        match self {
            Fit::Wide => wide,
            Fit::Narrow => narrow,
        }
    }
}

/// One chart, in all the widths that it was drawn for.
pub struct Chart {
    /// A file name without its ending, and unique.
    pub name: String,
    /// What it shows, for those who cannot see it.
    pub title: String,
    pub description: String,
    /// The contenders that it has a series of.
    pub series: Vec<String>,
    drawings: Vec<(&'static str, Drawing)>,
}

struct Drawing {
    width: i32,
    height: i32,
    shapes: String,
}

impl Chart {
    pub fn new(name: String, title: String, description: String, series: Vec<String>) -> Chart {
        Chart { name, title, description, series, drawings: Vec::new() }
    }

    /// Draws it for both widths; `height` is in pixels.
    ///
    /// # Errors
    ///
    /// A sentence, if plotters cannot draw it.
    pub fn draw(
        mut self,
        size: impl Fn(Fit) -> (i32, i32),
        paint: impl Fn(&Area, Fit) -> Result<()>,
    ) -> Result<Chart> {
        for (class, fit) in [("wide", Fit::Wide), ("narrow", Fit::Narrow)] {
            let drawing = Drawing::new(size(fit), |area| paint(area, fit))
                .map_err(|error| format!("{}: {error}", self.name))?;
            self.drawings.push((class, drawing));
        }
        Ok(self)
    }

    /// Draws it once for every width: it is small.
    ///
    /// # Errors
    ///
    /// As [`draw`](Chart::draw).
    pub fn draw_once(
        mut self,
        size: (i32, i32),
        paint: impl Fn(&Area) -> Result<()>,
    ) -> Result<Chart> {
        let drawing =
            Drawing::new(size, paint).map_err(|error| format!("{}: {error}", self.name))?;
        self.drawings.push(("any", drawing));
        Ok(self)
    }

    /// For the page: every width, of which the style sheet shows one.
    pub fn inline(&self) -> String {
        self.drawings.iter().fold(String::new(), |mut text, (class, drawing)| {
            let label = escaped(&format!("{}. {}", self.title, self.description));
            let _ = writeln!(
                text,
                "<svg class=\"chart {class}\" data-chart=\"{}\" role=\"img\" aria-label=\"{label}\" \
                 viewBox=\"0 0 {} {}\" style=\"max-width:{}px\">{}</svg>",
                self.name,
                drawing.width * FINE,
                drawing.height * FINE,
                drawing.width,
                drawing.shapes,
            );
            text
        })
    }

    /// A file of its own, with its colours; the widest drawing.
    pub fn alone(&self) -> String {
        let Some((_, drawing)) = self.drawings.first() else { return String::new() };
        let Drawing { width, height, shapes } = drawing;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {} {}\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{}\
             text{{font-family:system-ui,sans-serif}}</style>\n\
             <rect width=\"100%\" height=\"100%\" style=\"fill:{}\"/>\n{shapes}</svg>\n",
            width * FINE,
            height * FINE,
            escaped(&self.title),
            escaped(&self.description),
            ink::variables(),
            Ink::GROUND.variable(),
        )
    }
}

impl Drawing {
    fn new(
        (width, height): (i32, i32),
        paint: impl FnOnce(&Area) -> Result<()>,
    ) -> Result<Drawing> {
        let mut svg = String::new();
        let size = (u32::try_from(width * FINE)?, u32::try_from(height * FINE)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area)?;
        area.present()?;
        drop(area);
        let shapes = between(&svg, ">", "</svg>").ok_or("plotters wrote no SVG")?;
        let shapes = ink::replace_stand_ins(shapes)
            .replace(" opacity=\"1\"", "")
            .replace(" stroke=\"none\"", "")
            .replace(" font-family=\"sans-serif\"", "");
        Ok(Drawing { width, height, shapes: named(&shapes) })
    }
}

/// What stands between the first `start` and the last `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.rsplit_once(end)?.0)
}

/// Writes each contender's name beside its ink, so that a page can find what belongs to it.
fn named(shapes: &str) -> String {
    let mut text = shapes.to_owned();
    for contender in crate::contenders::ALL {
        for paint in ["fill", "stroke"] {
            let style = format!("style=\"{paint}:var(--{})", contender.name);
            text = text.replace(&style, &format!("data-series=\"{}\" {style}", contender.name));
        }
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Pixels as units of a drawing.
pub const fn px(pixels: i32) -> i32 {
    pixels * FINE
}

/// How words are set.
#[derive(Clone, Copy)]
pub struct Words {
    pub ink: Ink,
    /// Pixels.
    pub size: i32,
    pub bold: bool,
    pub across: HPos,
    pub down: VPos,
}

impl Words {
    /// Small, from here to the right, centred on the line.
    pub const fn left(ink: Ink) -> Words {
        Words { ink, size: SMALL, bold: false, across: HPos::Left, down: VPos::Center }
    }

    pub const fn right(ink: Ink) -> Words {
        Words { across: HPos::Right, ..Words::left(ink) }
    }

    pub const fn centre(ink: Ink) -> Words {
        Words { across: HPos::Center, ..Words::left(ink) }
    }

    pub const fn bold(self) -> Words {
        Words { bold: true, ..self }
    }

    pub const fn sized(self, size: i32) -> Words {
        Words { size, ..self }
    }

    fn style<'a>(self) -> TextStyle<'a> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        let size = f64::from(px(self.size)) * PLOTTERS_SHRINKS;
        let font = FontDesc::new(FontFamily::SansSerif, size, style);
        TextStyle {
            color: self.ink.stand_in().to_backend_color(),
            pos: Pos::new(self.across, self.down),
            ..TextStyle::from(font)
        }
    }
}

/// Draws a plot's axes, with lines across but none up; about so many labels below.
pub fn draw_axes(plot: &mut Plot, labels: usize) -> Result<()> {
    let style = Ink::GRID.stand_in().stroke_width(4);
    plot.configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(style)
        .axis_style(style)
        .set_all_tick_mark_size(px(4))
        .label_style(Words::left(Ink::MUTED).style())
        .x_labels(labels)
        .y_labels(6)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .draw()?;
    Ok(())
}

/// About as wide as these words become, in units: nothing here knows the reader's font.
pub fn words_width(words: &str, size: i32) -> i32 {
    words.chars().count() as i32 * px(size) * 3 / 5
}

/// Sets words; `at` is in units.
pub fn words(area: &Area, at: (i32, i32), text: &str, style: Words) -> Result<()> {
    Ok(area.draw_text(text, &style.style(), at)?)
}

/// A line through points in units, `width` in quarters of a pixel.
pub fn line(area: &Area, points: Vec<(i32, i32)>, ink: Ink, width: u32) -> Result<()> {
    Ok(area.draw(&PathElement::new(points, ink.stand_in().stroke_width(width)))?)
}

/// The same without the ink's gaps: what leads from a name to its line or point.
pub fn leader(area: &Area, from: (i32, i32), to: (i32, i32), ink: Ink) -> Result<()> {
    Ok(area.draw(&PathElement::new(vec![from, to], ink.solid().stroke_width(3)))?)
}

/// A filled rectangle between two corners in units.
pub fn bar(area: &Area, from: (i32, i32), to: (i32, i32), ink: Ink, share: f64) -> Result<()> {
    Ok(area.draw(&Rectangle::new([from, to], ink.stand_in().mix(share).filled()))?)
}

/// An outline between two corners in units.
pub fn frame(area: &Area, from: (i32, i32), to: (i32, i32), ink: Ink) -> Result<()> {
    Ok(area.draw(&Rectangle::new([from, to], ink.solid().stroke_width(1)))?)
}

/// A contender's point: full, or hollow where its line has gaps.
pub fn point(area: &Area, at: (i32, i32), ink: Ink) -> Result<()> {
    const RADIUS: i32 = px(5);
    if ink.has_gaps() {
        area.draw(&Circle::new(at, RADIUS, Ink::GROUND.stand_in().filled()))?;
        return Ok(area.draw(&Circle::new(at, RADIUS, ink.solid().stroke_width(8)))?);
    }
    Ok(area.draw(&Circle::new(at, RADIUS, ink.stand_in().filled()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let chart = Chart::new("a".into(), "A & B".into(), "two".into(), vec!["system".into()]);
        let size = |fit: Fit| (fit.choose(100, 50), 20);
        let drawn = chart.draw(size, |area, _| {
            words(area, (px(1), px(1)), "x < y", Words::left(Ink::contender("system")))?;
            bar(area, (0, 0), (px(2), px(2)), Ink::contender("system"), 0.5)
        });
        drawn.expect("a chart")
    }

    #[test]
    fn a_chart_is_drawn_for_both_widths_and_names_its_series() {
        let text = chart().inline();
        assert_eq!(text.matches("<svg").count(), 2);
        assert!(text.contains("viewBox=\"0 0 200 80\""), "{text}");
        assert!(text.contains("data-series=\"system\" style=\"fill:var(--system)\""), "{text}");
        assert!(text.contains("aria-label=\"A &amp; B. two\""), "{text}");
        assert!(text.contains("x &lt; y"), "{text}");
    }

    #[test]
    fn a_file_of_its_own_brings_its_colours_and_asks_for_nothing() {
        let text = chart().alone();
        assert!(text.starts_with("<svg xmlns") && text.contains("prefers-color-scheme:dark"));
        assert_eq!(text.matches("http").count(), 1, "{text}");
        assert!(!text.contains("#01"), "{text}");
    }
}
