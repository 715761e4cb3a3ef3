//! The rows under highwater, set by HIGHWATER_RETENTION.

use std::process::ExitCode;

use highwater::Highwater;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

fn main() -> ExitCode {
    highwater_speed::child::main(|| format!("highwater {:?}", highwater::retention()))
}
