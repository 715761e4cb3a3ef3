//! The command line of `cargo retention`.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::choice::{Choice, Defaults, Wanted};
use crate::contenders::Accounts;
use crate::instructions::InstructionsArgs;
use crate::machine::Machine;
use crate::page::cli::ReportArgs;
use crate::results::Results;
use crate::session::Order;
use crate::soak::{self, SoakArgs};
use crate::speed::cli::{GrowthArgs, SpeedArgs};
use crate::workloads::Group;
use crate::{Result, instructions, interrupt, page, speed, tables};

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
  cargo retention report                            a page with charts, in less than five minutes
  cargo retention report --features peers           the same with mimalloc, jemalloc, snmalloc, ... among them
  cargo retention report --from results.json        the page drawn again, without running anything
  cargo retention speed                             how fast, row by row, beside the others; some minutes
  cargo retention speed --features peers            the same with mimalloc, jemalloc, snmalloc, ... among them
  cargo retention speed --quick                     to see that it works, in under a minute
  cargo retention speed --rows json,markdown --json out.json --chart out.svg
  cargo retention soak --minutes 60                 no figures: faults
  cargo retention growth                            ever more live blocks, ever more threads

The peers are mimalloc, jemalloc, snmalloc, rusty_alloc and sefer-alloc; most need a C++ compiler. One that does
not build is named and left out.

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
    /// Run a choice of them in a few minutes, and write a page with charts
    #[command(after_help = EXAMPLES)]
    Report(ReportArgs),
    /// Time highwater beside the others, row by row, interleaved
    Speed(SpeedArgs),
    /// Time it with ever more live blocks and threads, and see what it costs before it is used
    Growth(GrowthArgs),
    /// Count the instructions of each path through the allocator, beside their ceilings; needs valgrind
    Instructions(InstructionsArgs),
    /// Look for faults: everything at once, on every rung in turn, every block verified and every sum checked
    Soak(SoakArgs),
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    choice: Choice,
    /// Write every sample to this file, with machine and settings
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The essay's workloads, whole, if nothing else is asked for.
const DEFAULTS: Defaults =
    Defaults { workloads: &[Wanted::Group(Group::Essay)], scale: 1, order: Order::Alone };

/// Runs the command line; `tally` is the allocator of this process.
pub fn main(tally: &'static dyn Accounts) -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Action::List) => print_list(),
        Some(Action::Run(args)) => run(&args, tally),
        Some(Action::Report(args)) => page::cli::report(&args, tally),
        Some(Action::Speed(args)) => speed::cli::speed(&args),
        Some(Action::Growth(args)) => speed::cli::growth(&args),
        Some(Action::Instructions(args)) => instructions::run(&args),
        Some(Action::Soak(args)) => soak::run(&args),
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
    let (session, settings) = args.choice.session(&DEFAULTS, tally)?;
    let mut out = io::stdout();
    let machine = Machine::here();
    writeln!(out, "{}", machine.line())?;
    let progress = session.progress();
    let workloads = session.run(&progress, |workload, result| {
        let text = tables::workload(workload, result);
        Ok(progress.suspend(|| write!(out, "{text}").and_then(|()| out.flush()))?)
    })?;
    progress.finish_and_clear();
    let interrupted = interrupt::requested();
    let results = Results { machine, settings, workloads, interrupted, maps: Vec::new() };
    if let Some(file) = json {
        results.write(file)?;
    }
    Ok(if results.any_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
    use crate::contenders;

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
            args.choice.workloads(&DEFAULTS).iter().map(|workload| workload.name).collect();
        assert_eq!(names, ["fork", "sizes"]);
        let unnamed = contenders::unnamed(contenders::PEERS).count();
        assert_eq!(args.choice.contenders().len(), unnamed);
    }

    #[test]
    fn a_group_stands_for_its_workloads_and_the_essay_for_nothing_said() {
        let names = |line: &str| -> Vec<&str> {
            let cli = parse(line).unwrap_or_else(|error| panic!("{error}"));
            cli.run.choice.workloads(&DEFAULTS).iter().map(|workload| workload.name).collect()
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
