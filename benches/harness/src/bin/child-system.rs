//! A child under `std::alloc::System`.

use std::alloc::System;
use std::process::ExitCode;

use harness::contenders::Accounts;
use harness::report::Figures;

#[global_allocator]
static GLOBAL: System = System;

struct SystemAccounts;

impl Accounts for SystemAccounts {
    fn describe(&self) -> String {
        "std::alloc::System".to_owned()
    }

    fn figures(&self) -> Option<Figures> {
        None
    }

    /// glibc's own count, chunk headers included, which `malloc_usable_size` leaves out.
    fn block_bytes(&self) -> Option<u64> {
        harness::glibc::block_bytes()
    }
}

fn main() -> ExitCode {
    harness::child::child_main(&SystemAccounts)
}
