//! What of this floor the model checker checks.

pub mod remote_word;
