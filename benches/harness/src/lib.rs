//! The harness behind `cargo retention`: what each retention policy holds on to, statement by statement.
//!
//! ```text
//! retention (parent)                         child-* (one fresh process per contender and workload)
//!   cli       what was asked for               child       reads its task, runs one workload, reports
//!   session   workloads x contenders  --task-> workloads   the statements that are measured
//!   runner    one child, one deadline <report- book        a sample after every statement
//!   compare, returned   samples to figures     kernel      resident memory, faults, CPU time
//!   tables, results   text and JSON
//! ```
//!
//! How fast, rather than how large, is asked by three further commands, with children of their own, which stand
//! in the package `speed/`: `speed` and `growth` (module [`speed`]) time them, [`instructions`] counts. [`soak`]
//! measures nothing: it looks for faults.
//!
//! Both sides share this crate; a child binary adds its `#[global_allocator]` and nothing else. The parent
//! is never the thing measured. What may grow sits in tables, each in one place:
//!
//! * a further workload is an entry of [`workloads::ALL`],
//! * a further contender is an entry of [`contenders::ALL`] and, for another allocator, a child binary,
//! * a further row that is timed is an entry of `rows::ALL` and one of `work::ALL` in `speed/`.

#[cfg(not(unix))]
compile_error!("the harness needs a unix system: it forks, and it kills process groups");

pub mod book;
pub mod bound;
mod callgrind;
pub mod child;
pub mod children;
pub mod choice;
pub mod cli;
pub mod compare;
pub mod contenders;
pub mod corpus;
pub mod glibc;
pub mod instructions;
pub mod interrupt;
pub mod kernel;
pub mod machine;
pub mod page;
pub mod population;
pub mod report;
pub mod results;
pub mod returned;
pub mod ruler;
pub mod runner;
pub mod sampler;
pub mod session;
pub mod soak;
pub mod speed;
pub mod stage;
pub mod tables;
pub mod tally;
pub mod text;
pub mod turn;
pub mod workloads;

/// Errors here are for people to read: a sentence, from wherever it came.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Held by tests that read figures of the whole process, which other tests would change.
#[cfg(test)]
static WHOLE_PROCESS: std::sync::Mutex<()> = std::sync::Mutex::new(());
