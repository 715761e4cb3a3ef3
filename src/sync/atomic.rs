//! The one door for atomics: everything above takes them from here, so that a model checker's can
//! take their place.

#![forbid(unsafe_code)]

pub use core::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    Ordering, compiler_fence, fence,
};
