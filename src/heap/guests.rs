//! Guests: blocks of other heaps' pools that a thread freed, and allocates again itself.
//!
//! Where threads free each other's blocks here and there, a parcel has no more than a block or two when another pool wants its
//! place. To send it home takes two exchanges, and its owner as much again, who may be at work on something else; and who frees a block often wants one
//! as large. So those blocks go onto the thread's own list. For their pools they are in use as before, and their owners know nothing of it.
//!
//! Few of them at first, and more as they find work: a thread that frees, and allocates nothing, sends nearly all of them home. When a list
//! is let go that is not exhausted, they go home too. With the feature `hardened` there are none: it is the owner who sees that
//! a block is freed twice.

use core::ptr::NonNull;

use super::outbox;
use super::thread_heap::ThreadHeap;
use crate::base::class::SizeClass;
use crate::base::geometry::GUESTS_FIRST;
use crate::mem::block::{self, Block};
use crate::mem::link;
use crate::mem::parcel::Parcel;
use crate::mem::pool::Pool;

impl ThreadHeap {
    /// Puts the blocks of a parcel onto the current list of their class, unless there is none, or it had many guests since it
    /// was exhausted. Whether it did. For the owner.
    ///
    /// # Safety
    ///
    /// The blocks are used ones of `pool`, which is of `class` and another heap's; nobody uses them any more.
    pub unsafe fn take_guests(&self, parcel: &Parcel, pool: &Pool, class: SizeClass) -> bool {
        let (current, bin, count) = (self.current(class), self.bin(class), parcel.count() as u32);
        let guests = bin.guests.get() + count;
        if cfg!(feature = "hardened") || guests > self.guests_max(class) || current.base().is_none()
        {
            return false;
        }
        bin.guests.set(guests);
        bin.handed.set(bin.handed.get() + count);
        // SAFETY: the caller's contract, and the list is this heap's.
        parcel.for_each(pool.start(), |block| unsafe { link::put(block, current.free) });
        true
    }

    fn guests_max(&self, class: SizeClass) -> u32 {
        self.bin(class).guests_max.get().max(GUESTS_FIRST)
    }

    /// The current list of `class` is exhausted: all guests found work.
    #[inline(always)]
    pub fn guests_are_gone(&self, class: SizeClass) {
        if self.bin(class).guests.get() != 0 {
            self.welcome_more(class);
        }
    }

    /// If the guests were about as many as may come, more may from now on.
    #[cold]
    #[inline(never)]
    fn welcome_more(&self, class: SizeClass) {
        let (bin, most) = (self.bin(class), self.guests_max(class));
        if bin.guests.get() > most / 2 {
            bin.guests_max.set((most * 2).min(class.capacity() as u32));
        }
        bin.guests.set(0);
    }

    /// Sends the guests on all current lists home. For the owner.
    pub fn send_guests(&self) {
        for class in SizeClass::all() {
            if let Some(pool) = self.current_pool(class) {
                let list = self.current(class).free;
                list.set(self.part_guests(pool, class, list.get()).0);
            }
        }
    }

    /// Sends the guests home that are on the list which `pool` of `class` has, or had, while it is current. The list of those that are
    /// left, and how many they are. For who has the heap.
    pub fn part_guests(
        &self,
        pool: &Pool,
        class: SizeClass,
        list: *mut Block,
    ) -> (*mut Block, usize) {
        let bin = self.bin(class);
        if bin.guests.get() == 0 {
            // SAFETY: the list is this heap's.
            return (list, unsafe { block::length(list) });
        }
        bin.guests.set(0);
        bin.guests_max.set(0);
        let (mut first, mut last, mut count) = (block::NONE, None, 0);
        // SAFETY: the list is this heap's; the link of each block is read before it is relinked or sent.
        for block in unsafe { block::each(list) } {
            if !is_of(block, pool, class) {
                // It was counted when it came, and whoever publishes counts what is left on the list anew.
                bin.handed.set(bin.handed.get() - 1);
                // SAFETY: `take_guests` put it here: a used block of another heap's pool, which nobody has any more.
                unsafe { outbox::send_one(block, class) };
                continue;
            }
            match last.replace(block) {
                // SAFETY: as above.
                Some(last) => unsafe { Block::set_next(last, block.as_ptr()) },
                None => first = block.as_ptr(),
            }
            count += 1;
        }
        if let Some(last) = last {
            // SAFETY: as above.
            unsafe { Block::set_next(last, block::NONE) };
        }
        (first, count)
    }

    /// How many blocks of the current list of `class` are of `pool`, the current one. For the owner.
    pub fn own_listed(&self, pool: &Pool, class: SizeClass) -> usize {
        // SAFETY: the current list is this heap's, and this is its thread.
        let listed = unsafe { block::each(self.current(class).free.get()) };
        listed.filter(|&block| is_of(block, pool, class)).count()
    }
}

/// Whether a block of `class` lies in `pool`.
fn is_of(block: NonNull<Block>, pool: &Pool, class: SizeClass) -> bool {
    block.addr().get().wrapping_sub(pool.start().addr().get()) < class.pool_size()
}
