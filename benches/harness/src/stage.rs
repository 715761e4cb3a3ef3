//! The stage: what a workload is given to run on.

use std::borrow::Cow;
use std::hint::black_box;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::book::Book;
use crate::bound::{self, Survivors};
use crate::contenders::Accounts;
use crate::population::{Object, object};
use crate::report::{Figure, Phase, Report, Task};
use crate::turn::Turn;

/// Figures that a workload may give.
const FIGURES_MAX: usize = 64;

/// Objects of the piece of work that is done after resting, and freed again: 32 MiB.
const WORK_OBJECTS: u64 = 200_000;

/// What a workload learns of its own rest.
pub struct Rest {
    /// Bytes of this process after 5 s, those shared with others divided among them.
    pub proportional_bytes: Option<u64>,
    /// How long the piece of work took right after the rest, and how long when done again.
    pub work: [Duration; 2],
}

/// One run of one workload.
pub struct Stage {
    pub book: Book,
    task: Task,
    turn: Turn,
    accounts: &'static dyn Accounts,
    survivors_bytes: u64,
    bound_bytes: Option<u64>,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Stage {
    /// A stage on which the workload may begin: where children take turns, it waits for this one's.
    ///
    /// # Errors
    ///
    /// If it cannot be known whose turn it is.
    pub fn new(task: Task, accounts: &'static dyn Accounts) -> Result<Stage> {
        let turn = Turn::open(task.turn.as_deref())?;
        turn.take()?;
        Ok(Stage {
            book: Book::new(accounts),
            task,
            turn,
            accounts,
            survivors_bytes: 0,
            bound_bytes: None,
            figures: Vec::with_capacity(FIGURES_MAX),
            notes: Vec::new(),
        })
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

    /// Asks the allocator for a soft limit on resident bytes, or for none; false if it has no such thing.
    pub fn soft_limit(&self, bytes: Option<u64>) -> bool {
        self.accounts.soft_limit(bytes)
    }

    /// System calls that the allocator made so far, where it tells.
    pub fn system_calls(&self) -> Option<u64> {
        Some(self.accounts.figures()?.system_calls())
    }

    /// Keeps a map of the heap as it is, if this run is for maps; the allocator is left alone otherwise.
    pub fn map(&self, moment: &'static str) {
        if self.task.maps {
            self.accounts.keep_map(moment);
        }
    }

    /// Keeps a figure of the workload's own. Allocates nothing.
    pub fn figure(&mut self, name: &'static str, value: Option<f64>) {
        assert!(self.figures.len() < FIGURES_MAX, "a workload gives at most {FIGURES_MAX} figures");
        self.figures.push(Figure { name: Cow::Borrowed(name), value });
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
        self.turn.give_up();
        self.book.start();
        thread::sleep(self.task.second());
        self.book.record(Phase::Idle, "(idle for 1 s)");
    }

    /// The end of a workload that shows what is given back: idles without a call to the allocator, with looks at
    /// 1, 2 and 5 s; then does a fixed piece of work twice, so that what giving back costs afterwards is seen.
    pub fn rest(&mut self, survivors: &impl Survivors) -> Rest {
        self.survivors_bytes = bound::asked_bytes(survivors);
        self.bound_bytes = bound::bound_bytes(survivors);
        let second = self.task.second();
        self.turn.give_up();
        self.book.start();
        thread::sleep(second);
        self.book.record_idle(1, "(idle for 1 s)");
        thread::sleep(second);
        self.book.record_idle(2, "(idle for 2 s)");
        thread::sleep(3 * second);
        self.book.record_idle(5, "(idle for 5 s)");
        let proportional_bytes = self.book.proportional_bytes();
        self.map("after the rest");
        // Where no turn can be had, the work is done beside another's: slower, not wrong.
        let _ = self.turn.take();
        self.book.complete_last();
        let work = ["(work after the rest)", "(the same work again)"].map(|name| {
            self.book.start();
            let took = self.work();
            self.book.record(Phase::Afterwards, name);
            took
        });
        Rest { proportional_bytes, work }
    }

    /// The piece of work: objects are made, and all freed.
    pub fn work(&self) -> Duration {
        let start = Instant::now();
        let objects: Vec<Object> = (0..self.count(WORK_OBJECTS)).map(object).collect();
        drop(black_box(objects));
        start.elapsed()
    }

    /// The figures so far.
    pub fn into_figures(self) -> Vec<Figure> {
        self.figures
    }

    pub fn into_report(self) -> Report {
        Report {
            allocator: self.accounts.describe(),
            survivors_bytes: self.survivors_bytes,
            bound_bytes: self.bound_bytes,
            samples: self.book.into_samples(),
            figures: self.figures,
            notes: self.notes,
            asked: Vec::new(),
            maps: self.accounts.maps(),
        }
    }
}
