//! The page itself: what was measured and where, then a section for each workload. Nothing is loaded from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::canvas::Chart;
use super::cells::{self, Cell};
use super::heap_map::{self, Sum};
use super::ink::{self, Ink};
use super::{curve, multiples, trade_off};
use crate::machine::Machine;
use crate::results::{Outcome, Results, Settings, WorkloadResult};
use crate::text::{grouped, mib, number, or_none, times};
use crate::{Result, contenders, tables, workloads};

/// Bytes in a slot of the heap map.
const OS_PAGE_BYTES: u64 = 4 << 10;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, its charts drawn.
pub struct Page<'a> {
    results: &'a Results,
    summary: Option<Chart>,
    maps: Vec<(Sum, Chart)>,
    map_legend: Chart,
    sections: Vec<Section<'a>>,
}

/// One workload.
struct Section<'a> {
    result: &'a WorkloadResult,
    cells: Vec<Cell<'a>>,
    curve: Option<Chart>,
    multiples: Option<Chart>,
    trade_off: Option<Chart>,
}

impl<'a> Section<'a> {
    fn of(result: &'a WorkloadResult) -> Result<Section<'a>> {
        let cells = cells::of(result);
        Ok(Section {
            curve: curve::chart(result, &cells)?,
            multiples: multiples::chart(result, &cells)?,
            trade_off: trade_off::chart(result, &cells)?,
            result,
            cells,
        })
    }

    fn charts(&self) -> impl Iterator<Item = &Chart> {
        [&self.curve, &self.multiples, &self.trade_off].into_iter().flatten()
    }
}

impl<'a> Page<'a> {
    /// Draws everything.
    ///
    /// # Errors
    ///
    /// A sentence, if a chart cannot be drawn.
    pub fn of(results: &'a Results) -> Result<Page<'a>> {
        Ok(Page {
            results,
            summary: trade_off::summary(results)?,
            maps: heap_map::charts(&results.maps)?,
            map_legend: heap_map::legend()?,
            sections: results.workloads.iter().map(Section::of).collect::<Result<_>>()?,
        })
    }

    /// Every chart, in the order of the page.
    pub fn charts(&self) -> impl Iterator<Item = &Chart> {
        let maps = self.maps.iter().map(|(_, chart)| chart);
        let legend = Some(&self.map_legend).filter(|_| !self.maps.is_empty());
        let sections = self.sections.iter().flat_map(Section::charts);
        self.summary.iter().chain(maps).chain(legend).chain(sections)
    }

    /// The page as HTML.
    pub fn text(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "What each retention policy holds" }
                    // An icon of nothing: browsers ask for one otherwise.
                    link rel="icon" href="data:,";
                    style { (PreEscaped(ink::variables())) (PreEscaped(STYLE)) }
                }
                body {
                    (self.head())
                    (self.navigation())
                    main {
                        (self.overview())
                        (self.heap_maps())
                        @for section in &self.sections { (workload(section)) }
                        (self.method())
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        page.into_string()
    }

    fn head(&self) -> Markup {
        let Results { machine, settings, .. } = self.results;
        html! {
            header {
                h1 { "What each retention policy holds, and what it costs" }
                p.lede {
                    (settings.contenders.len()) " contenders, " (settings.workloads.len()) " workloads. "
                    "Each line is a process of its own: it makes objects, drops most of them, and rests. "
                    "What it still holds then is what its allocator keeps."
                }
                (facts(machine, settings))
                @if self.results.interrupted {
                    p.failed { "Interrupted: what was measured until then is shown." }
                }
                @for name in &settings.left_out {
                    p.failed { (name) " did not build here, and was left out." }
                }
            }
        }
    }

    fn navigation(&self) -> Markup {
        html! {
            nav aria-label="Contenders and sections" {
                div.chips role="group" aria-label="Show one contender in all charts" {
                    @for name in &self.results.settings.contenders {
                        button type="button" data-pick=(name) aria-pressed="false" title=(about(name)) {
                            span.swatch .gaps[Ink::contender(name).has_gaps()]
                                style={ "--ink:" (Ink::contender(name).variable()) } {}
                            (name)
                        }
                    }
                }
                div.links {
                    a href="#overview" { "overview" }
                    @if !self.maps.is_empty() { a href="#heap-map" { "heap map" } }
                    @for section in &self.sections {
                        a href={ "#" (section.result.workload) } { (section.result.workload) }
                    }
                }
            }
        }
    }

    fn overview(&self) -> Markup {
        html! {
            section #overview {
                h2 { "The trade-off" }
                @if let Some(chart) = &self.summary {
                    p { "Lower is less memory held once the work is done, further left is less processor time. "
                        "The grey line follows highwater's ladder, from the rung that never shrinks. "
                        "The dotted line is the bound: the OS pages on which a survivor lies." }
                    (figure(chart))
                }
                h3 { "MiB held after the rest" }
                div.scroll { (self.held()) }
            }
        }
    }

