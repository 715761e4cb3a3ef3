//! The way of a free: onto the current list; else onto the list of the block's own pool; else, if another heap owns that,
//! into the outbox. Each goes on where the one before it ends, with nothing to be undone.
//!
//! By address alone (`push_found`) the record comes first, which tells the class. Whether the pool is current then chooses
//! between two lists, not between two ways: in what order a program frees, no processor can foretell, and
//! each wrong guess costs as much as the whole of either.

#[cfg(all(feature = "malloc", not(feature = "hardened")))]
use core::hint::select_unpredictable;
#[cfg(all(feature = "malloc", not(feature = "hardened")))]
use core::ptr;
use core::ptr::NonNull;

use super::sweeper;
use super::tenancy::Begun;
use super::thread_heap::ThreadHeap;
use crate::base::class::SizeClass;
use crate::mem::pool::{Pool, State};
use crate::mem::{block, link};

impl ThreadHeap {
    /// Takes a block of `class` back: onto the current list if it lies in the current pool.
    ///
    /// # Safety
    ///
    /// The block was allocated as one of `class`, and nobody uses it any more.
    #[inline(always)]
    pub unsafe fn push(&'static self, block: NonNull<u8>, class: SizeClass) {
        if !self.push_current(block, class, class.pool_size()) {
            // SAFETY: the caller's contract.
            unsafe { Self::push_elsewhere(block, self, class) };
        }
    }

    /// As [`ThreadHeap::push`] for who has found the block's pool.
    ///
    /// # Safety
    ///
    /// As for [`ThreadHeap::push`]; `pool` is the block's.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    #[inline(always)]
    pub unsafe fn push_found(
        &'static self,
        block: NonNull<u8>,
        class: SizeClass,
        pool: NonNull<Pool>,
    ) {
        // SAFETY: a used block's pool is taken, so its arena and its record are mapped.
        let pool = unsafe { pool.as_ref() };
        let begun = match self.try_enter(class, pool.owner()) {
            Ok(begun) => begun,
            // SAFETY: the caller's contract.
            Err(begun) => return unsafe { Self::push_outside(block, self, class, pool, begun) },
        };
        let counted = pool.counted();
        let list = select_unpredictable(counted == 0, self.current(class).free, &pool.free);
        // SAFETY: the caller gave the block up, and either list is this heap's, which it has entered.
        unsafe { link::put(block.cast(), list) };
        self.count_pushed(pool, class, begun, counted);
    }

    /// Whether `block` is what [`ThreadHeap::pop_latest`] gave last. So may null be.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    #[inline(always)]
    pub fn is_latest(&self, block: *mut u8) -> bool {
        self.latest.get() == block
    }

    /// Takes back what [`ThreadHeap::is_latest`], if it lies in the current pool of the class in hand: of that class it is then.
    ///
    /// # Safety
    ///
    /// It is null, or was allocated as a block of some class, and nobody uses it any more.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    #[inline(always)]
    pub unsafe fn push_latest(&self, block: *mut u8) -> bool {
        // Freed twice, it is not taken back twice.
        self.latest.set(ptr::null_mut());
        let Some(block) = NonNull::new(block) else { return false };
        SizeClass::from_index(self.in_hand.class())
            .is_some_and(|class| self.push_current(block, class, class.pool_size()))
    }

    /// Counts a free to a pool of this heap's, which it has entered, and leaves it: one of `counted` that are published by themselves,
    /// which those to the current pool are not.
    #[inline(always)]
    fn count_pushed(
        &'static self,
        pool: &'static Pool,
        class: SizeClass,
        begun: Begun,
        counted: u32,
    ) {
        let countdown = pool.countdown.get().wrapping_sub(1);
        pool.countdown.set(countdown);
        if countdown == 0 {
            return Self::push_on(pool, self, class, begun, counted);
        }
        if self.leave(class, begun, counted) {
            self.push_and_publish(class);
        }
    }

    /// Puts a block that its user gave up onto the current list if it lies in the current pool.
    #[inline(always)]
    fn push_current(&self, block: NonNull<u8>, class: SizeClass, pool_size: usize) -> bool {
        let (current, address) = (self.current(class), block.addr().get());
        if !current.holds(&self.in_hand, class.index(), address, pool_size) {
            return false;
        }
        // SAFETY: the callers' contract: the block was given up.
        unsafe { link::put(block.cast(), current.free) };
        true
    }

