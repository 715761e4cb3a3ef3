//! The command line of `cargo retention report`.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::choice::{Choice, Defaults, Wanted};
use crate::contenders::{self, Accounts};
use crate::machine::Machine;
use crate::results::{MapResult, Results};
use crate::session::{Order, Session};
use crate::{Result, interrupt, workloads};

/// A choice that shows every kind of trouble and is through in a few minutes.
const DEFAULTS: Defaults = Defaults {
    workloads: &[
        Wanted::Named("survivors-0.1"),
        Wanted::Named("survivors-1"),
        Wanted::Named("shifting"),
        Wanted::Named("churn"),
        Wanted::Named("producer-consumer"),
        Wanted::Named("deepcopy"),
        Wanted::Named("unpickle"),
        Wanted::Named("index"),
    ],
    scale: 4,
    order: Order::Together,
};

/// The workload and the rungs whose heaps are drawn, and by how much the workload is divided: to some twenty arenas.
const MAPPED: &str = "survivors-1";
const MAPPED_RUNGS: [&str; 3] = ["return-arenas", "return-pools", "return-pages"];
const MAP_SCALE: u64 = 40;

#[derive(Args)]
pub struct ReportArgs {
    #[command(flatten)]
    choice: Choice,
    /// Draw what this file of an earlier report or of `run --json` holds, and run nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["workload", "contender", "features", "scale", "input"])]
    from: Option<PathBuf>,
    /// The folder for the page, the charts and the results [default: target/retention/DATE, or that of --from]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs what was chosen, or reads it, and writes the page. The last line on standard output is its path.
///
/// # Errors
///
/// A sentence, if nothing can be built or a file cannot be read or written. A contender that fails is no error: the
/// page says so, and the exit code is 1.
pub fn report(args: &ReportArgs, tally: &'static dyn Accounts) -> Result<ExitCode> {
    let (results, folder) = match &args.from {
        Some(file) => {
            let beside = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            (Results::read(file)?, args.out.clone().unwrap_or(beside))
        }
        None => run(args, tally)?,
    };
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let page = super::write(&results, &folder)?;
    writeln!(io::stdout(), "{}", page.canonicalize()?.display())?;
    Ok(if results.any_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs everything. What there is after each workload is kept in the folder, so that nothing of it can be lost.
fn run(args: &ReportArgs, tally: &'static dyn Accounts) -> Result<(Results, PathBuf)> {
    interrupt::install()?;
    let machine = Machine::here();
    let folder = args.out.clone().unwrap_or_else(|| dated(&machine));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (session, settings) = args.choice.session(&DEFAULTS, tally)?;
    eprintln!("{}", machine.line());
    let mut results =
        Results { machine, settings, workloads: Vec::new(), interrupted: false, maps: Vec::new() };
    let progress = session.progress();
    let workloads = session.run(&progress, |workload, result| {
        results.workloads.push(result.clone());
        if !io::stderr().is_terminal() {
            let (done, all) = (results.workloads.len(), session.workloads.len());
            let left = humantime::format_duration(std::time::Duration::from_secs(
                progress.eta().as_secs(),
            ));
            eprintln!("{}: done, {done} of {all}, about {left} left", workload.name);
        }
        keep(&results, &folder)
    })?;
    results.workloads = workloads;
    progress.set_message("heap maps");
    results.maps = maps(&session, &results.settings.contenders)?;
    results.interrupted = interrupt::requested();
    progress.finish_and_clear();
    keep(&results, &folder)?;
    Ok((results, folder))
}

/// The maps of those rungs that take part.
fn maps(session: &Session, names: &[String]) -> Result<Vec<MapResult>> {
    let workload = workloads::find(MAPPED).ok_or("the workload to be drawn is gone")?;
    let mut maps = Vec::new();
    for name in MAPPED_RUNGS.into_iter().filter(|rung| names.iter().any(|name| name == rung)) {
        if interrupt::requested() {
            break;
        }
        let rung = contenders::find(name).ok_or("a rung to be drawn is gone")?;
        maps.push(session.map(workload, rung, session.scale.max(MAP_SCALE))?);
    }
    Ok(maps)
}

/// Writes the results into the folder, whole or not at all.
fn keep(results: &Results, folder: &Path) -> Result<()> {
    let [new, kept] = ["results.json.new", "results.json"].map(|name| folder.join(name));
    let file = File::create(&new).map_err(|error| format!("{}: {error}", new.display()))?;
    results.write(file)?;
    Ok(fs::rename(new, kept)?)
}

/// A folder by the moment, among what cargo builds.
fn dated(machine: &Machine) -> PathBuf {
    let moment = machine.date.trim_end_matches('Z').replace(':', "-");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/retention").join(moment)
}
