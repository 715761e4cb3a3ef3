//! The book: one sample after every statement, kept where it does not disturb what it measures.
//!
//! The book's memory is taken once, before the baseline; recording allocates nothing. Clocks are read first
//! and restarted last, so that a statement's time is without the time of looking.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::bound::{self, Survivors};
use crate::contenders::Accounts;
use crate::kernel::{self, Memory};
use crate::report::{Phase, Sample};

/// Samples that a book holds. A workload with more statements is a mistake in the harness.
const SAMPLES_MAX: usize = 64;

/// The samples of one run, in order.
pub struct Book {
    samples: Vec<Sample>,
    memory: Memory,
    accounts: &'static dyn Accounts,
    /// Whether the allocator's figures are left out of the samples after statements.
    alone: bool,
    mark: Mark,
}

/// Where the clocks stood when the statement began.
struct Mark {
    wall: Instant,
    cpu: Duration,
    minor_faults: u64,
}

impl Mark {
    fn now() -> Mark {
        Mark { minor_faults: kernel::minor_faults(), cpu: kernel::cpu_time(), wall: Instant::now() }
    }
}

impl Book {
    pub fn new(accounts: &'static dyn Accounts) -> Book {
        Book {
            samples: Vec::with_capacity(SAMPLES_MAX),
            memory: Memory::open(),
            accounts,
            alone: false,
            mark: Mark::now(),
        }
    }

    /// From now on statements are recorded without the allocator's figures. To ask for them is a call, and a call
    /// may do what nobody else would have done then, such as collect what another thread has freed.
    pub fn leave_allocator_alone(&mut self) {
        self.alone = true;
    }

    /// Called before a run of statements: records the baseline if there is none, and starts the clocks.
    pub fn start(&mut self) {
        if self.samples.is_empty() {
            // A first look brings the code that looks into memory; it is not part of the baseline.
            self.record(Phase::Baseline, "");
            self.samples.clear();
            self.memory.reset_peak();
            self.record(Phase::Baseline, "(baseline)");
        }
        self.mark = Mark::now();
    }

    /// Records the state after a statement, given as source text.
    pub fn record(&mut self, phase: Phase, statement: &'static str) {
        let mut sample = self.look(phase, statement);
        if !(self.alone && phase == Phase::Statement) {
            sample.allocator = self.accounts.figures();
        }
        self.keep(sample);
    }

    /// Records the memory after a statement beside the bound of what is in use then.
    pub fn record_held(&mut self, statement: &'static str, held: &impl Survivors) {
        let mut sample = self.look(Phase::Statement, statement);
        sample.bound_bytes = bound::bound_bytes(held);
        self.keep(sample);
    }

    /// Records a pause that has lasted for `idled_s` seconds since the drop. The allocator is not even asked for
    /// its figures: to it that might be a call like any other.
    pub fn record_idle(&mut self, idled_s: u64, statement: &'static str) {
        let mut sample = self.look(Phase::Idle, statement);
        sample.idled_s = Some(idled_s);
        self.keep(sample);
    }

    /// Adds the allocator's figures to the last sample.
    pub fn complete_last(&mut self) {
        if let Some(last) = self.samples.last_mut() {
            last.allocator = self.accounts.figures();
        }
    }

    /// What the clocks and the kernel say.
    fn look(&self, phase: Phase, statement: &'static str) -> Sample {
        let (wall, cpu) = (self.mark.wall.elapsed(), kernel::cpu_time());
        let minor_faults = kernel::minor_faults();
        Sample {
            phase,
            statement: Cow::Borrowed(statement),
            at_ns: kernel::clock_ns(),
            resident_bytes: self.memory.resident_bytes(),
            resident_bytes_peak: self.memory.resident_bytes_peak(),
            bound_bytes: None,
            idled_s: None,
            allocator: None,
            wall_ns: nanoseconds(wall),
            cpu_ns: nanoseconds(cpu.saturating_sub(self.mark.cpu)),
            minor_faults: minor_faults - self.mark.minor_faults,
        }
    }

    fn keep(&mut self, sample: Sample) {
        assert!(
            self.samples.len() < SAMPLES_MAX,
            "a workload has at most {SAMPLES_MAX} statements"
        );
        self.samples.push(sample);
        self.mark = Mark::now();
    }

    /// Bytes of this process's memory, those that it shares with others divided among them.
    pub fn proportional_bytes(&self) -> Option<u64> {
        self.memory.proportional_bytes()
    }

    /// The samples, the statements' text in the shape of one line each.
    pub fn into_samples(self) -> Vec<Sample> {
        let mut samples = self.samples;
        for sample in &mut samples {
            sample.statement = Cow::Owned(crate::text::one_line(&sample.statement));
        }
        samples
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Runs statements one after the other and records after each, under its own source text.
///
/// A function cannot do this: it needs the text, and the variables stay in scope for what follows.
#[macro_export]
macro_rules! lines {
    ($stage:ident; $($statement:stmt;)+) => {
        $stage.book.start();
        $(
            $statement
            $stage.book.record($crate::report::Phase::Statement, stringify!($statement));
        )+
    };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::report::Figures;
    use crate::tally::Tally;

    struct Stage {
        book: Book,
    }

    static ACCOUNTS: Tally = Tally::new();

    #[test]
    fn every_statement_is_recorded_under_its_text_and_its_variables_stay() {
        let mut stage = Stage { book: Book::new(&ACCOUNTS) };
        lines! { stage;
            let mut numbers: Vec<u64> = Vec::new();
            for number in 0..4 {
                numbers.push(number);
            };
            drop(numbers);
        }
        let samples = stage.book.into_samples();
        let statements: Vec<&str> = samples.iter().map(|sample| &*sample.statement).collect();
        assert_eq!(
            statements,
            [
                "(baseline)",
                "let mut numbers: Vec<u64> = Vec::new()",
                "for number in 0..4 { numbers.push(number); }",
                "drop(numbers)",
            ]
        );
        assert_eq!(samples[0].phase, Phase::Baseline);
        assert_eq!(samples[1].phase, Phase::Statement);
    }

    /// Counts how often it is asked.
    struct Asked(AtomicU64);

    impl Accounts for Asked {
        fn describe(&self) -> String {
            String::new()
        }

        fn figures(&self) -> Option<Figures> {
            self.0.fetch_add(1, Relaxed);
            None
        }

        fn block_bytes(&self) -> Option<u64> {
            None
        }
    }

    #[test]
    fn an_allocator_left_alone_is_asked_at_the_baseline_and_after_the_rest_only() {
        static ASKED: Asked = Asked(AtomicU64::new(0));
        let mut book = Book::new(&ASKED);
        book.leave_allocator_alone();
        book.start();
        let at_baseline = ASKED.0.load(Relaxed);
        book.record(Phase::Statement, "drop(a)");
        book.record_held("peak", &());
        book.record_idle(1, "(idle)");
        assert_eq!(ASKED.0.load(Relaxed), at_baseline);
        book.complete_last();
        assert_eq!(ASKED.0.load(Relaxed), at_baseline + 1);
    }
}
