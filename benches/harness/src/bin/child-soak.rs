//! The child of `cargo retention soak`. The rung comes from `HIGHWATER_RETENTION`, as it would in any program.

use std::process::ExitCode;

use harness::contenders::Silent;
use highwater::Highwater;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

fn main() -> ExitCode {
    harness::soak::child_main(&Silent { describe: || "highwater".to_owned() })
}
