//! The command lines of `cargo retention speed` and `cargo retention growth`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, value_parser};
use highwater_speed::rows::{self, Group, Row};
use serde::Serialize;

use super::build::{Linking, Programs};
use super::figures::{self, Clock, RowFigures, Target};
use super::measure::{Measured, Plan};
use super::{chart, contenders};
use crate::contenders::{Contender, PEERS};
use crate::machine::Machine;
use crate::{Result, interrupt, tables};

const ROUNDS: usize = 5;
/// What `--quick` does: one round of a twentieth of the operations.
const QUICK_ROUNDS: usize = 1;
const QUICK_SCALE: u32 = 20;
const QUICK_REPETITIONS: u32 = 3;
/// Where instructions are counted: one round of a tenth of the operations, as the counter takes fifty times as long.
const COUNTED_ROUNDS: usize = 1;
const COUNTED_SCALE: u32 = 10;

/// What both commands take.
#[derive(Args)]
pub struct Common {
    /// `peers`: the other allocators take part too; most need a C or C++ compiler
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["peers"]))]
    features: Option<String>,
    /// Contenders, with commas between; all of them if not given, the peers only if asked for
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = contender_parser())]
    contender: Vec<&'static Contender>,
    /// Processes for each row and contender [default: 5]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Write every report and all figures to this file, with machine and settings
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// One round of a twentieth of the operations: to see that it works, for no figures
    #[arg(long)]
    quick: bool,
    /// What to measure by; `instructions` does one round of a tenth of the operations, and needs valgrind
    #[arg(long, value_enum, default_value_t = Clock::Wall)]
    clock: Clock,
}

#[derive(Args)]
pub struct SpeedArgs {
    /// Rows, or `small` or `programs` for all of a kind, with commas between; all of them if not given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = rows_parser())]
    rows: Vec<Wanted>,
    /// Draw a bar chart to this file, as SVG
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Build the children without link-time optimisation, so that dependencies call their allocator
    #[arg(long)]
    no_lto: bool,
    /// What counts as level: up to this much above 1.00
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, value_parser = share)]
    tolerance: f64,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct GrowthArgs {
    #[command(flatten)]
    common: Common,
}

/// A name after `--rows`.
#[derive(Clone, Copy)]
pub enum Wanted {
    Row(&'static Row),
    Group(Group),
}

const GROUPS: [(&str, Group); 2] = [("small", Group::Small), ("programs", Group::Programs)];

/// All that was measured, in the shape of the JSON file.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    settings: Settings,
    figures: Vec<RowFigures>,
    targets: Vec<Target>,
    rows: Vec<Measured>,
}

/// What was asked for.
#[derive(Clone, Serialize)]
struct Settings {
    contenders: Vec<&'static str>,
    link_time_optimisation: bool,
    rounds: usize,
    scale: u32,
    clock: Clock,
    tolerance: f64,
}

/// Runs `cargo retention speed`.
///
/// # Errors
///
/// A sentence, if nothing can be built or a file cannot be written. A child that fails is no error, but the exit
/// code is 1.
pub fn speed(args: &SpeedArgs) -> Result<ExitCode> {
    let linking = if args.no_lto { Linking::Plain } else { Linking::Optimised };
    let rows = wanted_rows(&args.rows);
    let session = Session::prepare(&args.common, rows, linking, args.tolerance)?;
    let mut out = io::stdout();
    writeln!(out, "{}", session.heading())?;
    let results = session.run()?;
    let names = &session.settings.contenders;
    let clock = session.settings.clock;
    write!(out, "{}", tables::speed::speed(names, clock, &results.figures, &results.targets))?;
    if let Some(file) = &args.chart {
        chart::draw(file, &session.conditions(), names, &results.figures)?;
    }
    session.finish(&results, &mut out)
}

/// Runs `cargo retention growth`.
///
/// # Errors
///
/// As [`speed`].
pub fn growth(args: &GrowthArgs) -> Result<ExitCode> {
    let groups = [Group::LiveBlocks, Group::LiveBuffers, Group::Threads, Group::Memory];
    let rows = groups.into_iter().flat_map(Group::rows).collect();
    let session = Session::prepare(&args.common, rows, Linking::Optimised, 0.0)?;
    let mut out = io::stdout();
    writeln!(out, "{}", session.heading())?;
    let results = session.run()?;
    let names = &session.settings.contenders;
    let clock = session.settings.clock;
    write!(out, "{}", tables::growth::growth(names, clock, &results.figures, &session.programs))?;
    session.finish(&results, &mut out)
}

/// Everything that stands before the first child.
struct Session {
    plan: Plan,
    programs: Programs,
    linking: Linking,
    settings: Settings,
    machine: Machine,
    json: Option<File>,
}

