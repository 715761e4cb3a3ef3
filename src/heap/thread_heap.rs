//! A thread heap: one thread's bins, without a lock.
//!
//! `alloc` pops the current pool's list. `dealloc` pushes on that same list if the block lies in the
//! current pool, which takes one subtraction and one compare; else it goes by the record of the
//! block's own pool (`free.rs`). Everything else is a slow path: `refill.rs` (a list is exhausted), `retire.rs`
//! (a pool changes its state), `outbox.rs` (the block is another heap's).
//!
//! A heap belongs to one thread at a time, and is never freed: at its thread's end it is abandoned,
//! and adopted by the next thread that needs one. All its fields are words that anyone may read;
//! only the owner writes them, but for the inbox.

use core::ptr::{self, NonNull};

use super::bin::{Bin, KeptEmpties};
use super::current::{Current, Currents, InHand};
use super::inbox::{Inbox, Queued};
use super::ledger;
use super::outbox::Outbox;
use super::span_kept::OwnSpans;
use super::tally::Tally;
use super::tenancy::{Countdown, NO_PASS, Tenancy};
use super::vacancy::Tenure;
use crate::base::class::SizeClass;
use crate::mem::block::{self, Block};
use crate::mem::pool::{Owner, Pool};
use crate::sync::word::{Word32, WordPtr, WordSize};

/// See the module.
#[repr(C)]
pub struct ThreadHeap {
    /// First, for the shortest instruction.
    pub in_hand: InHand,
    /// The block that a request by size alone was given last, unless it was freed by address since. No more than a guess
    /// at what is freed next.
    pub latest: WordPtr<u8>,
    currents: Currents<Block, { SizeClass::COUNT }>,
    tallies: [Tally; SizeClass::COUNT],
    bins: [Bin; SizeClass::COUNT],
    /// Remote frees held back.
    pub outbox: Outbox,
    /// Pools with remote frees that wait.
    pub inbox: Inbox<Pool>,
    /// Slots that became resident since the heap last gave surplus back for it.
    pub grown: Word32,
    /// Slots' worth of blocks that were freed since the heap last gave surplus back for it.
    pub shrunk: Word32,
    /// The arena that the last pool came from. Pools that become empty are kept there only.
    pub home: WordSize,
    /// Slots of pools given back since the currents were last looked at.
    pub slots_given: Word32,
    /// Kept empty pools of all bins.
    pub kept: KeptEmpties,
    /// The thread's spans.
    pub spans: OwnSpans,
    /// How many heaps there were before it; `NOBODY` has 0, too.
    pub number: Word32,
    /// Whether a thread has it: changed under the registry's lock.
    pub tenure: Tenure,
    /// The registry's links.
    pub next: WordPtr<ThreadHeap>,
    /// See `next`.
    pub vacant_next: WordPtr<ThreadHeap>,
    /// See `next`.
    pub vacant_prev: WordPtr<ThreadHeap>,
    /// Who works on the heap.
    pub tenancy: Tenancy,
}

/// What a thread has that has no heap: nothing to take from, and owner of no pool.
pub static NOBODY: ThreadHeap = ThreadHeap::zero();

impl ThreadHeap {
    /// All its bits are zero, so that `NOBODY` takes no room in a program's file: nothing to take from. Nothing can be
    /// given to it before [`ThreadHeap::begin`].
    const fn zero() -> Self {
        Self {
            in_hand: InHand::zero(),
            latest: WordPtr::new(ptr::null_mut()),
            currents: Currents::new(),
            tallies: [const { Tally::zero() }; SizeClass::COUNT],
            bins: [const { Bin::new() }; SizeClass::COUNT],
            outbox: Outbox::new(),
            inbox: Inbox::new(),
            grown: Word32::new(0),
            shrunk: Word32::new(0),
            home: WordSize::new(0),
            slots_given: Word32::new(0),
            kept: KeptEmpties::new(),
            spans: OwnSpans::new(),
            number: Word32::new(0),
            tenure: Tenure::new(),
            next: WordPtr::new(ptr::null_mut()),
            vacant_next: WordPtr::new(ptr::null_mut()),
            vacant_prev: WordPtr::new(ptr::null_mut()),
            tenancy: Tenancy::zero(),
        }
    }

