//! Rounds of children: for each row, in each round, every contender once, and another one begins each time.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use highwater_speed::report::{Report, Task};
use highwater_speed::rows::Row;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tempfile::TempDir;

use super::build::Programs;
use super::figures::Clock;
use crate::contenders::Contender;
use crate::runner::{self, Reason};
use crate::{Result, callgrind, interrupt};

/// How often the bar is drawn again; it draws nothing where there is no terminal.
const TICK: Duration = Duration::from_millis(250);

/// What is to be measured.
pub struct Plan {
    pub rows: Vec<&'static Row>,
    pub contenders: Vec<&'static Contender>,
    pub rounds: usize,
    /// Operations are divided by this.
    pub scale: u32,
    /// At most so many repetitions in a child.
    pub repetitions_max: u32,
    /// Whether instructions are counted, and not only time.
    pub clock: Clock,
}

/// One row under every contender.
#[derive(Serialize)]
pub struct Measured {
    pub row: &'static str,
    pub runs: Vec<Run>,
}

/// One row under one contender.
#[derive(Serialize)]
pub struct Run {
    pub contender: &'static str,
    /// A report for each round. Those of all contenders at one place of their lists were made at about one time.
    pub rounds: Vec<Report>,
    /// Why there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Reason>,
}

impl Measured {
    /// The run of this contender, if it took part in every round.
    pub fn complete(&self, contender: &str) -> Option<&Run> {
        let run = self.runs.iter().find(|run| run.contender == contender)?;
        (run.failed.is_none() && !run.rounds.is_empty()).then_some(run)
    }
}

impl Plan {
    /// Measures every row. An interrupt ends it early: complete rows are handed back.
    ///
    /// # Errors
    ///
    /// If there is no room for temporary files. A child's failure is no error: it stands in its run.
    pub fn measure(&self, programs: &Programs) -> Result<Vec<Measured>> {
        let progress = self.progress();
        let program = env::current_exe()?;
        let scratch =
            TempDir::with_prefix_in("speed-", program.parent().unwrap_or(Path::new(".")))?;
        let mut measured = Vec::with_capacity(self.rows.len());
        for &row in &self.rows {
            let row = self.measure_row(row, programs, scratch.path(), &progress);
            if interrupt::requested() {
                break;
            }
            measured.push(row);
        }
        progress.finish_and_clear();
        Ok(measured)
    }

    fn measure_row(
        &self,
        row: &'static Row,
        programs: &Programs,
        scratch: &Path,
        progress: &ProgressBar,
    ) -> Measured {
        let task = Task {
            row: row.name.to_owned(),
            scale: self.scale,
            repetitions: row.repetitions.min(self.repetitions_max),
        };
        let mut runs: Vec<Run> = self
            .contenders
            .iter()
            .map(|contender| Run { contender: contender.name, rounds: Vec::new(), failed: None })
            .collect();
        for round in 0..self.rounds {
            for turn in 0..runs.len() {
                let index = (round + turn) % runs.len();
                let (contender, run) = (self.contenders[index], &mut runs[index]);
                progress.set_message(format!("{} under {}", row.name, contender.name));
                if run.failed.is_none() && !interrupt::requested() {
                    let child = match self.clock {
                        Clock::Instructions => counted_child,
                        Clock::Wall | Clock::Cpu => child,
                    };
                    match child(contender, programs, &task, scratch) {
                        Ok(report) => run.rounds.push(report),
                        Err(reason) => run.failed = Some(reason),
                    }
                }
                progress.inc(1);
            }
        }
        Measured { row: row.name, runs }
    }

    /// A bar on standard error if that is a terminal, nothing otherwise.
    fn progress(&self) -> ProgressBar {
        let children = self.rows.len() * self.contenders.len() * self.rounds;
        let progress = ProgressBar::new(children as u64);
        let style = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} {msg} ({elapsed}, about {eta} left)",
        );
        progress.enable_steady_tick(TICK);
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        progress
    }
}

/// One row once, in a fresh process.
fn child(
    contender: &Contender,
    programs: &Programs,
    task: &Task,
    scratch: &Path,
) -> std::result::Result<Report, Reason> {
    let mut command = Command::new(program(contender, programs)?);
    command.arg(text(task)?).envs(contender.env.iter().copied());
    let (output, _) = runner::run(command, scratch, runner::TIMEOUT)?;
    report(&output)
}

/// Repetitions whose instructions are counted.
const COUNTED: u32 = 2;

/// One row in two fresh processes, one of which does more repetitions: what those take is in the report.
fn counted_child(
    contender: &Contender,
    programs: &Programs,
    task: &Task,
    scratch: &Path,
) -> std::result::Result<Report, Reason> {
    let program = program(contender, programs)?;
    let count = |repetitions| {
        let task = text(&Task { repetitions, ..task.clone() })?;
        callgrind::count(program, &[&task], contender.env, scratch)
    };
    let (_, fewer) = count(1)?;
    let (output, more) = count(1 + COUNTED)?;
    let report = report(&output)?;
    let operations = f64::from(COUNTED) * report.operations as f64;
    Ok(Report { instructions: Some(more.saturating_sub(fewer) as f64 / operations), ..report })
}

fn program<'a>(
    contender: &Contender,
    programs: &'a Programs,
) -> std::result::Result<&'a Path, Reason> {
    programs.program(contender.binary).ok_or_else(|| "it did not build".to_owned())
}

fn text(task: &Task) -> std::result::Result<String, Reason> {
    serde_json::to_string(task).map_err(|error| error.to_string())
}

fn report(output: &str) -> std::result::Result<Report, Reason> {
    serde_json::from_str(output).map_err(|error| format!("its report cannot be read: {error}"))
}
