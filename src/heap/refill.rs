//! A current list is exhausted: where the next blocks come from.
//!
//! In this order: remote frees that wait; what the current pool has not carved; the fullest partial
//! pool; a kept empty pool, of the same class or, if the rung lets classes share, of another; new
//! slots from the fullest arena that has them. So memory that was touched serves before memory that
//! was not.

use core::ptr::NonNull;

use super::surplus::{self, Taker};
use super::thread_heap::ThreadHeap;
use super::{config, ledger, limit, retire};
use crate::base::class::SizeClass;
use crate::base::geometry::{
    ARENA_SIZE, CARVE_BYTES, INBOX_AT_ONCE, INBOX_BLOCKS, INBOX_POOLS, SLOT_SIZE,
};
use crate::mem::arena;
use crate::mem::arena_set::ARENAS;
use crate::mem::block;
use crate::mem::pool::{Pool, State};
use crate::mem::remote_word::Listed;
use crate::sys;

/// What came of taking remote frees in.
pub struct Collected {
    /// Bytes that went to the system.
    pub bytes: usize,
    /// Blocks that were taken in.
    pub blocks: usize,
    /// Pools are left whose remote frees wait.
    pub more: bool,
}

impl ThreadHeap {
    /// A block of `class` when the current list has none; `None` if the system gives no memory even
    /// after this heap gave back what it keeps.
    pub fn refill(&'static self, class: SizeClass) -> Option<NonNull<u8>> {
        limit::hand_out(class.pool_size(), 0);
        let _inside = self.enter();
        if self.inbox.has_any() {
            self.collect_for(class);
        }
        if let Some(block) = self.pop(class) {
            return Some(block);
        }
        self.guests_are_gone(class);
        let current = self.current_pool(class);
        if !current.is_some_and(|pool| self.carve(pool, class)) {
            if let Some(pool) = current {
                self.leave_current(pool, class);
            }
            if !self.install_own(class) {
                self.install_other(class)?;
            }
        }
        if cfg!(debug_assertions) {
            self.check_current(class);
        }
        self.pop(class)
    }

    /// Takes in some of what other threads freed; all that waits, if there is nothing else for `class` that was
    /// touched before.
    #[cold]
    #[inline(never)]
    fn collect_for(&'static self, class: SizeClass) {
        while self.collect_pools(true).more && self.bin(class).has_none() {}
    }

    /// Takes in everything that other threads freed. Returns bytes that went to the system. For the
    /// owner.
    pub fn collect_inbox(&'static self) -> usize {
        let mut bytes = 0;
        loop {
            let collected = self.collect_pools(true);
            bytes += collected.bytes + self.unpin_if_due();
            if !collected.more {
                return bytes;
            }
        }
    }

    /// Takes in what other threads freed of some pools. A claimer leaves what waits for current pools,
    /// whose lists are the fast path's.
    pub fn collect_pools(&'static self, is_owner: bool) -> Collected {
        self.inbox.refill();
        let mut all = Collected { bytes: 0, blocks: 0, more: true };
        for _ in 0..INBOX_POOLS / INBOX_AT_ONCE {
            let mut taken = [const { None }; INBOX_AT_ONCE];
            for place in &mut taken {
                // SAFETY: a pool in the inbox has used blocks, so its arena is mapped; the heap is the
                // caller's.
                match unsafe { self.inbox.take_next(|pool| self.take_waiting(pool, is_owner)) } {
                    Some(waiting) => *place = waiting,
                    None => {
                        all.more = false;
                        break;
                    }
                }
            }
            for (pool, waiting) in taken.into_iter().flatten() {
                all.bytes += self.take_in(pool, waiting);
                all.blocks += waiting.count;
            }
            if !all.more || all.blocks >= INBOX_BLOCKS {
                break;
            }
        }
        all.more &= self.inbox.is_pending();
        all
    }

    /// What waits for a pool that the inbox gave, taken off it by an exchange: which waits for all that was written before. So
    /// this is done for some pools before the blocks of the first are linked, and what is read first of them is fetched meanwhile.
    fn take_waiting(
        &'static self,
        pool: NonNull<Pool>,
        is_owner: bool,
    ) -> Option<(&'static Pool, Listed)> {
        // SAFETY: a pool that comes out of the inbox has used blocks, so its arena is mapped.
        let pool = unsafe { pool.as_ref() };
        if !is_owner && pool.state() == State::Current {
            self.inbox.put(pool);
            return None;
        }
        Some((pool, pool.take_waiting()?))
    }

    /// Takes in what waited for a pool. Returns bytes that went to the system.
    fn take_in(&'static self, pool: &'static Pool, waiting: Listed) -> usize {
        let class = pool.class();
        let current = self.current(class);
        let is_current = pool.state() == State::Current;
        let list = if is_current { current.free } else { &pool.free };
        let behind = list.get();
        if is_current {
            // SAFETY: the current list is this heap's.
            self.hand(class, waiting.count, unsafe { block::length(behind) });
        }
        // SAFETY: the pool came out of this heap's inbox: it owns it, and the list.
        let first = unsafe { pool.take_in(class, waiting, behind) };
        list.set(first.as_ptr());
        if is_current { 0 } else { self.relist_after_frees(pool, class, waiting.count) }
    }

    /// Carves more of `pool`, the current one of `class`: one OS page's worth in the first pool of a class, so
    /// that little is touched for few blocks; all of it in further ones. False if all is carved.
    #[inline]
    fn carve(&self, pool: &'static Pool, class: SizeClass) -> bool {
        !pool.is_all_carved(class) && self.carve_more(pool, class)
    }

