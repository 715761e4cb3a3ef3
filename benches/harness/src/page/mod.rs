//! The page that people look at: one HTML file with everything in it, and each chart as an SVG file of its own.
//!
//! ```text
//!   cli      cargo retention report: runs, keeps the JSON, writes the page
//!   html     the page: header, a section for each workload, tables
//!   curve, multiples, trade_off, heap_map      one kind of chart each
//!   canvas   plotters, in colours that a style sheet chooses     ink   those colours, light and dark
//!   cells    results to the figures that charts show
//! ```
//!
//! Charts are drawn by plotters, which the bar chart of `speed` uses too: it is kept well, writes SVG without any
//! font or window of the system, and draws axes as well as single shapes, which the heap map needs.

mod canvas;
mod cells;
pub mod cli;
mod curve;
mod heap_map;
mod html;
mod ink;
mod labels;
mod multiples;
mod trade_off;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::results::Results;

/// Writes the page and its charts into `folder`, and hands back the page's path.
///
/// # Errors
///
/// A sentence, if a file cannot be written or a chart not drawn.
pub fn write(results: &Results, folder: &Path) -> Result<PathBuf> {
    let page = html::Page::of(results)?;
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    };
    for chart in page.charts() {
        write(&format!("{}.svg", chart.name), &chart.alone())?;
    }
    write("report.html", &page.text())
}
