//! Floor 0: numbers that every floor may use. Knows nothing of the others.

pub mod class;
pub mod flow;
pub mod geometry;
pub mod length;
#[cfg(feature = "malloc")]
pub mod malloc_class;
