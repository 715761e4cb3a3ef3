//! A bin: one heap's pools of one class, but for the current one, which stands apart (`current.rs`).

use core::ops::Range;
use core::ptr::{self, NonNull};

use crate::base::class::SizeClass;
use crate::base::geometry::POOLS_TO_WAIT;
use crate::mem::pool::{BANDS, HOLLOW, Pool};
use crate::sync::word::{Word32, WordPtr, WordSize};

/// A bin's other pools, and what the bin has not published yet.
pub struct Bin {
    /// Partial pools by band, the fullest first.
    pub partial: [PoolList; BANDS],
    /// Pools without a used block, kept with their lists as they are.
    pub empty: PoolList,
    /// Pools of the bin, full and current ones among them.
    pub pools: Word32,
    /// Blocks put on the current list since allocations were last published.
    pub handed: Word32,
    /// Of those, blocks of other heaps' pools since the list was last exhausted (`guests.rs`).
    pub guests: Word32,
    /// How many of those there may be; 0 is few.
    pub guests_max: Word32,
}

impl Bin {
    pub const fn new() -> Self {
        Self {
            partial: [const { PoolList::new() }; BANDS],
            empty: PoolList::new(),
            pools: Word32::new(0),
            handed: Word32::new(0),
            guests: Word32::new(0),
            guests_max: Word32::new(0),
        }
    }

    /// Free blocks that make a pool of the bin, of `class`, one to allocate from.
    pub fn enough(&self, class: SizeClass) -> usize {
        if self.pools.get() < POOLS_TO_WAIT { 1 } else { Pool::worth_a_slow_path(class) }
    }

    /// Whether there is no pool to allocate from.
    pub fn has_none(&self) -> bool {
        self.partial.iter().chain([&self.empty]).all(|list| list.first().is_none())
    }

    /// Takes the pool to allocate from next, if one has memory that is resident: the fullest partial
    /// one, longest there; else an empty one, last emptied.
    pub fn take(&self) -> Option<&'static Pool> {
        let resident = &self.partial[..HOLLOW];
        resident.iter().find_map(PoolList::pop_front).or_else(|| self.empty.pop_front())
    }

    /// Takes a pool that was hollowed, or could not be.
    pub fn take_hollow(&self) -> Option<&'static Pool> {
        self.partial[HOLLOW].pop_front()
    }
}

/// Which of a heap's bins keep empty pools, and how many slots those have.
pub struct KeptEmpties {
    slots: WordSize,
    /// A bit for each class.
    classes: [WordSize; KEPT_WORDS],
}

const BITS: usize = usize::BITS as usize;
const KEPT_WORDS: usize = SizeClass::COUNT.div_ceil(BITS);

impl KeptEmpties {
    pub const fn new() -> Self {
        Self { slots: WordSize::new(0), classes: [const { WordSize::new(0) }; KEPT_WORDS] }
    }

    /// Slots of all kept empty pools.
    pub fn slots(&self) -> usize {
        self.slots.get()
    }

    /// An empty pool of `class` is kept.
    pub fn add(&self, class: SizeClass, slots: usize) {
        self.slots.set(self.slots.get() + slots);
        let word = &self.classes[class.index() / BITS];
        word.set(word.get() | 1 << (class.index() % BITS));
    }

    /// An empty pool of `class` is not kept any more; `is_last`: no other one of the class is.
    pub fn remove(&self, class: SizeClass, slots: usize, is_last: bool) {
        self.slots.set(self.slots.get() - slots);
        if is_last {
            let word = &self.classes[class.index() / BITS];
            word.set(word.get() & !(1 << (class.index() % BITS)));
        }
    }

    /// The first of the classes with these indices that keeps one.
    pub fn first(&self, classes: Range<usize>) -> Option<SizeClass> {
        let mut from = classes.start;
        while from < classes.end {
            let bits = self.classes[from / BITS].get() >> (from % BITS);
            if bits != 0 {
                let index = from + bits.trailing_zeros() as usize;
                return SizeClass::from_index(index).filter(|_| index < classes.end);
            }
            from = (from / BITS + 1) * BITS;
        }
        None
    }

    /// Forgets the pools.
    pub fn clear(&self) {
        self.slots.set(0);
        self.classes.iter().for_each(|word| word.set(0));
    }
}

/// A list of pools, linked through their records.
pub struct PoolList {
    first: WordPtr<Pool>,
    last: WordPtr<Pool>,
}

impl PoolList {
    pub const fn new() -> Self {
        Self { first: WordPtr::new(ptr::null_mut()), last: WordPtr::new(ptr::null_mut()) }
    }

    pub fn first(&self) -> Option<&'static Pool> {
        record(self.first.get())
    }

    pub fn last(&self) -> Option<&'static Pool> {
        record(self.last.get())
    }

    pub fn push_front(&self, pool: &'static Pool) {
        self.link(pool, ptr::null_mut(), self.first.get());
    }

    pub fn push_back(&self, pool: &'static Pool) {
        self.link(pool, self.last.get(), ptr::null_mut());
    }

    pub fn pop_front(&self) -> Option<&'static Pool> {
        let pool = self.first()?;
        self.remove(pool);
        Some(pool)
    }

    fn link(&self, pool: &'static Pool, before: *mut Pool, behind: *mut Pool) {
        let this = ptr::from_ref(pool).cast_mut();
        pool.prev.set(before);
        pool.next.set(behind);
        record(before).map_or(&self.first, |before| &before.next).set(this);
        record(behind).map_or(&self.last, |behind| &behind.prev).set(this);
    }

    /// Takes `pool` out, which is on this list.
    pub fn remove(&self, pool: &'static Pool) {
        let (before, behind) = (pool.prev.get(), pool.next.get());
        record(before).map_or(&self.first, |before| &before.next).set(behind);
        record(behind).map_or(&self.last, |behind| &behind.prev).set(before);
    }

    /// The pools, first to last. The list must not change meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = &'static Pool> {
        core::iter::successors(self.first(), |pool| record(pool.next.get()))
    }

    /// The pool behind `pool`, which is on this list.
    pub fn after(&self, pool: &Pool) -> Option<&'static Pool> {
        record(pool.next.get())
    }

    /// Forgets the pools.
    pub fn clear(&self) {
        self.first.set(ptr::null_mut());
        self.last.set(ptr::null_mut());
    }
}

fn record(pool: *mut Pool) -> Option<&'static Pool> {
    // SAFETY: what a bin links is the record of a pool of its own, whose arena stays mapped as long
    // as the pool is taken; records hold only words that anyone may read.
    NonNull::new(pool).map(|pool| unsafe { pool.as_ref() })
}
