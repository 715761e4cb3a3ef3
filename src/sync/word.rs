//! Words with one writer: a plain load and a plain store, readable by anyone at any time.
//!
//! The owner of a heap reads and writes its own words as if they were ordinary memory; readers on
//! other threads get a value that the owner stored at some moment. Nothing is ordered by them.

#![forbid(unsafe_code)]

use super::atomic::{
    AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering::Relaxed,
    store_beside_exchanges,
};

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $atomic:ident, $value:ty) => {
        $(#[$doc])*
        pub struct $name($atomic);

        impl $name {
            #[inline(always)]
            pub fn get(&self) -> $value {
                self.0.load(Relaxed)
            }
            #[inline(always)]
            pub fn set(&self, value: $value) {
                self.0.store(value, Relaxed)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $atomic:ident, $value:ty, new) => {
        word!($(#[$doc])* $name, $atomic, $value);

        impl $name {
            pub const fn new(value: $value) -> Self {
                Self($atomic::new(value))
            }
        }
    };
}

word!(/// Eight bits.
    Word8, AtomicU8, u8, new);
word!(/// Sixteen bits.
    Word16, AtomicU16, u16, new);
word!(/// Thirty-two bits.
    Word32, AtomicU32, u32, new);
word!(/// As wide as an address.
    WordSize, AtomicUsize, usize, new);

/// A pointer.
pub struct WordPtr<T>(AtomicPtr<T>);

impl<T> WordPtr<T> {
    pub const fn new(value: *mut T) -> Self {
        Self(AtomicPtr::new(value))
    }
    #[inline(always)]
    pub fn get(&self) -> *mut T {
        self.0.load(Relaxed)
    }
    #[inline(always)]
    pub fn set(&self, value: *mut T) {
        self.0.store(value, Relaxed)
    }

    /// As [`WordPtr::set`], of a word that another thread exchanges.
    #[inline(always)]
    pub fn set_beside_exchanges(&self, value: *mut T) {
        store_beside_exchanges(&self.0, value)
    }
    /// Stores `value` and says what was there: for who is not the only writer, for once.
    pub fn exchange(&self, value: usize) -> *mut T {
        self.0.swap(core::ptr::without_provenance_mut(value), Relaxed)
    }
    /// Stores `value` if the address `is` there.
    pub fn replace(&self, is: usize, value: *mut T) {
        let is = core::ptr::without_provenance_mut(is);
        // Whether it was there, the caller need not know.
        let _ = self.0.compare_exchange(is, value, Relaxed, Relaxed);
    }
}
