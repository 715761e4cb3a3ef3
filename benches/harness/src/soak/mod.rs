//! The command `soak`: everything at once, for as long as asked, on every rung in turn, each in a fresh
//! process: threads that exchange blocks, forks, trims, limits, settings that change, the harness's own
//! workloads. Every block is verified and every sum checked; resident memory must not creep.

mod blocks;
mod child;
mod forks;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::children::Children;
use crate::contenders::{Accounts, Contender};
use crate::machine::Machine;
use crate::{Result, contenders, interrupt, runner, tables};

pub use child::{creep, is_creeping};

const CHILD: &str = "child-soak";
/// How much longer than ordered a child may take: for its last round, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Args)]
pub struct SoakArgs {
    /// Minutes for all rungs together
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Threads at work at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// What the rounds follow from: take it from a run that failed [default: a new one]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// No child processes
    #[arg(long)]
    no_forks: bool,
    /// Rungs to soak on, with commas between; all five if not given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = rung)]
    rungs: Vec<&'static Contender>,
}

fn minutes(text: &str) -> std::result::Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| (0.0..=10_000.0).contains(minutes));
    minutes.ok_or_else(|| "not a number of minutes".to_owned())
}

fn rung(name: &str) -> std::result::Result<&'static Contender, String> {
    let found = rungs().find(|rung| rung.name == name);
    found.ok_or_else(|| {
        format!("not one of {}", rungs().map(|rung| rung.name).collect::<Vec<_>>().join(", "))
    })
}

fn rungs() -> impl Iterator<Item = &'static Contender> {
    contenders::ALL.iter().filter(|contender| contender.binary == "child-highwater")
}

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub seed: u64,
    pub seconds: f64,
    pub threads: u32,
    pub forks: bool,
    /// The folder whose texts the workload `index` reads.
    pub input: PathBuf,
}

/// What a child did without finding a fault.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Soaked {
    pub rounds: u64,
    pub threads: u64,
    pub forks: u64,
    pub trims: u64,
    pub settings: u64,
    pub blocks_made: u64,
    pub blocks_resized: u64,
    pub blocks_freed: u64,
    pub blocks_handed_over: u64,
    /// After each round, when all but the survivors is freed and trimmed.
    pub resident_bytes: Vec<u64>,
}

/// One rung's soak.
pub struct Soak {
    pub rung: &'static str,
    /// What was set beside the rung.
    pub settings: String,
    pub outcome: std::result::Result<Soaked, runner::Reason>,
}

impl Soak {
    /// What is wrong, if anything is.
    pub fn fault(&self) -> Option<String> {
        match &self.outcome {
            Err(reason) => Some(reason.clone()),
            Ok(soaked) => creep(&soaked.resident_bytes)
                .filter(|&most| is_creeping(most))
                .map(|_| "resident memory creeps".to_owned()),
        }
    }
}

/// The main function of the child binary.
pub fn child_main(accounts: &'static dyn Accounts) -> ExitCode {
    let soaked = || -> Result<String> {
        let order = env::args().nth(1).ok_or("the child of `cargo retention soak`")?;
        let soaked = child::soak(&serde_json::from_str(&order)?, accounts)?;
        Ok(serde_json::to_string(&soaked)?)
    };
    match soaked() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `cargo retention soak`; the exit code is 1 if any rung shows a fault.
///
/// # Errors
///
/// A sentence, if the child does not build.
pub fn run(args: &SoakArgs) -> Result<ExitCode> {
    interrupt::install()?;
    let children = Children::build(&[])?;
    let program = children.program(CHILD)?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let rungs = if args.rungs.is_empty() { rungs().collect() } else { args.rungs.clone() };
    let mut out = io::stdout();
    writeln!(out, "{}\nseed {seed}", Machine::here().line())?;
    out.flush()?;
    let order = Order {
        seed,
        seconds: args.minutes * 60.0 / rungs.len() as f64,
        threads: args.threads,
        forks: !args.no_forks,
        input: Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
    };
    let mut soaks = Vec::new();
    for rung in rungs {
        let soak = soak(program, rung, &order)?;
        if interrupt::requested() {
            break;
        }
        if let Some(fault) = soak.fault() {
            writeln!(out, "{}, {}, seed {seed}: {fault}", soak.rung, soak.settings)?;
        }
        soaks.push(soak);
    }
    write!(out, "{}", tables::soak::soak(&soaks))?;
    let faults = soaks.iter().any(|soak| soak.fault().is_some());
    Ok(if faults { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn soak(program: &Path, rung: &'static Contender, order: &Order) -> Result<Soak> {
    let scratch = tempfile::tempdir()?;
    let settings = settings(order.seed);
    let mut command = Command::new(program);
    command.arg(serde_json::to_string(order)?).envs(rung.env.iter().copied());
    command.envs(settings.iter().map(|(key, value)| (key, value)));
    let timeout = Duration::from_secs_f64(order.seconds) + PATIENCE;
    let outcome = runner::run(command, scratch.path(), timeout).and_then(|(output, _)| {
        serde_json::from_str(&output).map_err(|error| format!("its report cannot be read: {error}"))
    });
    let settings: Vec<String> =
        settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(Soak { rung: rung.name, settings: settings.join(" "), outcome })
}

/// What only the environment can set, by the seed.
fn settings(seed: u64) -> [(&'static str, String); 2] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let delay = rng.choice([0, 20, 200, 1000]).unwrap_or(0);
    let sweeper = if rng.u8(..4) == 0 { "off" } else { "on" };
    [("HIGHWATER_RETURN_AFTER_MS", delay.to_string()), ("HIGHWATER_SWEEPER", sweeper.to_owned())]
}
