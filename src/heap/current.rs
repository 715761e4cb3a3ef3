//! The current pool of a class: what the fast path works on, and how a claimer takes it away from a thread
//! that sleeps, or works on something else.
//!
//! The fast path enters nothing (`tenancy.rs`). All that it says is which class it has in hand, by one plain
//! store before it reads anything of that class. A claimer, to whom the slow paths are closed, then goes in
//! two steps, with a barrier that every running thread passes behind each:
//!
//! 1. It hides the pool's base. Behind the barrier every free that begins sees that, and waits on its slow
//!    path. A free that is under way has the class in hand: then the base is put back.
//! 2. It exchanges the list for a mark. Behind the barrier every allocation that begins sees that, and waits.
//!    One that is under way has the class in hand, or has stored what is behind its block over the mark: then
//!    the list is put back, unless what the owner stored stands there.
//!
//! So what is left is the claimer's: the owner's hand is elsewhere, and comes back only by the slow path.
//! The one class that a sleeping thread had in hand last cannot be told from one that it is at work on.

#![forbid(unsafe_code)]

use core::ptr::{self, NonNull};

use crate::sync::atomic::{
    AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
    compiler_fence,
};
use crate::sync::planted::planted;
use crate::sync::word::{WordPtr, WordSize};
use crate::sys;

/// Which class the fast path has in hand, or had last. As wide as a register: processors that rename memory do so
/// for no narrower stores, and a tight pair then takes two and a half times as long, not one and a half times.
pub struct InHand(AtomicUsize);

impl InHand {
    /// All bits zero.
    pub const fn zero() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Has no class in hand.
    pub fn put_down(&self) {
        self.0.store(usize::MAX, Relaxed);
    }

    /// Takes a class up. What the fast path reads and writes of it comes after.
    #[inline(always)]
    fn take_up(&self, class: usize) {
        // Release pairs with the Acquire in `has`: who sees this class in hand sees all that was done to
        // the one before.
        self.0.store(class, if planted("hand_relaxed") { Relaxed } else { Release });
        // Pairs with the barriers in `take_away`: the store above is visible before the loads below.
        compiler_fence(SeqCst);
    }

    /// The index of the class that is in hand, or was last; no class's if none was. For the owner.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    #[inline(always)]
    pub fn class(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Whether `class` is in hand, or was last. If not, all that the fast path did to it is visible.
    pub fn has(&self, class: usize) -> bool {
        self.0.load(Acquire) == class && !planted("hand_not_looked_at")
    }
}

/// The current pools of `N` classes. A table for each word, so that a processor's addressing finds a class's word without
/// arithmetic.
pub struct Currents<B, const N: usize> {
    free: [WordPtr<B>; N],
    bases: [WordSize; N],
}

impl<B, const N: usize> Currents<B, N> {
    /// None: all bits zero.
    pub const fn new() -> Self {
        Self {
            free: [const { WordPtr::new(ptr::null_mut()) }; N],
            bases: [const { WordSize::new(NOWHERE) }; N],
        }
    }

    /// That of the class with this index.
    #[inline(always)]
    pub fn of(&self, class: usize) -> Current<'_, B> {
        Current { free: &self.free[class], base: &self.bases[class] }
    }
}

/// The current pool of a class: all that the fast path reads and writes.
pub struct Current<'a, B> {
    /// Free blocks of the current pool; null if there is none or it is exhausted. The owner's, or a
    /// claimer's mark for no longer than it claims: so only the fast path can meet that.
    pub free: &'a WordPtr<B>,
    /// Where the current pool starts; [`NOWHERE`] if there is none.
    base: &'a WordSize,
}

/// An address from which no block is less than a pool away: no arena starts there, and each is larger than a pool.
pub const NOWHERE: usize = 0;

/// What stands for a list that a claimer holds. No block is at such an address.
const WITHHELD: usize = 1;

