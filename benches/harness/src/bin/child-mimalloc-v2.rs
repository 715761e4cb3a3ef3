//! A child under mimalloc v2.

use std::process::ExitCode;

use harness::contenders::Silent;
use mimalloc::MiMalloc;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

static ACCOUNTS: Silent = Silent { describe: || format!("mimalloc {}", GLOBAL.version()) };

fn main() -> ExitCode {
    harness::child::child_main(&ACCOUNTS)
}
