//! The rows under jemalloc.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static GLOBAL: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    highwater_speed::child::main(|| "jemalloc 5.3".to_owned())
}
