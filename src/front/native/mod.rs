//! The allocator as a program sees it.

mod account;
mod gather;
mod global;
mod settings;

pub use account::{check, explain};
pub use gather::{reset_peaks, stats};
pub use global::{Highwater, retention, set_retention, set_soft_limit, soft_limit, trim};
