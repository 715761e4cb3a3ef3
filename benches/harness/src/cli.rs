//! The command line of `cargo retention`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::children::Children;
use crate::contenders::{self, Accounts, Contender};
use crate::instructions::InstructionsArgs;
use crate::machine::Machine;
use crate::results::{Results, Settings};
use crate::session::Session;
use crate::speed::cli::{GrowthArgs, SpeedArgs};
use crate::workloads::{self, Group, Workload};
use crate::{Result, corpus, instructions, interrupt, runner, speed, tables};

const EXAMPLES: &str = "\
Examples:
  cargo retention                                   the essay's workloads, in a few minutes
  cargo retention list                              the workloads and the contenders
  cargo retention run --workload deepcopy           one workload under every contender
  cargo retention run --workload pickle,unpickle --contender return-arenas,system
  cargo retention run --workload index --input src  real input of your own
  cargo retention run --workload giving-back        the other group: against the bound, at which price
  cargo retention run --scale 100                   a quick look: a hundredth of the elements
  cargo retention run --json out.json               every sample, for further use
  cargo retention speed                             how fast, row by row, beside the others; some minutes
  cargo retention speed --features peers            the same with mimalloc, jemalloc, snmalloc, ... among them
  cargo retention speed --quick                     to see that it works, in under a minute
  cargo retention speed --rows json,markdown --json out.json --chart out.svg
  cargo retention growth                            ever more live blocks, ever more threads

The peers (mimalloc, jemalloc, snmalloc, rusty_alloc) need a C++ compiler, and to `run` a tool built for them:
  cargo run --release --manifest-path benches/harness/Cargo.toml --bin retention --features peers -- run ...

Exit codes: 0 all measured, 1 a run failed, 2 a wrong name or argument, 130 interrupted.";

/// What does each retention policy hold on to, and what does it cost?
///
/// Runs small programs, each under highwater on every rung of its ladder and under the system's allocator, one
/// fresh process for each. Prints for every statement the resident memory after it, beside the allocator's own
/// figures; then, for each program, the contenders beside each other: resident memory at the peak, after the
/// program dropped what it had, and after idling for a second.
///
/// There are two groups of workloads. `essay` runs if nothing else is asked for. `giving-back` shows what goes home
/// after a drop and after 1, 2 and 5 s of idling, against the bound: the OS pages that hold a survivor.
#[derive(Parser)]
#[command(name = "cargo retention", bin_name = "cargo retention", after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand)]
enum Action {
    /// Name the workloads and the contenders
    List,
    /// Run some or all of them (the default)
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Time highwater beside the others, row by row, interleaved
    Speed(SpeedArgs),
    /// Time it with ever more live blocks and threads, and see what it costs before it is used
    Growth(GrowthArgs),
    /// Count the instructions of each path through the allocator, beside their ceilings; needs valgrind
    Instructions(InstructionsArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Workloads or groups of them to run, with commas between [default: essay]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = workload_parser())]
    workload: Vec<Wanted>,
    /// Contenders to run them under, with commas between; all of them if not given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = contender_parser())]
    contender: Vec<&'static Contender>,
    /// The folder whose text files `index` reads [default: the sources of the harness's own dependencies]
    #[arg(long, value_name = "DIR", value_parser = folder)]
    input: Option<PathBuf>,
    /// Write every sample to this file, with machine and settings
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Divide every element count by N, for a quick look
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    scale: u64,
    /// How long a second of idling is, for tests that cannot wait
    #[arg(long, value_name = "MS", default_value_t = 1_000, hide = true)]
    second_ms: u64,
}

/// A name after `--workload`.
#[derive(Clone, Copy)]
enum Wanted {
    Workload(&'static Workload),
    Group(Group),
}

impl Wanted {
    fn find(name: &str) -> Option<Wanted> {
        let group = Group::ALL.into_iter().find(|group| group.name() == name);
        group.map(Wanted::Group).or_else(|| workloads::find(name).map(Wanted::Workload))
    }

    fn workloads(self) -> Vec<&'static Workload> {
        match self {
            Wanted::Workload(workload) => vec![workload],
            Wanted::Group(group) => group.workloads().collect(),
        }
    }
}

/// Runs the command line; `tally` is the allocator of this process.
pub fn main(tally: &'static dyn Accounts) -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Action::List) => print_list(),
        Some(Action::Run(args)) => run(&args, tally),
        Some(Action::Speed(args)) => speed::cli::speed(&args),
        Some(Action::Growth(args)) => speed::cli::growth(&args),
        Some(Action::Instructions(args)) => instructions::run(&args),
        None => run(&cli.run, tally),
    };
    if interrupt::requested() {
        eprintln!("interrupted");
        return ExitCode::from(interrupt::EXIT_CODE);
    }
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_list() -> Result<ExitCode> {
    write!(io::stdout(), "{}", tables::catalogue())?;
    Ok(ExitCode::SUCCESS)
}

