//! The stage: what a workload is given to run on.

use std::borrow::Cow;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::book::Book;
use crate::contenders::Accounts;
use crate::report::{Figure, Phase, Report, Task};

/// How long the process idles after the drop.
pub const IDLE: Duration = Duration::from_secs(1);

/// Figures that a workload may give.
const FIGURES_MAX: usize = 64;

/// One run of one workload.
pub struct Stage {
    pub book: Book,
    task: Task,
    accounts: &'static dyn Accounts,
    survivors_bytes: u64,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Stage {
    pub fn new(task: Task, accounts: &'static dyn Accounts) -> Stage {
        Stage {
            book: Book::new(accounts),
            task,
            accounts,
            survivors_bytes: 0,
            figures: Vec::with_capacity(FIGURES_MAX),
            notes: Vec::new(),
        }
    }

    pub fn task(&self) -> &Task {
        &self.task
    }

    /// An element count at the scale of this run, never none.
    pub fn count(&self, full: u64) -> u64 {
        self.task.count(full)
    }

    /// A file of this run's own.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.task.scratch.join(name)
    }

    /// A file that the parent prepared.
    pub fn prepared(&self, name: &str) -> PathBuf {
        self.task.prepared.join(name)
    }

    /// Bytes of all blocks in use, where the allocator tells.
    pub fn block_bytes(&self) -> Option<u64> {
        self.accounts.block_bytes()
    }

    /// Keeps a figure of the workload's own. Allocates nothing.
    pub fn figure(&mut self, name: &'static str, value: Option<f64>) {
        assert!(
            self.figures.len() < FIGURES_MAX,
            "a workload gives at most {FIGURES_MAX} figures"
        );
        self.figures.push(Figure {
            name: Cow::Borrowed(name),
            value,
        });
    }

    /// Keeps a sentence for the reader. Allocates, so it is for after the idling.
    pub fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// The end of a workload: idles without a call to the allocator, and looks again.
    ///
    /// `survivors_bytes` is what the caller still holds, by its own count of what it asked for.
    pub fn idle(&mut self, survivors_bytes: u64) {
        self.survivors_bytes = survivors_bytes;
        self.book.start();
        thread::sleep(IDLE);
        self.book.record(Phase::Idle, "(idle for 1 s)");
    }

    /// The figures so far.
    pub fn into_figures(self) -> Vec<Figure> {
        self.figures
    }

    pub fn into_report(self) -> Report {
        Report {
            allocator: self.accounts.describe(),
            survivors_bytes: self.survivors_bytes,
            samples: self.book.into_samples(),
            figures: self.figures,
            notes: self.notes,
        }
    }
}
