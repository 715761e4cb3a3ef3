//! The rows under mimalloc v2.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    highwater_speed::child::main(|| format!("mimalloc {}", GLOBAL.version()))
}