fn run(args: &RunArgs, tally: &'static dyn Accounts) -> Result<ExitCode> {
    let json = args.json.as_ref().map(create).transpose()?;
    interrupt::install()?;
    let session = session(args, tally)?;
    let mut out = io::stdout();
    let machine = Machine::here();
    writeln!(out, "{}", machine.line())?;
    let settings = settings(args, &session);
    let results = Results { machine, settings, workloads: session.run(&mut out)? };
    if let Some(file) = json {
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, &results)?;
        file.flush()?;
    }
    Ok(if results.any_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn session(args: &RunArgs, tally: &'static dyn Accounts) -> Result<Session> {
    let workloads = wanted_workloads(&args.workload);
    let mut contenders = wanted_contenders(&args.contender);
    let children = Children::build(&contenders)?;
    contenders.retain(|contender| children.can_run(contender));
    let inputs = match &args.input {
        Some(folder) => vec![folder.clone()],
        None => corpus::dependency_folders()?,
    };
    Ok(Session {
        workloads,
        contenders,
        scale: args.scale,
        second_ms: args.second_ms,
        inputs,
        children,
        tally,
    })
}

fn settings(args: &RunArgs, session: &Session) -> Settings {
    Settings {
        workloads: session.workloads.iter().map(|workload| workload.name).collect(),
        contenders: session.contenders.iter().map(|contender| contender.name).collect(),
        scale: args.scale,
        input: args.input.clone(),
        second_ms: args.second_ms,
        timeout_ms: runner::TIMEOUT.as_millis(),
    }
}

/// The workloads that were asked for; the essay's if none was.
fn wanted_workloads(asked: &[Wanted]) -> Vec<&'static Workload> {
    let asked = if asked.is_empty() { &[Wanted::Group(Group::Essay)] } else { asked };
    let workloads = asked.iter().flat_map(|wanted| wanted.workloads());
    each_once(workloads, |workload| workload.name)
}

/// The contenders that were asked for; all that there are if none was.
fn wanted_contenders(asked: &[&'static Contender]) -> Vec<&'static Contender> {
    if asked.is_empty() {
        return contenders::here().collect();
    }
    each_once(asked.iter().copied(), |contender| contender.name)
}

/// Each once, where it stands first.
fn each_once<T>(
    asked: impl Iterator<Item = &'static T>,
    name: impl Fn(&T) -> &'static str,
) -> Vec<&'static T> {
    let mut chosen: Vec<&'static T> = Vec::new();
    for one in asked {
        if !chosen.iter().any(|other| name(other) == name(one)) {
            chosen.push(one);
        }
    }
    chosen
}

fn workload_parser() -> impl TypedValueParser<Value = Wanted> {
    let groups = Group::ALL.iter().map(|group| group.name());
    let names = groups.chain(workloads::ALL.iter().map(|workload| workload.name));
    PossibleValuesParser::new(names)
        .map(|name| Wanted::find(&name).expect("clap lets only names of the table through"))
}

fn contender_parser() -> impl TypedValueParser<Value = &'static Contender> {
    PossibleValuesParser::new(contenders::here().map(|contender| contender.name))
        .map(|name| contenders::find(&name).expect("clap lets only names of the table through"))
}

fn folder(path: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_dir() { Ok(path) } else { Err("not a folder".to_owned()) }
}

/// The file is made before anything runs, so that a wrong path costs no minutes.
fn create(path: &PathBuf) -> Result<File> {
    Ok(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> std::result::Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn names_are_split_at_commas_and_each_runs_once() {
        let Ok(Cli { command: Some(Action::Run(args)), .. }) =
            parse("x run --workload fork,sizes,fork --scale 7")
        else {
            panic!("a good command line is refused");
        };
        let names: Vec<&str> =
            wanted_workloads(&args.workload).iter().map(|workload| workload.name).collect();
        assert_eq!(names, ["fork", "sizes"]);
        assert_eq!(args.scale, 7);
        assert_eq!(wanted_contenders(&args.contender).len(), contenders::here().count());
    }

    #[test]
    fn a_group_stands_for_its_workloads_and_the_essay_for_nothing_said() {
        let names = |line: &str| -> Vec<&str> {
            let cli = parse(line).unwrap_or_else(|error| panic!("{error}"));
            wanted_workloads(&cli.run.workload).iter().map(|workload| workload.name).collect()
        };
        let essay: Vec<&str> = Group::Essay.workloads().map(|workload| workload.name).collect();
        assert_eq!(names("x"), essay);
        let back = names("x --workload spike,giving-back");
        assert_eq!((back[0], back.len()), ("spike", Group::GivingBack.workloads().count()));
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        for (line, right) in
            [("x run --workload fokr", "flat-read"), ("x --contender glibc", "never-shrink")]
        {
            let error = parse(line).err().expect("a wrong name");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(right), "{error}");
        }
    }

    #[test]
    fn a_scale_of_zero_and_a_missing_folder_are_refused() {
        assert!(parse("x run --scale 0").is_err());
        assert!(parse("x run --input no/such/folder").is_err());
    }
}