impl Session {
    fn prepare(
        common: &Common,
        rows: Vec<&'static Row>,
        linking: Linking,
        tolerance: f64,
    ) -> Result<Session> {
        // The file is made before anything runs, so that a wrong path costs no minutes.
        let json = common
            .json
            .as_ref()
            .map(|path| File::create(path).map_err(|error| format!("{}: {error}", path.display())));
        let json = json.transpose()?;
        interrupt::install()?;
        let peers = PEERS || common.features.is_some();
        let mut wanted = wanted_contenders(&common.contender, peers);
        let programs = Programs::build(&wanted, linking)?;
        wanted.retain(|contender| programs.program(contender.binary).is_some());
        let (rounds, scale, repetitions_max) = match (common.quick, common.clock) {
            (true, _) => (QUICK_ROUNDS, QUICK_SCALE, QUICK_REPETITIONS),
            (false, Clock::Instructions) => (COUNTED_ROUNDS, COUNTED_SCALE, u32::MAX),
            (false, _) => (ROUNDS, 1, u32::MAX),
        };
        let rounds = common.rounds.map_or(rounds, usize::from);
        let settings = Settings {
            contenders: wanted.iter().map(|contender| contender.name).collect(),
            link_time_optimisation: linking == Linking::Optimised,
            rounds,
            scale,
            clock: common.clock,
            tolerance,
        };
        let clock = common.clock;
        let plan = Plan { rows, contenders: wanted, rounds, scale, repetitions_max, clock };
        Ok(Session { plan, programs, linking, settings, machine: Machine::here(), json })
    }

    fn heading(&self) -> String {
        format!("{}\n{}", self.machine.line(), self.conditions())
    }

    fn conditions(&self) -> String {
        let Settings { rounds, scale, clock, tolerance, .. } = &self.settings;
        let scale = if *scale == 1 { String::new() } else { format!(", operations / {scale}") };
        format!(
            "{}, {rounds} rounds, {}{scale}; level is up to {:.2}",
            self.linking.phrase(),
            clock.phrase(),
            1.0 + tolerance,
        )
    }

    fn run(&self) -> Result<Results> {
        let rows = self.plan.measure(&self.programs)?;
        let Settings { clock, tolerance, .. } = self.settings;
        let figures: Vec<RowFigures> =
            rows.iter().map(|row| RowFigures::of(row, clock, tolerance)).collect();
        // The targets speak of time and of memory.
        let is_timed = clock != Clock::Instructions;
        let targets = if is_timed { figures::targets(&figures) } else { Vec::new() };
        Ok(Results {
            machine: self.machine.clone(),
            settings: self.settings.clone(),
            figures,
            targets,
            rows,
        })
    }

    /// Tells what failed, and writes the JSON file.
    fn finish(&self, results: &Results, out: &mut impl Write) -> Result<ExitCode> {
        let failures = tables::speed::failures(&results.rows);
        if !failures.is_empty() {
            write!(out, "\n{failures}")?;
        }
        if let Some(file) = &self.json {
            let mut file = BufWriter::new(file);
            serde_json::to_writer_pretty(&mut file, results)?;
            file.flush()?;
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The rows that were asked for, each once, in the order of the table.
fn wanted_rows(asked: &[Wanted]) -> Vec<&'static Row> {
    let groups = [Wanted::Group(Group::Small), Wanted::Group(Group::Programs)];
    let asked = if asked.is_empty() { &groups } else { asked };
    let is_wanted = |row: &Row| {
        asked.iter().any(|wanted| match wanted {
            Wanted::Row(asked) => asked.name == row.name,
            Wanted::Group(group) => *group == row.group,
        })
    };
    rows::ALL.iter().filter(|row| is_wanted(row)).collect()
}

/// The contenders that were asked for, in the order of the table, and always highwater, with which the others are
/// compared.
fn wanted_contenders(asked: &[&'static Contender], peers: bool) -> Vec<&'static Contender> {
    if asked.is_empty() {
        return contenders::unnamed(peers).collect();
    }
    let is_wanted = |contender: &&'static Contender| {
        contenders::kind(contender.name) == contenders::Kind::Own
            || asked.iter().any(|asked| asked.name == contender.name)
    };
    contenders::ALL.iter().filter(is_wanted).collect()
}

fn rows_parser() -> impl TypedValueParser<Value = Wanted> {
    let groups = GROUPS.iter().map(|(name, _)| *name);
    PossibleValuesParser::new(groups.chain(rows::ALL.iter().map(|row| row.name))).map(|name| {
        let group = GROUPS.iter().find(|(group, _)| *group == name);
        match group {
            Some((_, group)) => Wanted::Group(*group),
            None => {
                Wanted::Row(rows::find(&name).expect("clap lets only names of the table through"))
            }
        }
    })
}

fn contender_parser() -> impl TypedValueParser<Value = &'static Contender> {
    PossibleValuesParser::new(contenders::ALL.iter().map(|contender| contender.name))
        .map(|name| contenders::find(&name).expect("clap lets only names of the table through"))
}

fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number between 0 and 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_run_each_once_in_the_order_of_the_table() {
        let row = |name| Wanted::Row(rows::find(name).expect("a row"));
        let wanted = wanted_rows(&[row("json"), row("pair-64"), Wanted::Group(Group::Small)]);
        let small = Group::Small.rows().count();
        assert_eq!((wanted[1].name, wanted.len()), ("pair-64", small + 1));
        assert_eq!(wanted[small].name, "json");
        assert!(wanted_rows(&[]).iter().all(|row| row.group != Group::Memory));
    }

    #[test]
    fn highwater_takes_part_though_another_is_asked_for() {
        let system = contenders::find("system").expect("a contender");
        let names: Vec<&str> =
            wanted_contenders(&[system], false).iter().map(|contender| contender.name).collect();
        assert_eq!(names, ["highwater", "system"]);
    }

    #[test]
    fn a_tolerance_is_a_share() {
        assert_eq!(share("0.03"), Ok(0.03));
        assert!(share("3").is_err() && share("x").is_err());
    }
}