impl<B> Current<'_, B> {
    /// Takes the first block off the list; `next` says which is behind it. `None`: to the slow path.
    #[inline(always)]
    pub fn pop(
        &self,
        in_hand: &InHand,
        class: usize,
        next: impl FnOnce(NonNull<B>) -> *mut B,
    ) -> Option<NonNull<B>> {
        in_hand.take_up(class);
        let first = self.free.get();
        if first.addr() <= WITHHELD {
            return None;
        }
        let first = NonNull::new(first)?;
        self.free.set_beside_exchanges(next(first));
        Some(first)
    }

    /// Whether an address lies in the current pool, of `size` bytes: then a block there may be put onto
    /// the list at once.
    #[inline(always)]
    pub fn holds(&self, in_hand: &InHand, class: usize, address: usize, size: usize) -> bool {
        if planted("hand_taken_up_late") {
            let holds = address.wrapping_sub(self.base.get()) < size;
            in_hand.take_up(class);
            return holds;
        }
        in_hand.take_up(class);
        let base = self.base.get();
        if !planted("base_read_last") {
            // Pairs with the barrier before a base comes back: the list is read after the base.
            compiler_fence(SeqCst);
        }
        address.wrapping_sub(base) < size
    }

    /// Where the current pool starts, if there is one.
    pub fn base(&self) -> Option<usize> {
        Some(self.base.get()).filter(|&base| base != NOWHERE)
    }

    /// The pool that starts at `base` is the current one from now on.
    pub fn set_base(&self, base: usize) {
        self.base.set(base);
    }

    /// There is no current pool any more.
    pub fn clear(&self) {
        self.free.set_beside_exchanges(ptr::null_mut());
        self.base.set(NOWHERE);
    }
}

/// A current pool that is being taken away, or was.
pub struct Taken<'a, B> {
    current: Current<'a, B>,
    /// The class's index.
    pub class: usize,
    /// Where the pool starts.
    pub base: usize,
    /// The blocks of its list.
    pub list: *mut B,
}

impl<B> Taken<'_, B> {
    /// Puts the list back, unless the owner has put the rest of it there, or will.
    fn put_list_back(&self) {
        self.current.free.replace(WITHHELD, self.list);
    }

    fn put_base_back(&self) {
        self.current.base.set(self.base);
    }
}

/// Takes the current pools of some classes away from a heap that the caller has claimed, but for those that the
/// owner has in hand. What it says is left afterwards was taken, and has no current pool any more.
pub fn take_away<'a, B, const N: usize>(
    in_hand: &InHand,
    currents: impl Iterator<Item = (usize, Current<'a, B>)>,
) -> [Option<Taken<'a, B>>; N] {
    let mut all = [const { None }; N];
    for (place, (class, current)) in all.iter_mut().zip(currents) {
        *place = current.base().map(|base| {
            current.base.set(NOWHERE);
            Taken { current, class, base, list: ptr::null_mut() }
        });
    }
    if all.iter().all(Option::is_none) {
        return all;
    }
    let is_hidden = planted("base_hidden_from_nobody") || sys::barrier();
    for place in &mut all {
        if let Some(taken) = place {
            if !is_hidden || in_hand.has(taken.class) {
                taken.put_base_back();
                *place = None;
            } else {
                taken.list = taken.current.free.exchange(WITHHELD);
            }
        }
    }
    let is_withheld = planted("list_withheld_from_nobody") || sys::barrier();
    let was_taken = |taken: &Taken<'_, B>| {
        // The hand first: what it had done to the list is then seen.
        is_withheld && !in_hand.has(taken.class) && taken.current.free.get().addr() == WITHHELD
    };
    let mut left = false;
    let mut kept = all.each_mut().map(|place| match place {
        Some(taken) if !was_taken(taken) => {
            taken.put_list_back();
            left = true;
            place.take()
        }
        _ => None,
    });
    if left {
        // Who sees the base again must not see the mark.
        if !planted("base_back_first") {
            sys::barrier();
        }
        kept.iter_mut().flatten().for_each(|taken| taken.put_base_back());
    }
    all.iter().flatten().for_each(|taken| taken.current.clear());
    all
}