    /// Prepares `NOBODY`. Before any heap is made, and so before there is a block that could be freed.
    pub fn start() {
        // SAFETY: no thread has a block yet.
        unsafe { NOBODY.begin(NO_PASS) };
    }

    /// Makes a heap where it stays: it does not pass over the stack, as a thread may have a small one.
    ///
    /// # Safety
    ///
    /// `room` is the caller's, and all its bits are zero.
    pub unsafe fn make(room: NonNull<ThreadHeap>) {
        // SAFETY: the caller's contract: as `zero` makes it, and the caller's.
        unsafe {
            let heap = room.as_ref();
            heap.begin(heap.as_owner().addr());
        }
    }

    /// Writes what is not zero. The heap's pools bear `pass`.
    ///
    /// # Safety
    ///
    /// No other thread has the heap yet, or a block that it could free as if it had.
    unsafe fn begin(&self, pass: usize) {
        self.in_hand.put_down();
        for class in SizeClass::all() {
            // SAFETY: the caller's contract.
            unsafe { self.tallies[class.index()].begin(class) };
        }
        self.tenancy.reset(pass);
    }

    /// A free block of `class`; `None` if the current pool has none left.
    #[inline(always)]
    pub fn pop(&self, class: SizeClass) -> Option<NonNull<u8>> {
        let block = self.current(class).pop(&self.in_hand, class.index(), |block| {
            // SAFETY: the current list is this heap's, and this is its thread.
            let next = unsafe { Block::take_next(block) };
            block::expect(next);
            next
        });
        Some(block?.cast())
    }

    /// As [`ThreadHeap::pop`] for who will free the block by its address.
    #[cfg(feature = "malloc")]
    #[inline(always)]
    pub fn pop_latest(&self, class: SizeClass) -> Option<NonNull<u8>> {
        let block = self.pop(class)?;
        // Who seals blocks looks at every one that is freed.
        if cfg!(not(feature = "hardened")) {
            self.latest.set(block.as_ptr());
        }
        Some(block)
    }

