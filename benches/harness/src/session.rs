//! A session: every workload that was asked for under every contender, one fresh process each.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::children::Children;
use crate::contenders::{Accounts, Contender, RULER};
use crate::report::{Figure, Task};
use crate::results::{MapResult, Run, WorkloadResult};
use crate::ruler::Ruler;
use crate::runner::{self, Answer, Reason};
use crate::workloads::Workload;
use crate::{Result, interrupt};

/// How often the bar is drawn again; it draws nothing where there is no terminal.
const TICK: Duration = Duration::from_millis(250);

/// How the children of one workload follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// One after the other: nobody else is there while one works or rests.
    Alone,
    /// They take turns at working, and rest beside each other; a ruler works before them. For a report, which must
    /// not take long.
    Together,
}

/// What is to be run, and with what.
pub struct Session {
    pub workloads: Vec<&'static Workload>,
    pub contenders: Vec<&'static Contender>,
    pub order: Order,
    pub scale: u64,
    pub second_ms: u64,
    pub inputs: Vec<PathBuf>,
    pub children: Children,
    /// The parent's own allocator, which counts what is asked for.
    pub tally: &'static dyn Accounts,
}

impl Session {
    /// Runs everything, and hands each workload to `done` when its last contender is through. An interrupt ends it
    /// early: what was measured until then is handed back.
    ///
    /// # Errors
    ///
    /// If there is no room for temporary files, or `done` fails. A child's failure is no error.
    pub fn run(
        &self,
        progress: &ProgressBar,
        mut done: impl FnMut(&'static Workload, &WorkloadResult) -> Result<()>,
    ) -> Result<Vec<WorkloadResult>> {
        let mut results = Vec::with_capacity(self.workloads.len());
        for &workload in &self.workloads {
            let result = self.run_workload(workload, progress)?;
            if interrupt::requested() {
                results.extend(Some(result).filter(|result| !result.runs.is_empty()));
                break;
            }
            done(workload, &result)?;
            results.push(result);
        }
        Ok(results)
    }

    /// A bar on standard error if that is a terminal, nothing otherwise.
    pub fn progress(&self) -> ProgressBar {
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
        let task = self.task(workload, folder.path());
        progress.set_message(format!("{}: preparing", workload.name));
        progress.tick();
        let prepared = (workload.prepare)(&task).and_then(|()| self.reference(workload, &task));
        let mut result = WorkloadResult {
            workload: workload.name.to_owned(),
            reference: Vec::new(),
            runs: Vec::new(),
            ruler: None,
        };
        match prepared {
            Ok(reference) => {
                result.reference = reference;
                result.runs = match self.order {
                    Order::Alone => self.run_alone(&task, progress)?,
                    Order::Together => {
                        result.ruler = self.measure(&task);
                        self.run_together(&task, progress)?
                    }
                };
            }
            Err(error) => {
                let failed =
                    |contender: &&Contender| Run::failed(contender.name, error.to_string());
                result.runs = self.contenders.iter().map(failed).collect();
                progress.inc(self.contenders.len() as u64);
            }
        }
        Ok(result)
    }

    fn task(&self, workload: &Workload, folder: &Path) -> Task {
        Task {
            workload: workload.name.to_owned(),
            scale: self.scale,
            scratch: folder.to_path_buf(),
            prepared: folder.to_path_buf(),
            inputs: self.inputs.clone(),
            turn: None,
            maps: false,
            second_ms: self.second_ms,
        }
    }

    /// The contenders one after the other. Whom an interrupt met has no run.
    fn run_alone(&self, task: &Task, progress: &ProgressBar) -> Result<Vec<Run>> {
        let mut runs = Vec::with_capacity(self.contenders.len());
        for &contender in &self.contenders {
            if interrupt::requested() {
                break;
            }
            progress.set_message(format!("{} under {}", task.workload, contender.name));
            progress.tick();
            runs.extend(self.run_contender(contender, task, runner::TIMEOUT, progress)?);
        }
        Ok(runs)
    }

    /// The contenders, started at once and taking turns. Whom an interrupt met has no run.
    fn run_together(&self, task: &Task, progress: &ProgressBar) -> Result<Vec<Run>> {
        progress.set_message(task.workload.clone());
        progress.tick();
        let task = Task { turn: Some(task.prepared.join("turn")), ..task.clone() };
        // Each waits for all others' turns at worst.
        let timeout = runner::TIMEOUT * u32::try_from(self.contenders.len())?;
        thread::scope(|scope| {
            let waiting: Vec<_> = self
                .contenders
                .iter()
                .map(|&contender| {
                    let task = &task;
                    scope.spawn(move || {
                        // An error's own type cannot leave its thread.
                        self.run_contender(contender, task, timeout, progress)
                            .map_err(|error| error.to_string())
                    })
                })
                .collect();
            let mut runs = Vec::with_capacity(waiting.len());
            for thread in waiting {
                runs.extend(thread.join().map_err(|_| "a thread of the session failed")??);
            }
            Ok(runs)
        })
    }

    /// One cell; `None` if an interrupt met it. What the child said besides its report is passed on to standard
    /// error.
    fn run_contender(
        &self,
        contender: &'static Contender,
        task: &Task,
        timeout: Duration,
        progress: &ProgressBar,
    ) -> Result<Option<Run>> {
        let answer = self.run_child(contender, task, timeout)?;
        progress.inc(1);
        Ok(match answer {
            Ok(answer) => {
                if !answer.said.is_empty() {
                    let said = answer.said.trim();
                    progress.suspend(|| {
                        eprintln!("{} under {}: {said}", task.workload, contender.name);
                    });
                }
                Some(Run::measured(contender.name, answer.report, answer.curve))
            }
            Err(_) if interrupt::requested() => None,
            Err(reason) => Some(Run::failed(contender.name, reason)),
        })
    }

    fn run_child(
        &self,
        contender: &Contender,
        task: &Task,
        timeout: Duration,
    ) -> Result<std::result::Result<Answer, Reason>> {
        let scratch = TempDir::with_prefix_in("child-", &task.prepared)?;
        let task = Task { scratch: scratch.path().to_path_buf(), ..task.clone() };
        let program = self.children.program(contender.binary)?;
        Ok(runner::run_child(program, contender, &task, timeout))
    }

    /// What the workload asks for. Nobody rests: the ruler ends with the drop. A ruler that fails draws no line.
    fn measure(&self, task: &Task) -> Option<Ruler> {
        let task = Task { second_ms: task.second_ms.min(RULER_SECOND_MS), ..task.clone() };
        let answer = self.run_child(&RULER, &task, runner::TIMEOUT).ok()?.ok()?;
        Ruler::of(&answer.report)
    }

    /// Maps of the contender's heap before and after the drop of this workload, at a scale of their own.
    ///
    /// # Errors
    ///
    /// If there is no room for temporary files.
    pub fn map(
        &self,
        workload: &'static Workload,
        contender: &'static Contender,
        scale: u64,
    ) -> Result<MapResult> {
        let folder = temporary_folder()?;
        let task = Task { maps: true, scale, ..self.task(workload, folder.path()) };
        let answer = self.run_child(contender, &task, runner::TIMEOUT)?;
        let (maps, failed) = match answer {
            Ok(answer) => (answer.report.maps, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Ok(MapResult { contender: contender.name.to_owned(), maps, failed })
    }

    fn reference(&self, workload: &Workload, task: &Task) -> Result<Vec<Figure>> {
        match workload.figures.as_ref().and_then(|figures| figures.reference.as_ref()) {
            Some(reference) => (reference.measure)(task, self.tally),
            None => Ok(Vec::new()),
        }
    }
}

/// A second of the ruler's rest, which nobody looks at: a few ticks of its watch.
const RULER_SECOND_MS: u64 = 30;

/// A fresh folder beside the parent's program, where there is a disk: the system's own place for temporary
/// files is in memory on many machines. Removed when dropped.
fn temporary_folder() -> io::Result<TempDir> {
    let program = env::current_exe()?;
    TempDir::with_prefix_in("retention-", program.parent().unwrap_or(Path::new(".")))
}
