//! The rows under snmalloc.

use std::process::ExitCode;

use snmalloc_rs::SnMalloc;

#[global_allocator]
static GLOBAL: SnMalloc = SnMalloc;

fn main() -> ExitCode {
    highwater_speed::child::main(|| "snmalloc".to_owned())
}
