//! A child under rusty_alloc, a mimalloc in Rust.

use std::process::ExitCode;

use harness::contenders::Silent;
use rusty_alloc_api::RustyAlloc;

#[global_allocator]
static GLOBAL: RustyAlloc = RustyAlloc;

static ACCOUNTS: Silent =
    Silent { describe: || format!("rusty_alloc {}", rusty_alloc_api::VERSION) };

fn main() -> ExitCode {
    harness::child::child_main(&ACCOUNTS)
}