    #[cold]
    #[inline(never)]
    fn carve_more(&self, pool: &'static Pool, class: SizeClass) -> bool {
        // SAFETY: the current pool is this heap's.
        if let Some((first, count, pages)) = unsafe { pool.carve_again(sys::page_size()) } {
            ledger::refaulted(pages as usize);
            surplus::grew(Taker::Class(class), pages as usize * sys::page_size());
            limit::grew(pages as usize * sys::page_size());
            self.count_carved(class, count);
            self.current(class).free.set(first.as_ptr());
            return true;
        }
        let few = self.bin(class).pools.get() <= 1;
        let wanted = if few { (CARVE_BYTES / class.block_size()).max(1) } else { class.capacity() };
        let count = wanted.min(pool.uncarved(class));
        if count == 0 {
            return false;
        }
        // First what is exchanged: that waits for all that was written, and carving writes where no cache need have it.
        self.count_carved(class, count);
        // SAFETY: the current pool is this heap's.
        let first = unsafe { pool.carve(class, count) };
        self.current(class).free.set(first.as_ptr());
        true
    }

    fn count_carved(&self, class: SizeClass, count: usize) {
        ledger::carved(class, count as isize);
        self.hand(class, count, 0);
    }

    /// The current pool is exhausted, so it is full.
    fn leave_current(&self, pool: &Pool, class: SizeClass) {
        pool.set_used(class, class.capacity(), self.bin(class).enough(class));
        pool.set_state(State::Full);
        pool.forget_seen();
        self.current(class).clear();
    }

    /// Makes another pool of the bin, whose memory is resident, the current one, if there is any.
    fn install_own(&'static self, class: SizeClass) -> bool {
        let pool = self.bin(class).take();
        pool.map(|pool| self.install(pool, class)).is_some()
    }

    /// Makes a pool the current one that was not the bin's, or whose memory is not resident; else one that is nearly
    /// full.
    #[cold]
    #[inline(never)]
    fn install_other(&'static self, class: SizeClass) -> Option<()> {
        if !self.install_new(class) {
            self.list_nearly_full(class);
            return self.install_own(class).then_some(());
        }
        Some(())
    }

    /// Makes a pool the current one that was not the bin's, or whose memory is not resident. False if there
    /// is no memory.
    fn install_new(&'static self, class: SizeClass) -> bool {
        let share = config::retention().classes_share();
        let stolen = if share { self.steal_empty(class) } else { None };
        let slots = class.pool_size() / SLOT_SIZE;
        if stolen.is_none() && arena::idle_slots() < slots {
            // What is resident before what is not: kept pools of another size are, a hollowed pool's OS
            // pages are not.
            self.release_some(slots);
            if arena::idle_slots() < slots
                && let Some(pool) = self.bin(class).take_hollow()
            {
                self.install(pool, class);
                return true;
            }
        }
        let (pool, grown) = match stolen {
            Some(pool) => {
                pool.open(class, self.as_owner());
                pool.mark_tail_resident();
                (pool, 0)
            }
            None => match self.take_pool(class) {
                Some(taken) => taken,
                None => return false,
            },
        };
        ledger::class(class).pools.add(1);
        let bin = self.bin(class);
        bin.pools.set(bin.pools.get() + 1);
        self.current(class).set_base(pool.start().addr().get());
        self.carve(pool, class);
        surplus::grew(Taker::Class(class), grown * SLOT_SIZE);
        self.grew(grown);
        true
    }

    /// Makes a pool of the bin, taken off its list, the current one.
    fn install(&'static self, pool: &'static Pool, class: SizeClass) {
        // First what is exchanged, as in `carve_more`.
        self.hand(class, pool.listed(), 0);
        if pool.state() == State::Empty {
            // Its list is as it was left: carving again would touch every block.
            self.no_longer_kept(class);
            // SAFETY: this heap's pool.
            unsafe { pool.straighten(class) };
        }
        let current = self.current(class);
        let free = pool.become_current();
        current.free.set(free);
        current.set_base(pool.start().addr().get());
        if free.is_null() {
            self.carve(pool, class);
        }
    }

    /// A kept empty pool of another class with pools as large: touched already, and nobody's need.
    fn steal_empty(&'static self, class: SizeClass) -> Option<&'static Pool> {
        let other = self.kept.first(class.alike())?;
        let pool = self.bin(other).empty.pop_front()?;
        self.no_longer_kept(other);
        self.strike(pool, other);
        surplus::gave_up(Taker::Class(other), other.pool_size());
        Some(pool)
    }

    /// A new pool, and how many slots became resident with it.
    fn take_pool(&'static self, class: SizeClass) -> Option<(&'static Pool, usize)> {
        let (pool, grown) = self.take_slots(class).or_else(|| {
            self.give_back_kept();
            self.take_slots(class)
        })?;
        let home = pool.start().addr().get() & !(ARENA_SIZE - 1);
        if self.home.get() != home {
            self.home.set(home);
            if !config::retention().waits() {
                self.release_empties(|pool| retire::arena_of(pool) != home);
            }
        }
        Some((pool, grown))
    }

    /// Slots for a pool of `class`, its record opened, from the arenas.
    fn take_slots(&self, class: SizeClass) -> Option<(&'static Pool, usize)> {
        let slots = class.pool_size() / SLOT_SIZE;
        let taken = ARENAS.lock().take(slots, slots, |pool| pool.open(class, self.as_owner()))?;
        ledger::refaulted(taken.refaulted);
        limit::grew(taken.grown * SLOT_SIZE);
        // SAFETY: the slots are this heap's now, and their arena is mapped.
        let pool = unsafe { Pool::at(taken.start.addr().get()).as_ref() };
        if taken.resident > 0 {
            pool.mark_tail_resident();
        }
        Some((pool, taken.grown))
    }
}
