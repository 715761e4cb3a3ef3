//! The parent: see `cargo retention --help`. Its allocator counts what is asked for; see `harness::tally`.

use std::process::ExitCode;

use harness::tally::Tally;

#[global_allocator]
static GLOBAL: Tally = Tally::new();

fn main() -> ExitCode {
    harness::cli::main(&GLOBAL)
}