    // What is handed on comes in the same order from `free` on, the block first: nothing need be moved.
    #[inline(never)]
    unsafe fn push_elsewhere(block: NonNull<u8>, heap: &'static Self, class: SizeClass) {
        let pool = Pool::starting(block.addr().get() & heap.tally(class).pool_mask());
        // SAFETY: the callers' contract; the record is the block's pool's.
        unsafe { heap.push_to(pool, block, class) };
    }

    /// Takes a block back that is not in the current pool: onto its own pool's list, or, if another
    /// heap owns that, into the outbox.
    ///
    /// # Safety
    ///
    /// As for [`ThreadHeap::push`]; `pool` is the block's.
    #[inline(always)]
    unsafe fn push_to(&'static self, pool: NonNull<Pool>, block: NonNull<u8>, class: SizeClass) {
        // SAFETY: a used block's pool is taken, so its arena and its record are mapped.
        let pool = unsafe { pool.as_ref() };
        let begun = match self.try_enter(class, pool.owner()) {
            Ok(begun) => begun,
            // SAFETY: the caller's contract.
            Err(begun) => return unsafe { Self::push_outside(block, self, class, pool, begun) },
        };
        // Who drops many at once has often not touched this one for long, and stores are done one after the other.
        block::expect(block.cast().as_ptr());
        // SAFETY: the caller gave the block up.
        unsafe { link::put(block.cast(), &pool.free) };
        self.count_pushed(pool, class, begun, 1);
    }

    /// The rest of [`ThreadHeap::count_pushed`] when the pool must move on to another list, unless it is current.
    #[cold]
    #[inline(never)]
    fn push_on(
        pool: &'static Pool,
        heap: &'static Self,
        class: SizeClass,
        begun: Begun,
        counted: u32,
    ) {
        let inside = heap.go_on();
        // First of all: what follows may settle the class.
        if heap.leave(class, begun, counted) {
            heap.a_pools_worth(class);
        }
        if pool.state() != State::Current {
            heap.relist_after_frees(pool, class, 0);
        }
        heap.unpin_if_due();
        drop(inside);
        sweeper::nudge();
    }

    /// The rest of [`ThreadHeap::count_pushed`] when a pool's worth of frees is to be published.
    #[cold]
    #[inline(never)]
    fn push_and_publish(&'static self, class: SizeClass) {
        let inside = self.go_on();
        self.a_pools_worth(class);
        drop(inside);
        sweeper::nudge();
    }

    /// Once for each pool's worth of frees of `class`.
    fn a_pools_worth(&'static self, class: SizeClass) {
        self.publish_frees(class);
        self.shrank(class);
    }

    /// The rest of [`ThreadHeap::push_to`] for another heap's pool. The block is not written to: see `parcel.rs`.
    ///
    /// # Safety
    ///
    /// As for [`ThreadHeap::push_to`].
    #[inline(never)]
    unsafe fn push_outside(
        block: NonNull<u8>,
        heap: &'static Self,
        class: SizeClass,
        pool: &'static Pool,
        begun: Begun,
    ) {
        // SAFETY: the caller's contract; where the heap has entered, the pool is another's.
        if !heap.has_entered() || !unsafe { heap.outbox.add(block, pool, class) } {
            heap.leave(class, begun, 0);
            // SAFETY: the caller's contract.
            return unsafe { Self::push_outside_slowly(block, heap, class, pool) };
        }
        if heap.leave(class, begun, 1) {
            heap.publish_remote(class);
        }
    }

    /// The rest of [`ThreadHeap::push_outside`] when a pool's worth of frees is to be published.
    #[cold]
    #[inline(never)]
    fn publish_remote(&self, class: SizeClass) {
        let _inside = self.go_on();
        self.publish_frees(class);
    }

    /// The rest of [`ThreadHeap::push_outside`] when a batch begins or goes, in a thread without a heap, or for a pool
    /// that seems not to be current since the heap was claimed.
    ///
    /// # Safety
    ///
    /// As for [`ThreadHeap::push_to`].
    #[cold]
    #[inline(never)]
    unsafe fn push_outside_slowly(
        block: NonNull<u8>,
        heap: &'static Self,
        class: SizeClass,
        pool: &'static Pool,
    ) {
        if pool.owner() != heap.as_owner() {
            // SAFETY: the caller's contract; the pool is not this heap's.
            return unsafe { super::local::free_remote(heap, block, pool, class) };
        }
        heap.renew();
        // SAFETY: the caller's contract.
        unsafe { heap.push(block, class) };
    }
}
