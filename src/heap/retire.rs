//! Pools that change their state because blocks were freed, up to the empty pool that leaves.

use core::ptr::{self, NonNull};

use super::surplus::{self, Taker};
use super::thread_heap::ThreadHeap;
use super::{config, ledger, registry};
use crate::base::class::SizeClass;
use crate::base::geometry::{ARENA_SIZE, SLOT_SIZE, SLOTS_PER_ARENA};
use crate::mem::arena_set::{ARENAS, ArenaSet, Vacated};
use crate::mem::block::Block;
use crate::mem::pool::{Pool, State};
use crate::policy::retention::Retention;

/// Where the arena of a pool starts.
pub fn arena_of(pool: &Pool) -> usize {
    pool.start().addr().get() & !(ARENA_SIZE - 1)
}

impl ThreadHeap {
    /// Puts a pool of `class` that is not current where it belongs, after `collected` blocks went back
    /// to its list beside those that its countdown has counted. Returns bytes that went to the system.
    #[inline]
    pub fn relist_after_frees(
        &'static self,
        pool: &'static Pool,
        class: SizeClass,
        collected: usize,
    ) -> usize {
        if pool.state() == State::Partial {
            self.bin(class).partial[pool.band(class)].remove(pool);
            pool.forget_seen();
        }
        invariant!(collected <= pool.used(), "no more blocks come back than are used");
        let used = pool.used() - collected;
        self.list(pool, class, used, self.bin(class).enough(class))
    }

    /// Puts a pool of `class` that is on no list, and has so many used blocks, where it belongs; `enough` free
    /// ones make it one to allocate from. Returns bytes that went to the system.
    fn list(
        &'static self,
        pool: &'static Pool,
        class: SizeClass,
        used: usize,
        enough: usize,
    ) -> usize {
        let bin = self.bin(class);
        let band = pool.set_used(class, used, enough);
        if used == 0 {
            return self.emptied(pool, class);
        }
        match band {
            Some(band) => {
                pool.set_state(State::Partial);
                bin.partial[band].push_back(pool);
            }
            None => pool.set_state(State::Full),
        }
        0
    }

    /// Makes the full pools of `class` that have free blocks ones to allocate from, few as those are. Looks at
    /// every arena's records under their lock: where the other answer is that there is no memory.
    pub fn list_nearly_full(&'static self, class: SizeClass) {
        ARENAS.lock().for_each(|arena| {
            arena.for_each_pool(|record| {
                let is_full = record.owner() == self.as_owner() && record.state() == State::Full;
                if is_full && record.class() == class && record.listed() > 0 {
                    // SAFETY: this heap's pool, whose record is mapped as long as it has used blocks.
                    let pool = unsafe { &*ptr::from_ref(record) };
                    // It has used blocks, so that nothing goes, for which the lock would be taken again.
                    self.list(pool, class, pool.used(), 1);
                }
            });
        });
    }

    /// Has `mark` change what was seen of a partial pool of this heap, which may put it on another
    /// list.
    pub fn mark(&self, pool: &'static Pool, mark: impl FnOnce(&Pool)) {
        let class = pool.class();
        let lists = &self.bin(class).partial;
        let before = pool.band(class);
        mark(pool);
        let after = pool.band(class);
        if after != before {
            lists[before].remove(pool);
            lists[after].push_back(pool);
        }
    }

    /// The last block of a pool was freed: kept, list and all, until it is old, if the rung waits;
    /// else in the arena that pools come from. Elsewhere it goes, so that its arena can drain.
    /// Returns bytes that went to the system.
    fn emptied(&'static self, pool: &'static Pool, class: SizeClass) -> usize {
        let (rung, slots) = (config::retention(), class.pool_size() / SLOT_SIZE);
        let keep = if rung.waits() {
            self.kept.slots() < Retention::empty_slots_kept(registry::held())
        } else {
            !rung.classes_share() || arena_of(pool) == self.home.get()
        };
        if keep {
            pool.set_state(State::Empty);
            self.bin(class).empty.push_front(pool);
            self.kept.add(class, slots);
            0
        } else {
            self.slots_given.set(self.slots_given.get() + slots as u32);
            self.strike(pool, class);
            give_slots(pool, ArenaSet::give)
        }
    }

    /// A current pool whose blocks were all freed is not seen to be empty, and holds its arena. Once
    /// for every arena's worth of slots given back, lets such pools go that lie outside the arena
    /// that pools come from. For the owner. Returns bytes that went to the system.
    #[inline]
    pub fn unpin_if_due(&'static self) -> usize {
        if self.slots_given.get() < SLOTS_PER_ARENA as u32 { 0 } else { self.unpin() }
    }

