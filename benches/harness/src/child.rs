//! The main function that all child binaries share.
//!
//! A child is called by the parent with its task as JSON, runs one workload, prints one report as JSON on
//! standard output, and ends. What goes wrong is said on standard error, with exit code 1.

use std::env;
use std::process::ExitCode;

use crate::Result;
use crate::contenders::{self, Accounts};
use crate::report::{Report, Task};
use crate::stage::Stage;
use crate::workloads::{self, Group};

/// Runs the task of the command line under the allocator that `accounts` speaks for.
pub fn child_main(accounts: &'static dyn Accounts) -> ExitCode {
    child_main_with(accounts, |_| ())
}

/// The same, where the child has something to add to the report.
pub fn child_main_with(
    accounts: &'static dyn Accounts,
    complete: impl FnOnce(&mut Report),
) -> ExitCode {
    let reported = run(accounts).and_then(|mut report| {
        complete(&mut report);
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    });
    match reported {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(accounts: &'static dyn Accounts) -> Result<Report> {
    let task = env::args().nth(1).ok_or("a child of `cargo retention`: not for calling by hand")?;
    let task: Task = serde_json::from_str(&task)?;
    let workload = workloads::find(&task.workload)
        .ok_or_else(|| format!("no workload `{}`", task.workload))?;
    if env::var_os(contenders::FAILS).is_some() {
        return Err("made to fail".into());
    }
    let mut stage = Stage::new(task, accounts)?;
    if workload.group == Group::GivingBack {
        stage.book.leave_allocator_alone();
    }
    (workload.run)(&mut stage)?;
    Ok(stage.into_report())
}
