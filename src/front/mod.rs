//! Floor 4: what a program sees.

pub mod explain;
pub mod global;
pub mod settings;
pub mod stats;
