//! A session: every workload that was asked for under every contender, one fresh process each.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::children::Children;
use crate::contenders::{Accounts, Contender};
use crate::report::{Figure, Task};
use crate::results::{Run, WorkloadResult};
use crate::runner;
use crate::workloads::Workload;
use crate::{Result, interrupt, tables};

/// How often the bar is drawn again; it draws nothing where there is no terminal.
const TICK: Duration = Duration::from_millis(250);

/// What is to be run, and with what.
pub struct Session {
    pub workloads: Vec<&'static Workload>,
    pub contenders: Vec<&'static Contender>,
    pub scale: u64,
    pub second_ms: u64,
    pub inputs: Vec<PathBuf>,
    pub children: Children,
    /// The parent's own allocator, which counts what is asked for.
    pub tally: &'static dyn Accounts,
}

impl Session {
    /// Runs everything; prints each workload's tables when its last contender is done. An interrupt ends it
    /// early: what was measured until then is handed back.
    ///
    /// # Errors
    ///
    /// If there is no room for temporary files, or nobody to print to. A child's failure is no error.
    pub fn run(&self, out: &mut impl Write) -> Result<Vec<WorkloadResult>> {
        let progress = self.progress();
        let mut results = Vec::with_capacity(self.workloads.len());
        for &workload in &self.workloads {
            let result = self.run_workload(workload, &progress)?;
            if interrupt::requested() {
                break;
            }
            progress.suspend(|| -> io::Result<()> {
                write!(out, "{}", tables::workload(workload, &result))?;
                out.flush()
            })?;
            results.push(result);
        }
        progress.finish_and_clear();
        Ok(results)
    }

    /// A bar on standard error if that is a terminal, nothing otherwise.
    fn progress(&self) -> ProgressBar {
        let progress = ProgressBar::new((self.workloads.len() * self.contenders.len()) as u64);
        let style = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} {msg} ({elapsed}, about {eta} left)",
        );
        progress.enable_steady_tick(TICK);
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        progress
    }

    fn run_workload(
        &self,
        workload: &'static Workload,
        progress: &ProgressBar,
    ) -> Result<WorkloadResult> {
        let folder = temporary_folder()?;
        let task = Task {
            workload: workload.name.to_owned(),
            scale: self.scale,
            scratch: folder.path().to_path_buf(),
            prepared: folder.path().to_path_buf(),
            inputs: self.inputs.clone(),
            second_ms: self.second_ms,
        };
        progress.set_message(format!("{}: preparing", workload.name));
        progress.tick();
        let prepared = (workload.prepare)(&task).and_then(|()| self.reference(workload, &task));
        let mut result =
            WorkloadResult { workload: workload.name, reference: Vec::new(), runs: Vec::new() };
        let unprepared = match prepared {
            Ok(reference) => {
                result.reference = reference;
                None
            }
            Err(error) => Some(error.to_string()),
        };
        for &contender in &self.contenders {
            if interrupt::requested() {
                break;
            }
            progress.set_message(format!("{} under {}", workload.name, contender.name));
            progress.tick();
            result.runs.push(match &unprepared {
                None => self.run_contender(contender, &task, progress)?,
                Some(reason) => Run::failed(contender.name, reason.clone()),
            });
            progress.inc(1);
        }
        Ok(result)
    }

    /// One cell. What the child said besides its report is passed on to standard error.
    fn run_contender(
        &self,
        contender: &'static Contender,
        task: &Task,
        progress: &ProgressBar,
    ) -> Result<Run> {
        let scratch = TempDir::with_prefix_in("child-", &task.prepared)?;
        let task = Task { scratch: scratch.path().to_path_buf(), ..task.clone() };
        let program = self.children.program(contender.binary)?;
        Ok(match runner::run_child(program, contender, &task) {
            Ok(answer) => {
                if !answer.said.is_empty() {
                    progress.suspend(|| {
                        eprintln!(
                            "{} under {}: {}",
                            task.workload,
                            contender.name,
                            answer.said.trim()
                        )
                    });
                }
                Run::measured(contender.name, answer.report)
            }
            Err(reason) => Run::failed(contender.name, reason),
        })
    }

    fn reference(&self, workload: &Workload, task: &Task) -> Result<Vec<Figure>> {
        match workload.figures.as_ref().and_then(|figures| figures.reference.as_ref()) {
            Some(reference) => (reference.measure)(task, self.tally),
            None => Ok(Vec::new()),
        }
    }
}

/// A fresh folder beside the parent's program, where there is a disk: the system's own place for temporary
/// files is in memory on many machines. Removed when dropped.
fn temporary_folder() -> io::Result<TempDir> {
    let program = env::current_exe()?;
    TempDir::with_prefix_in("retention-", program.parent().unwrap_or(Path::new(".")))
}
