//! The rows under rusty_alloc, a mimalloc in Rust.

use std::process::ExitCode;

use rusty_alloc_api::RustyAlloc;

#[global_allocator]
static GLOBAL: RustyAlloc = RustyAlloc;

fn main() -> ExitCode {
    highwater_speed::child::main(|| format!("rusty_alloc {}", rusty_alloc_api::VERSION))
}
