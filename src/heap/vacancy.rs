//! A heap that no thread has: how it comes that its remote frees are taken in all the same.
//!
//! Whoever puts a pool into an inbox looks afterwards whether a thread has the heap; whoever gives the heap
//! up, or was at work on it without having it, looks afterwards whether there is mail. So one of the two
//! sees the other, claims the heap for a moment and takes the mail in. The heap stays listed: who adopts
//! it meanwhile waits.
//!
//! Where memory waits before it goes, a pool's last free is enough of an occasion: what is left by who
//! came in between, the next sweep takes in.

#![forbid(unsafe_code)]

use crate::sync::atomic::{AtomicU8, Ordering::Relaxed, Ordering::SeqCst, fence};
use crate::sync::planted::planted;

const HELD: u8 = 0;
const VACANT: u8 = 1;

/// Whether a thread has a heap. Changed under the registry's lock.
pub struct Tenure(AtomicU8);

impl Tenure {
    /// Held.
    pub const fn new() -> Self {
        Self(AtomicU8::new(HELD))
    }

    /// Whether no thread has it, for who has just put something into its inbox.
    fn is_vacant_behind_put(&self) -> bool {
        let order = if planted("sent_looks_relaxed") { Relaxed } else { SeqCst };
        // SeqCst, as the put: either this sees the heap given up, or who gives it up sees the mail.
        self.0.load(order) == VACANT
    }

    /// Whether no thread has it.
    pub fn is_vacant(&self) -> bool {
        self.0.load(Relaxed) == VACANT
    }

    /// A thread has it from now on.
    pub fn set_held(&self) {
        self.0.store(HELD, Relaxed);
    }

    /// No thread has it from now on.
    pub fn set_vacant(&self) {
        self.0.store(VACANT, Relaxed);
    }
}

/// What a heap must have for it.
pub trait Vacatable {
    /// Nobody else works on the heap as long as this lives.
    type Claim;
    /// See [`Tenure`].
    fn tenure(&self) -> &Tenure;
    /// Whether remote frees wait.
    fn has_mail(&self) -> bool;
    /// Locks the registry.
    fn lock_registry(&self) -> impl Drop;
    /// Claims a heap that has no owner, unless somebody else does. Under the registry's lock, by which
    /// the next owner comes: no barrier is needed.
    fn begin_claim(&self) -> Option<Self::Claim>;
    /// Takes remote frees in and lets empty pools go. Under a claim.
    fn take_in(&self);
}

/// A pool was just put into the heap's inbox.
#[inline]
pub fn sent(heap: impl Vacatable) {
    if heap.tenure().is_vacant_behind_put() {
        tend(heap);
    }
}

/// The heap was just listed as vacant, or who worked on it without having it has just ended its claim.
pub fn left(heap: impl Vacatable) {
    if !planted("left_without_fence") {
        // Pairs with the SeqCst in `sent` and the fence in `tend`: the heap is seen as vacant and free
        // there, or its mail here.
        fence(SeqCst);
    }
    if heap.has_mail() {
        tend(heap);
    }
}

/// Claims `heap` for a moment if nobody has it, to take its remote frees in and let empty pools go.
#[cold]
pub fn tend(heap: impl Vacatable) {
    loop {
        if !planted("tend_without_fence") {
            // Pairs with the fences in `left` and below: the claim is free here, or the mail seen there.
            fence(SeqCst);
        }
        let Some(claim) = claim_vacant(&heap) else { return };
        heap.take_in();
        drop(claim);
        if !planted("tended_without_fence") {
            // Pairs with the fence above, of who did not get the claim.
            fence(SeqCst);
        }
        if !heap.has_mail() {
            return;
        }
    }
}

/// Claims a heap that nobody has, unless somebody else does.
pub fn claim_vacant<H: Vacatable>(heap: &H) -> Option<H::Claim> {
    if !heap.tenure().is_vacant() {
        return None;
    }
    let _registry = heap.lock_registry();
    // Whoever adopts it takes the lock after this, and so sees the claim.
    if heap.tenure().is_vacant() { heap.begin_claim() } else { None }
}
