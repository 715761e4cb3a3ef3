//! Models of everything on which threads agree without a lock, and of the lock: the library's own code,
//! run in every order in which its steps can come and with every value that the memory model lets a load
//! return, within the bounds that each test states. Each fault that is planted is found.

extern crate std;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::println;
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::sync::planted::plant;

mod config;
mod current;
mod duty;
mod lock;
mod remote;
mod tenancy;
mod vacancy;

/// Switches between threads that are not asked for, in one execution.
#[derive(Clone, Copy)]
enum Preemptions {
    Any,
    AtMost(usize),
}

/// Executes `model` in every way.
fn holds(preemptions: Preemptions, model: impl Fn() + Send + Sync + 'static) {
    holds_for(preemptions, None, model);
}

/// Executes `model` in every way, or in as many as there is time for.
fn holds_for(
    preemptions: Preemptions,
    most: Option<Duration>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let began = Instant::now();
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
    builder.max_duration = most;
    builder.preemption_bound = match preemptions {
        Preemptions::Any => None,
        Preemptions::AtMost(most) => Some(most),
    };
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    println!("{} executions in {:.1?}", executions.load(Relaxed), began.elapsed());
}

/// For how long a model is executed without its fault, before the fault is planted.
const CONTROL: Duration = Duration::from_secs(1);

/// Executes `model` with a fault planted, until it fails with a message that has `words` in it. Without the fault
/// it must not fail, within the same bounds, as far as there is time to look.
fn finds(fault: &'static str, words: &str, model: impl Fn() + Send + Sync + 'static) {
    assert!(!words.is_empty(), "any failure would do");
    let model: Arc<dyn Fn() + Send + Sync> = Arc::new(model);
    let control = Arc::clone(&model);
    holds_for(Preemptions::AtMost(3), Some(CONTROL), move || control());
    plant(fault);
    let run = catch_unwind(AssertUnwindSafe(|| holds(Preemptions::AtMost(3), move || model())));
    plant("");
    let Err(panic) = run else { panic!("`{fault}` is not found") };
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
    match said {
        Some(said) if said.contains(words) => println!("`{fault}` is found: {said}"),
        _ => resume_unwind(panic),
    }
}
