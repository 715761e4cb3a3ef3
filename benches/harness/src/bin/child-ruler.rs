//! A child that is no contender: it counts what the workload asks for.

use std::process::ExitCode;

use harness::ruler::{Watch, WholeProcess};
use harness::tally::Tally;

#[global_allocator]
static GLOBAL: Tally<WholeProcess> = Tally::counting_in(WholeProcess::new());

fn main() -> ExitCode {
    let watch = Watch::start(GLOBAL.counter());
    harness::child::child_main_with(&GLOBAL, |report| report.asked = watch.end())
}