    /// The current pool's part of a bin.
    #[inline(always)]
    pub fn current(&self, class: SizeClass) -> Current<'_, Block> {
        self.currents.of(class.index())
    }

    /// The current pool of a class.
    pub fn current_pool(&self, class: SizeClass) -> Option<&'static Pool> {
        // SAFETY: a current pool's arena is mapped.
        self.current(class).base().map(|start| unsafe { Pool::at(start).as_ref() })
    }

    /// The rest of a bin.
    #[inline(always)]
    pub fn bin(&self, class: SizeClass) -> &Bin {
        &self.bins[class.index()]
    }

    /// This heap, as pools know their owner.
    #[inline(always)]
    pub fn as_owner(&self) -> *mut Owner {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The heap that owns a pool.
    pub fn of_owner(owner: *mut Owner) -> Option<&'static ThreadHeap> {
        // SAFETY: owners of pools are heaps, which are never freed.
        NonNull::new(owner.cast::<ThreadHeap>()).map(|heap| unsafe { heap.as_ref() })
    }

    /// Whether this is what a thread without a heap has.
    #[inline(always)]
    pub fn is_nobody(&self) -> bool {
        ptr::eq(self, &NOBODY)
    }

    /// Every class's countdown of frees.
    pub fn countdowns(&self) -> impl Iterator<Item = &Countdown> + Clone {
        self.tallies.iter().map(|tally| &tally.frees)
    }

    /// What a free to a pool that is not current needs of its class.
    #[inline(always)]
    pub fn tally(&self, class: SizeClass) -> &Tally {
        &self.tallies[class.index()]
    }

    /// Counts a free of another heap's block. For the owner, on a slow path.
    pub fn count_free(&self, class: SizeClass) {
        if self.tally(class).frees.count() {
            self.publish_frees(class);
        }
    }

    /// Publishes a pool's worth of frees.
    pub fn publish_frees(&self, class: SizeClass) {
        self.tally(class).frees.set(class.capacity() as u32);
        ledger::publish(class, -(class.capacity() as isize));
    }

    /// Counts `blocks` more on the current list, which has `remaining` now: more than were handed, if some were freed to it that were
    /// published before.
    pub fn hand(&self, class: SizeClass, blocks: usize, remaining: usize) {
        let bin = self.bin(class);
        let handed = bin.handed.get() as usize;
        if handed + blocks > class.capacity() {
            ledger::publish(class, handed as isize - remaining as isize);
            bin.handed.set((remaining + blocks) as u32);
        } else {
            bin.handed.set((handed + blocks) as u32);
        }
    }

    /// Publishes all that a bin has counted: its sums are then exact. For the owner.
    pub fn settle(&self, class: SizeClass) {
        // SAFETY: the current list is this heap's, and this is its thread.
        self.settle_allocated(class, unsafe { block::length(self.current(class).free.get()) });
        self.settle_freed(class);
    }

    /// Publishes what was freed. For the owner.
    pub fn settle_freed(&self, class: SizeClass) {
        let freed = class.capacity() as isize - self.tally(class).frees.left() as isize;
        self.tally(class).frees.set(class.capacity() as u32);
        ledger::publish(class, -freed);
    }

    /// Publishes what was allocated, when `remaining` blocks are on the current list. What was freed waits: a claimer must
    /// not write a countdown, which an owner that is refused puts back as it found it.
    pub fn settle_allocated(&self, class: SizeClass, remaining: usize) {
        let bin = self.bin(class);
        ledger::publish(class, bin.handed.get() as isize - remaining as isize);
        bin.handed.set(remaining as u32);
    }

    /// Blocks of `pool` that are used: for a current pool of this heap, exactly, as this is its
    /// thread; for another heap's current pool, as of when it became that.
    pub fn used_in(&self, pool: &Pool) -> usize {
        let current = self.current(pool.class());
        if current.base() == Some(pool.start().addr().get()) {
            pool.carved() - pool.absent() - self.own_listed(pool, pool.class())
        } else {
            pool.used()
        }
    }

    /// Makes the heap an owner of nothing that is on no list: for a forked child.
    pub fn forget(&self) {
        for class in SizeClass::all() {
            let (current, bin) = (self.current(class), self.bin(class));
            current.clear();
            bin.partial.iter().for_each(super::bin::PoolList::clear);
            bin.empty.clear();
            bin.handed.set(0);
            bin.guests.set(0);
            self.tally(class).frees.set(class.capacity() as u32);
        }
        self.outbox.clear();
        self.kept.clear();
        self.spans.clear();
        self.forget_inbox();
    }

    /// Forgets what waits: for a forked child.
    pub fn forget_inbox(&self) {
        self.tenancy.reset(self.as_owner().addr());
        self.inbox.forget();
        self.spans.forget_posted();
    }

    /// Checks the heap's pools: each in the list of its state, each sound. For the owner.
    pub fn check(&self) {
        for class in SizeClass::all() {
            let bin = self.bin(class);
            for (band, list) in bin.partial.iter().enumerate() {
                list.iter().for_each(|pool| {
                    invariant!(pool.band(class) == band, "a pool is in its band's list");
                    self.check_pool(pool, class);
                });
            }
            bin.empty.iter().for_each(|pool| self.check_pool(pool, class));
            self.check_current(class);
        }
    }

    /// Checks the current pool of a bin. For the owner.
    pub fn check_current(&self, class: SizeClass) {
        if let Some(pool) = self.current_pool(class) {
            self.check_pool(pool, class);
        }
    }

    fn check_pool(&self, pool: &Pool, class: SizeClass) {
        invariant!(pool.owner() == self.as_owner(), "a heap's pool knows its owner");
        invariant!(pool.class() == class, "a bin's pools are of its class");
        // SAFETY: this heap owns the pool, and this is its thread.
        unsafe { pool.check() };
    }
}

impl Queued for Pool {
    #[inline(always)]
    fn link(&self) -> &WordPtr<Pool> {
        &self.queue_next
    }
}
