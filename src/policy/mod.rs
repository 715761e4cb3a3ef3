//! Floor 2, beside `mem`: numbers in, a number out. No pointer, no clock, no system call.

#![forbid(unsafe_code)]

pub mod limit;
pub mod pace;
pub mod pressure;
pub mod retention;
pub mod surplus;