    #[cold]
    fn unpin(&'static self) -> usize {
        self.slots_given.set(0);
        let pinning = SizeClass::all().filter(|&class| {
            let pool = self.current_pool(class);
            pool.is_some_and(|pool| arena_of(pool) != self.home.get())
        });
        pinning.map(|class| self.uninstall_if_unused(class)).sum()
    }

    /// The bin of `class` no longer has the pool.
    pub fn strike(&self, pool: &Pool, class: SizeClass) {
        let (bin, sums) = (self.bin(class), ledger::class(class));
        // A forked child can own a pool whose opening its parent had not counted yet.
        bin.pools.set(bin.pools.get().saturating_sub(1));
        sums.pools.add(-1);
        ledger::carved(class, -((pool.carved() - pool.absent()) as isize));
    }

    /// Gives a kept empty pool back. Returns bytes that went to the system.
    pub fn release_empty(&'static self, pool: &'static Pool) -> usize {
        self.unlist_empty(pool);
        give_slots(pool, ArenaSet::give)
    }

    /// Gives a kept empty pool back that was empty for long. Returns bytes that went to the system.
    pub fn release_old_empty(&'static self, pool: &'static Pool) -> usize {
        self.unlist_empty(pool);
        give_slots(pool, ArenaSet::give_old)
    }

    fn unlist_empty(&self, pool: &'static Pool) {
        let class = pool.class();
        self.bin(class).empty.remove(pool);
        self.no_longer_kept(class);
        self.strike(pool, class);
    }

    /// A kept empty pool of `class` was taken off its list.
    pub fn no_longer_kept(&self, class: SizeClass) {
        let is_last = self.bin(class).empty.first().is_none();
        self.kept.remove(class, class.pool_size() / SLOT_SIZE, is_last);
    }

    /// Gives back every kept empty pool that `which` says. Returns bytes that went to the system.
    pub fn release_empties(&'static self, mut which: impl FnMut(&Pool) -> bool) -> usize {
        if self.kept.slots() == 0 || !config::retention().classes_share() {
            return 0;
        }
        let mut bytes = 0;
        for class in SizeClass::all() {
            let list = &self.bin(class).empty;
            let mut next = list.first();
            while let Some(pool) = next {
                next = list.after(pool);
                if which(pool) {
                    bytes += self.release_empty(pool);
                }
            }
        }
        bytes
    }

    /// Gives back kept empty pools with `slots` slots in all, if there are as many. Returns bytes that went
    /// to the system.
    pub fn release_some(&'static self, slots: usize) -> usize {
        let mut left = slots;
        self.release_empties(|pool| {
            let goes = left > 0;
            left = left.saturating_sub(pool.slots());
            goes
        })
    }

    /// The current pool of `class` leaves if none of its blocks is used. Returns bytes that went to
    /// the system.
    pub fn uninstall_if_unused(&'static self, class: SizeClass) -> usize {
        let Some(pool) = self.current_pool(class) else { return 0 };
        let free = self.own_listed(pool, class);
        if free + pool.absent() == pool.carved() { self.uninstall(class) } else { 0 }
    }

    /// The current pool of `class` becomes one of the others, or leaves if it is empty; the class is settled. Returns bytes
    /// that went to the system. For the owner.
    pub fn uninstall(&'static self, class: SizeClass) -> usize {
        let Some(pool) = self.current_pool(class) else { return 0 };
        self.settle_freed(class);
        let free = self.current(class).free.get();
        self.current(class).clear();
        self.relist_uninstalled(pool, class, free)
    }

    /// Puts a pool of `class` where it belongs that is not the current one any more; `free` is what was on
    /// the current list. Returns bytes that went to the system. For the owner, or a claimer.
    pub fn relist_uninstalled(
        &'static self,
        pool: &'static Pool,
        class: SizeClass,
        free: *mut Block,
    ) -> usize {
        let (free, listed) = self.part_guests(pool, class, free);
        self.settle_allocated(class, listed);
        self.bin(class).handed.set(0);
        pool.free.set(free);
        pool.forget_seen();
        let used = pool.carved() - pool.absent() - listed;
        self.list(pool, class, used, self.bin(class).enough(class))
    }
}

/// Gives a pool's slots back to its arena, and the arena to the system if the rung says so. Returns
/// bytes that went to the system.
fn give_slots(
    pool: &'static Pool,
    give: unsafe fn(&mut ArenaSet, NonNull<u8>, usize, usize) -> Option<Vacated>,
) -> usize {
    let (start, slots) = (pool.start(), pool.slots());
    surplus::gave_up(Taker::Class(pool.class()), slots * SLOT_SIZE);
    let empty_kept = config::retention().arenas_empty_kept();
    let mut arenas = ARENAS.lock();
    pool.close();
    // SAFETY: the pool's slots were taken from the set, and its last block is free.
    let vacated = unsafe { give(&mut arenas, start, slots, empty_kept) };
    drop(arenas);
    vacated.map_or(0, |arena| arena.unmap())
}
