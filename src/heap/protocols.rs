//! What of this floor the model checker checks.

pub mod config;
pub mod current;
pub mod duty;
pub mod inbox;
pub mod tenancy;
pub mod vacancy;
