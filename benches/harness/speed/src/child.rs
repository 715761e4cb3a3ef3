//! The main function that all child binaries share.

use std::env;
use std::process::ExitCode;

use crate::meter::Meter;
use crate::report::{Report, Task};
use crate::{usage, work};

/// Does the row that the command line asks for and prints the report; `allocator` names the program's allocator.
///
/// What goes wrong is said on standard error, with exit code 1.
pub fn main(allocator: fn() -> String) -> ExitCode {
    // First of all: everything after it makes memory resident.
    let resident_at_start = usage::resident_bytes();
    let reported = run(allocator, resident_at_start).and_then(|report| {
        println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
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

fn run(allocator: fn() -> String, resident_at_start: Option<u64>) -> Result<Report, String> {
    let task =
        env::args().nth(1).ok_or("a child of `cargo retention speed`: not to be called by hand")?;
    let task: Task = serde_json::from_str(&task).map_err(|error| error.to_string())?;
    let work = work::find(&task.row).ok_or_else(|| format!("no row `{}`", task.row))?;
    let mut meter = Meter::new(&task);
    meter.resident(resident_at_start);
    work(&mut meter);
    Ok(meter.report(allocator()))
}
