//! The inbox of a heap: pools with remote frees that wait, put in by any thread and taken out by the
//! owner, each linked to the one that was put in before it.

use core::ptr::{self, NonNull};

use crate::sync::atomic::{AtomicPtr, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::planted::planted;
use crate::sync::word::WordPtr;

/// What an inbox holds: each has room for one link.
pub trait Queued: Sized {
    /// The one that is behind it in an inbox. Written by whoever puts it in.
    fn link(&self) -> &WordPtr<Self>;
}

/// See the module. On a cache line of its own: others write to it.
#[repr(C, align(64))]
pub struct Inbox<T> {
    first: AtomicPtr<T>,
    /// What the owner took out and has not looked at yet, linked likewise.
    pending: WordPtr<T>,
}

impl<T: Queued> Inbox<T> {
    pub const fn new() -> Self {
        Self { first: AtomicPtr::new(ptr::null_mut()), pending: WordPtr::new(ptr::null_mut()) }
    }

    /// Puts `item` in. By any thread; `item` must not be in an inbox.
    pub fn put(&self, item: &T) {
        let this = ptr::from_ref(item).cast_mut();
        let mut first = self.first.load(Relaxed);
        let order = if planted("put_relaxed") { Relaxed } else { SeqCst };
        loop {
            item.link().set(first);
            // Release, which is in SeqCst, pairs with the Acquire in `refill`: the link is visible to the
            // owner. SeqCst, since who puts looks afterwards whether there is one (`vacancy.rs`).
            match self.first.compare_exchange_weak(first, this, order, Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Whether something was put in since the owner last took all.
    pub fn has_mail(&self) -> bool {
        !self.first.load(Relaxed).is_null()
    }

    /// Whether there is something to take in. For others than the owner, as of some moment.
    pub fn has_any(&self) -> bool {
        self.is_pending() || self.has_mail()
    }

    /// Takes all out, once what was taken before is looked at. For the owner.
    pub fn refill(&self) {
        if !self.pending.get().is_null() || self.first.load(Relaxed).is_null() {
            return;
        }
        let order = if planted("take_relaxed") { Relaxed } else { Acquire };
        // Acquire pairs with the Release in `put`.
        self.pending.set(self.first.swap(ptr::null_mut(), order));
    }

    /// Takes the next of what was taken out, and calls `take` with it: which may collect its remote
    /// frees, so that another thread may put it in again. `None` if nothing is left. For the owner.
    ///
    /// # Safety
    ///
    /// What is in the inbox is alive, and nobody else takes from it meanwhile.
    #[inline(always)]
    pub unsafe fn take_next<R>(&self, take: impl FnOnce(NonNull<T>) -> R) -> Option<R> {
        let item = NonNull::new(self.pending.get())?;
        // SAFETY: the caller's contract.
        let go_on = || self.pending.set(unsafe { item.as_ref() }.link().get());
        if planted("take_links_late") {
            let taken = take(item);
            go_on();
            return Some(taken);
        }
        go_on();
        Some(take(item))
    }

    /// Whether something that was taken out is not looked at yet. For the owner.
    pub fn is_pending(&self) -> bool {
        !self.pending.get().is_null()
    }

    /// Forgets what waits: for a forked child.
    pub fn forget(&self) {
        self.pending.set(ptr::null_mut());
        self.first.store(ptr::null_mut(), Relaxed);
    }
}
