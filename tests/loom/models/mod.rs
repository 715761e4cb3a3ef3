//! Models of everything on which threads agree without a lock, and of the lock: the library's own code,
//! run in every order in which its steps can come and with every value that the memory model lets a load
//! return, within the bounds that each test states. Each fault that is planted is found.

extern crate std;

use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::println;
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crate::sync::planted::plant;

mod config;
mod current;
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
    let began = Instant::now();
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
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

/// Executes `model` with a fault planted, until it fails with a message that has `words` in it.
fn finds(fault: &'static str, words: &str, model: impl Fn() + Send + Sync + 'static) {
    plant(fault);
    let model: Box<dyn Fn() + Send + Sync> = Box::new(model);
    let run = catch_unwind(AssertUnwindSafe(|| holds(Preemptions::AtMost(3), model)));
    plant("");
    let Err(panic) = run else { panic!("`{fault}` is not found") };
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
    match said {
        Some(said) if said.contains(words) => println!("`{fault}` is found: {said}"),
        _ => resume_unwind(panic),
    }
}