    /// MiB that a contender holds in all workloads; `None` if it failed in one.
    fn held_together(&self, name: &str) -> Option<f64> {
        let held = |section: &Section| {
            section.cells.iter().find(|cell| cell.contender == name).and_then(Cell::idle_mib)
        };
        self.sections.iter().map(held).sum()
    }

    /// A row for each contender, a column for each workload.
    fn held(&self) -> Markup {
        html! {
            table {
                thead { tr {
                    th scope="col" { "contender" }
                    th.number scope="col" { "together" }
                    @for section in &self.sections {
                        th.number scope="col" { a href={ "#" (section.result.workload) } { (section.result.workload) } }
                    }
                } }
                tbody {
                    @for name in &self.results.settings.contenders { tr data-row=(name) {
                        th scope="row" { (name) }
                        td.number { b { (or_none(self.held_together(name), number)) } }
                        @for section in &self.sections { (held_cell(section, name)) }
                    } }
                    tr.bound {
                        th scope="row" { "bound" }
                        td.number {}
                        @for section in &self.sections {
                            td.number { (or_none(cells::lowest_bound_mib(&section.cells), number)) }
                        }
                    }
                }
            }
        }
    }

    fn heap_maps(&self) -> Markup {
        html! { @if !self.maps.is_empty() {
            section #heap-map {
                h2 { "Why arenas cannot be returned" }
                p { "One row is one arena of 1 MiB, one cell a pool. An arena can go home only when its whole row "
                    "holds no block. After 99% of all objects were freed at random, hardly a row is without one. "
                    "Pools, and still more so OS pages, are small enough to be empty." }
                (PreEscaped(self.map_legend.inline()))
                div.maps { @for map in &self.maps { (heap_map(map)) } }
                @for result in &self.results.maps {
                    @if let Some(reason) = &result.failed { p.failed { (result.contender) " failed: " (reason) } }
                }
            }
        } }
    }

    fn method(&self) -> Markup {
        html! {
            section #method {
                h2 { "How to read this" }
                ul {
                    li { "Every contender runs every workload once, in a fresh process. Memory repeats to within a MiB; "
                        "times do not: on a shared machine they may differ by a third from run to run." }
                    li { "The processes of one workload take turns at working, and rest beside each other." }
                    li { "In the curves the work and the rest have a scale of their own each, so that short work is seen." }
                    li { "A processor's nanoseconds for each allocation are all that the program used, over the number of its "
                        "allocations: making, reading and freeing the objects, and what giving back costs." }
                    li { "Resident memory is over each process's own baseline. The curves are read from outside every "
                        "10 ms, the figures by the process itself after each statement." }
                    li { "Live bytes are those of one more process that counts what is asked for, at its own speed." }
                    li { "Refaults are the minor faults of a fixed piece of work after the rest; system calls are those "
                        "about memory, as far as the allocator counts them." }
                    li { "The bound is the memory of all OS pages that hold a survivor. Each contender has its own; the "
                        "lowest is drawn." }
                }
                h3 { "The contenders" }
                dl.contenders {
                    @for name in &self.results.settings.contenders { dt { (name) } dd { (about(name)) } }
                }
            }
        }
    }
}

/// One map, and what it shows in numbers.
fn heap_map((sum, chart): &(Sum, Chart)) -> Markup {
    html! {
        figure data-figure=(chart.name) {
            figcaption { b { (chart.title) } }
            (PreEscaped(chart.inline()))
            figcaption {
                (grouped(sum.arenas as u64)) " arenas, " (sum.arenas_empty) " without a block. "
                (grouped(sum.pools as u64)) " pools, " (grouped(sum.pools_empty as u64)) " without. "
                b { (mib(sum.os_pages_purged * OS_PAGE_BYTES)) " of " (mib(sum.os_pages * OS_PAGE_BYTES))
                    " MiB went home." }
            }
        }
    }
}

fn facts(machine: &Machine, settings: &Settings) -> Markup {
    let memory = or_none(machine.memory_bytes, |bytes| format!("{} GiB", bytes >> 30));
    let huge = machine.transparent_huge_pages.as_deref().unwrap_or("unknown");
    html! {
        dl.facts {
            dt { "machine" }
            dd { (machine.cpus) " processors (" (machine.arch) "), " (memory) ", OS pages of "
                (machine.os_page_bytes >> 10) " KiB, transparent huge pages: " (huge) }
            dt { "kernel" } dd { (machine.kernel) }
            dt { "toolchain" } dd { (machine.rustc) ", " (machine.target) }
            dt { "commit" } dd { (machine.commit.as_deref().unwrap_or("unknown")) }
            dt { "date" } dd { (machine.date) }
            dt { "settings" }
            dd { "element counts / " (settings.scale)
                @if settings.second_ms != 1_000 { ", a second of rest is " (settings.second_ms) " ms" }
                @for (key, value) in &machine.environment { ", " (key) "=" (value) } }
        }
    }
}

