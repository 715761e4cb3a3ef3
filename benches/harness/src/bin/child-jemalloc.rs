//! A child under jemalloc. It listens to `_RJEM_MALLOC_CONF`.

use std::process::ExitCode;

use harness::contenders::Silent;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static GLOBAL: Jemalloc = Jemalloc;

static ACCOUNTS: Silent = Silent { describe: || "jemalloc 5.3".to_owned() };

fn main() -> ExitCode {
    harness::child::child_main(&ACCOUNTS)
}
