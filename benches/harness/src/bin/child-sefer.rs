//! A child under sefer-alloc.

use std::process::ExitCode;

use harness::contenders::Silent;
use sefer_alloc::SeferAlloc;

#[global_allocator]
static GLOBAL: SeferAlloc = SeferAlloc::new();

static ACCOUNTS: Silent = Silent { describe: || "sefer-alloc".to_owned() };

fn main() -> ExitCode {
    harness::child::child_main(&ACCOUNTS)
}
