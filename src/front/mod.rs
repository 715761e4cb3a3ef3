//! Floor 4: what a program sees. The types are the same everywhere; the allocator behind them is
//! this crate's own on unix and the system's elsewhere.

#[cfg_attr(unix, path = "native/mod.rs")]
#[cfg_attr(not(unix), path = "forward.rs")]
mod chosen;
mod explain;
mod map;
mod measure;
pub mod profile;
mod statements;
mod stats;

pub use chosen::{
    Highwater, check, explain, map, measure, reset_peaks, retention, set_retention, set_soft_limit,
    soft_limit, stats, trim,
};
#[cfg(all(unix, fuzzing))]
pub use chosen::{SettingsFound, understand};
pub use explain::Explain;
pub use map::{ArenaMap, Map, MapKind, MapPlace};
pub use measure::{Measured, MeasuredClass};
pub use stats::{ClassStats, Stats};
