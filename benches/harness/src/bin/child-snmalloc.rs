//! A child under snmalloc.

use std::process::ExitCode;

use harness::contenders::Silent;
use snmalloc_rs::SnMalloc;

#[global_allocator]
static GLOBAL: SnMalloc = SnMalloc;

static ACCOUNTS: Silent = Silent { describe: || "snmalloc".to_owned() };

fn main() -> ExitCode {
    harness::child::child_main(&ACCOUNTS)
}
