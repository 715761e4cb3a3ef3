//! The commands `speed` and `growth`: how fast, beside the others, and how that changes with size.
//!
//! ```text
//! build        children, one for each allocator      measure   rounds of them
//! contenders   who takes part                        figures   medians, ratios, means, targets
//! growth       figures of rows against each other    chart     bars
//! ```
//!
//! What is timed, and how, is a package of its own, `speed/`, which is built as a fast program is shipped.

pub mod build;
pub mod chart;
pub mod cli;
pub mod contenders;
pub mod figures;
pub mod growth;
pub mod measure;
