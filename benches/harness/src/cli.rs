//! The command line of `cargo retention`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::children::Children;
use crate::contenders::{self, Accounts, Contender};
use crate::machine::Machine;
use crate::results::{Results, Settings};
use crate::session::Session;
use crate::workloads::{self, Workload};
use crate::{Result, corpus, interrupt, runner, stage, tables};

const EXAMPLES: &str = "\
Examples:
  cargo retention                                   everything, in a few minutes
  cargo retention list                              the workloads and the contenders
  cargo retention run --workload deepcopy           one workload under every contender
  cargo retention run --workload pickle,unpickle --contender return-arenas,system
  cargo retention run --workload index --input src  real input of your own
  cargo retention run --scale 100                   a quick look: a hundredth of the elements
  cargo retention run --json out.json               every sample, for further use

Exit codes: 0 all measured, 1 a run failed, 2 a wrong name or argument, 130 interrupted.";

/// What does each retention policy hold on to, and what does it cost?
///
/// Runs small programs, each under highwater on every rung of its ladder and under the system's allocator, one
/// fresh process for each. Prints for every statement the resident memory after it, beside the allocator's own
/// figures; then, for each program, the contenders beside each other: resident memory at the peak, after the
/// program dropped what it had, and after idling for a second.
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
}

#[derive(Args)]
struct RunArgs {
    /// Workloads to run, with commas between; all of them if not given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = workload_parser())]
    workload: Vec<&'static Workload>,
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
}

/// Runs the command line; `tally` is the allocator of this process.
pub fn main(tally: &'static dyn Accounts) -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Action::List) => print_list(),
        Some(Action::Run(args)) => run(&args, tally),
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
    let results = Results {
        machine,
        settings,
        workloads: session.run(&mut out)?,
    };
    if let Some(file) = json {
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, &results)?;
        file.flush()?;
    }
    Ok(if results.any_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn session(args: &RunArgs, tally: &'static dyn Accounts) -> Result<Session> {
    let workloads = chosen(&args.workload, workloads::ALL, |workload| workload.name);
    let contenders = chosen(&args.contender, contenders::ALL, |contender| contender.name);
    let inputs = match &args.input {
        Some(folder) => vec![folder.clone()],
        None => corpus::dependency_folders()?,
    };
    Ok(Session {
        workloads,
        contenders,
        scale: args.scale,
        inputs,
        children: Children::build()?,
        tally,
    })
}

fn settings(args: &RunArgs, session: &Session) -> Settings {
    Settings {
        workloads: session
            .workloads
            .iter()
            .map(|workload| workload.name)
            .collect(),
        contenders: session
            .contenders
            .iter()
            .map(|contender| contender.name)
            .collect(),
        scale: args.scale,
        input: args.input.clone(),
        idle_ms: stage::IDLE.as_millis(),
        timeout_ms: runner::TIMEOUT.as_millis(),
    }
}

/// What was asked for, each once and in that order; everything if nothing was.
fn chosen<T>(
    asked: &[&'static T],
    all: &'static [T],
    name: impl Fn(&T) -> &'static str,
) -> Vec<&'static T> {
    if asked.is_empty() {
        return all.iter().collect();
    }
    let mut chosen: Vec<&'static T> = Vec::new();
    for &one in asked {
        if !chosen.iter().any(|other| name(other) == name(one)) {
            chosen.push(one);
        }
    }
    chosen
}

fn workload_parser() -> impl TypedValueParser<Value = &'static Workload> {
    PossibleValuesParser::new(workloads::ALL.iter().map(|workload| workload.name))
        .map(|name| workloads::find(&name).expect("clap lets only names of the table through"))
}

fn contender_parser() -> impl TypedValueParser<Value = &'static Contender> {
    PossibleValuesParser::new(contenders::ALL.iter().map(|contender| contender.name))
        .map(|name| contenders::find(&name).expect("clap lets only names of the table through"))
}

fn folder(path: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_dir() {
        Ok(path)
    } else {
        Err("not a folder".to_owned())
    }
}

/// The file is made before anything runs, so that a wrong path costs no minutes.
fn create(path: &PathBuf) -> Result<File> {
    Ok(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
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
        let Ok(Cli {
            command: Some(Action::Run(args)),
            ..
        }) = parse("x run --workload fork,sizes,fork --scale 7")
        else {
            panic!("a good command line is refused");
        };
        let names: Vec<&str> = chosen(&args.workload, workloads::ALL, |workload| workload.name)
            .iter()
            .map(|workload| workload.name)
            .collect();
        assert_eq!(names, ["fork", "sizes"]);
        assert_eq!(args.scale, 7);
        assert_eq!(
            chosen(&args.contender, contenders::ALL, |contender| contender.name).len(),
            contenders::ALL.len()
        );
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        for (line, right) in [
            ("x run --workload fokr", "flat-read"),
            ("x --contender glibc", "never-shrink"),
        ] {
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