fn about(name: &str) -> &'static str {
    contenders::find(name).map_or("not known to this version", |contender| contender.about)
}

fn held_cell(section: &Section, name: &str) -> Markup {
    let run = section.result.runs.iter().find(|run| run.contender == name);
    let cell = section.cells.iter().find(|cell| cell.contender == name);
    let held = cell.and_then(Cell::idle_mib);
    let bound = cell.and_then(Cell::bound_mib).filter(|&bound| bound > 1.0);
    html! {
        @match run.map(|run| &run.outcome) {
            Some(Outcome::Failed { failed }) => td.failed title=(failed) { "failed" },
            _ => td.number {
                (or_none(held, number))
                @if let (Some(held), Some(bound)) = (held, bound) { span.times { (times(held / bound)) "× bound" } }
            },
        }
    }
}

fn figure(chart: &Chart) -> Markup {
    let series = chart.series.join(" ");
    html! { figure data-figure=(chart.name) data-contenders=(series) { (PreEscaped(chart.inline())) } }
}

fn workload(section: &Section) -> Markup {
    let result = section.result;
    let known = workloads::find(&result.workload);
    html! {
        section id=(result.workload) {
            h2 { (result.workload) }
            p { (known.map_or("a workload that this version does not know", |it| it.about))
                @if let Some(ruler) = &result.ruler {
                    "; " (grouped(ruler.allocations)) " allocations here, " (mib(ruler.live_bytes_peak)) " MiB live at the peak" } }
            @for run in &result.runs {
                @if let Outcome::Failed { failed } = &run.outcome {
                    p.failed { (run.contender) " failed: " (failed) }
                }
            }
            @for chart in section.charts() { (figure(chart)) }
            (line_by_line(result))
        }
    }
}

/// The tables, folded up: the comparison, then each contender's statements.
fn line_by_line(result: &WorkloadResult) -> Markup {
    let (heads, rows) = tables::comparison_cells(result);
    html! {
        details {
            summary { "Tables: all figures, and line by line" }
            div.scroll { (table(&heads, &rows)) }
            @for run in &result.runs {
                @if let Some(report) = run.report() {
                    h3 { (run.contender) span.aside { " " (report.allocator) ", MiB" } }
                    div.scroll { (table(&tables::LINE_HEADS, &tables::line_cells(report))) }
                }
            }
        }
    }
}

/// A table whose columns are numbers, but for words and statements.
fn table(heads: &[&str], rows: &[Vec<String>]) -> Markup {
    const WORDS: [&str; 3] = ["contender", "statement", "target"];
    let is_number = |column: usize| heads.get(column).is_some_and(|head| !WORDS.contains(head));
    let is_code = |column: usize| heads.get(column) == Some(&"statement");
    html! {
        table {
            thead { tr { @for (column, head) in heads.iter().enumerate() {
                th scope="col" .number[is_number(column)] { (head) } } } }
            tbody { @for row in rows { tr { @for (column, cell) in row.iter().enumerate() {
                td .number[is_number(column)] { @if is_code(column) { code { (cell) } } @else { (cell) } } } } } }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::page::cells::tests::{result, run};
    use crate::report::HeapMap;
    use crate::results::{MapResult, Run};

    pub fn results() -> Results {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Results {
            machine: Machine::here(),
            settings: Settings {
                workloads: names(&["survivors-1"]),
                contenders: names(&["system", "return-pages", "keep-arenas"]),
                left_out: names(&["peer-snmalloc"]),
                scale: 4,
                input: None,
                second_ms: 1_000,
                timeout_ms: 1,
            },
            workloads: vec![result(vec![
                run("system"),
                run("return-pages"),
                Run::failed("keep-arenas", "killed by <signal> 9".into()),
            ])],
            interrupted: false,
            maps: vec![MapResult {
                contender: "return-pages".into(),
                maps: vec![HeapMap { moment: "before the drop".into(), arenas: Vec::new() }],
                failed: None,
            }],
        }
    }

    #[test]
    fn the_page_asks_for_nothing_and_names_what_failed() {
        let results = results();
        let text = Page::of(&results).expect("drawn").text();
        for absent in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!text.contains(absent), "{absent}");
        }
        for words in [
            "keep-arenas failed: killed by &lt;signal&gt; 9",
            "peer-snmalloc did not build here",
            "element counts / 4",
            "drop(objects)",
            results.machine.kernel.as_str(),
        ] {
            assert!(text.contains(words), "{words}");
        }
    }

    #[test]
    fn every_chart_has_a_name_of_its_own() {
        let results = results();
        let page = Page::of(&results).expect("drawn");
        let mut names: Vec<&str> = page.charts().map(|chart| chart.name.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (4, 4), "{names:?}");
    }
}
