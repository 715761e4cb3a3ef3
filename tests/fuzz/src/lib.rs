//! What is fuzzed: each module has `run`, which takes any bytes and fails if something is wrong.

#![cfg(fuzzing)]

pub mod actions;
pub mod kernel_files;
pub mod settings;

#[path = "../../support/action.rs"]
#[allow(dead_code, reason = "sequences are the fuzzer's here")]
mod action;
#[path = "../../support/model.rs"]
#[allow(dead_code, reason = "for other tests")]
mod model;
