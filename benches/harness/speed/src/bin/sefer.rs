//! The rows under sefer-alloc.

use std::process::ExitCode;

use sefer_alloc::SeferAlloc;

#[global_allocator]
static GLOBAL: SeferAlloc = SeferAlloc::new();

fn main() -> ExitCode {
    highwater_speed::child::main(|| "sefer-alloc".to_owned())
}
