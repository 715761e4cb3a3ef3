//! The rows under std::alloc::System.

use std::alloc::System;
use std::process::ExitCode;

#[global_allocator]
static GLOBAL: System = System;

fn main() -> ExitCode {
    highwater_speed::child::main(|| "std::alloc::System".to_owned())
}
