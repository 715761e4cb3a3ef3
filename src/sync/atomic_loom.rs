//! The door for atomics under the model checker: loom's, behind constructors that are `const`, as the
//! real ones are.
//!
//! loom's own can only be made while a model runs. So each is made when it is first used, which must
//! happen before threads share it: loom says so if it does not.
//!
//! loom 0.7 remembers one load of a word, the last: a thread that loads and then writes, as every
//! exchange in a loop does, hides from it that another thread's load could also come after the write, and
//! such orders are then not tried (two loads of a word by one thread, and by another a load and a store:
//! one execution). So each access first makes an exchange without meaning on a word beside it, and loom
//! tries every order of these. As `Relaxed` exchanges they add no order of their own but to who also passes
//! a fence; and all fences in the library are `SeqCst`, which loom orders among themselves as it is.
//!
//! loom puts two threads' stores to one word in an order only if something else orders them; then an exchange, and any
//! later load, may follow either, whatever was read before. Where one thread stores and another exchanges (lists of
//! current pools) no machine does that: such a store is an exchange here ([`store_beside_exchanges`]).
//!
//! loom takes an access that is `SeqCst` for one that is `AcqRel`. Here it has a fence before it, which is one
//! of the two ways in which compilers make such accesses: enough for those among themselves, and no more.

extern crate std;

use loom::sync::atomic as model;
use std::sync::OnceLock;

pub use core::sync::atomic::Ordering;
pub use loom::sync::atomic::fence;

pub use crate::sys::{light_fence as compiler_fence, spin_loop};

macro_rules! atomic {
    ($name:ident$(<$of:ident>)?, $value:ty) => {
        /// See the module.
        pub struct $name$(<$of>)? {
            first: $value,
            made: OnceLock<(model::$name$(<$of>)?, model::AtomicUsize)>,
        }

        // SAFETY: as core's own; `first` is only ever copied.
        unsafe impl$(<$of>)? Sync for $name$(<$of>)? {}
        // SAFETY: as above.
        unsafe impl$(<$of>)? Send for $name$(<$of>)? {}

        impl$(<$of>)? $name$(<$of>)? {
            pub const fn new(value: $value) -> Self {
                Self { first: value, made: OnceLock::new() }
            }

            fn made(&self) -> &model::$name$(<$of>)? {
                let made = || (model::$name::new(self.first), model::AtomicUsize::new(0));
                let (word, beside) = self.made.get_or_init(made);
                beside.fetch_or(0, Ordering::Relaxed);
                word
            }

            pub fn load(&self, order: Ordering) -> $value {
                behind_fence(order, || self.made().load(order))
            }

            pub fn store(&self, value: $value, order: Ordering) {
                behind_fence(order, || self.made().store(value, order))
            }

            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                behind_fence(order, || self.made().swap(value, order))
            }

            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                behind_fence(success, || {
                    self.made().compare_exchange(current, new, success, failure)
                })
            }

            /// Does not fail by chance, as loom's does not.
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.made().fetch_update(set_order, fetch_order, change)
            }
        }
    };
}

fn behind_fence<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
    if order == Ordering::SeqCst {
        fence(order);
    }
    access()
}

atomic!(AtomicU8, u8);
atomic!(AtomicU16, u16);
atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
atomic!(AtomicBool, bool);
atomic!(AtomicPtr<T>, *mut T);

/// See the module.
pub fn store_beside_exchanges<T>(word: &AtomicPtr<T>, value: *mut T) {
    word.swap(value, Ordering::Relaxed);
}
