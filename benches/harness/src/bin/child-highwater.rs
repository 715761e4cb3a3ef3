//! A child under highwater. The rung comes from `HIGHWATER_RETENTION`, as it would in any program.

use std::process::ExitCode;

use harness::contenders::Accounts;
use harness::report::Figures;
use highwater::{Highwater, SoftLimit};

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

struct HighwaterAccounts;

impl Accounts for HighwaterAccounts {
    fn describe(&self) -> String {
        format!("highwater {:?}", highwater::retention())
    }

    fn figures(&self) -> Option<Figures> {
        let stats = highwater::stats();
        Some(Figures {
            live_bytes: stats.live_bytes as u64,
            live_bytes_peak: stats.live_bytes_peak as u64,
            free_bytes: stats.free_bytes as u64,
            mapped_bytes: stats.mapped_bytes as u64,
            maps: stats.maps,
            unmaps: stats.unmaps,
            remaps: stats.remaps,
            advises: stats.advises,
        })
    }

    fn block_bytes(&self) -> Option<u64> {
        Some(highwater::stats().live_bytes as u64)
    }

    fn soft_limit(&self, bytes: Option<u64>) -> bool {
        let limit = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        highwater::set_soft_limit(limit.map_or(SoftLimit::NONE, SoftLimit::bytes));
        true
    }
}

fn main() -> ExitCode {
    harness::child::child_main(&HighwaterAccounts)
}
