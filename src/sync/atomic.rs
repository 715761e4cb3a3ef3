//! The one door for atomics: everything above takes them from here, so that a model checker's can
//! take their place (`atomic_loom.rs`).

#![forbid(unsafe_code)]

pub use core::hint::spin_loop;
pub use core::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    Ordering, compiler_fence, fence,
};

/// A relaxed store to a word that another thread exchanges. The model checker has another.
#[inline(always)]
pub fn store_beside_exchanges<T>(word: &AtomicPtr<T>, value: *mut T) {
    word.store(value, Ordering::Relaxed);
}
