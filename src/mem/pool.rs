//! The record of a pool (a run of blocks of one class) or of a span (a run of slots for one block).
//!
//! A record is one cache line, in the arena's first slots, away from the blocks. One thread owns the
//! pool: it alone uses the fields but `owner` and the two words of the remote list; all others may
//! read them, late.
//!
//! ```text
//!              taken from the arena          list empty, all carved
//!   (nowhere) -----------------------> CURRENT ------------------> FULL
//!       ^                                 ^                         | enough blocks freed
//!       | given back                      | chosen to allocate from v
//!       +------------- EMPTY <------------+---------------------- PARTIAL
//!                        last block freed
//! ```
//!
//! * CURRENT: its blocks are on the thread heap's own list, `free` is null, and `floor` says how many were used
//!   when it became that. What is counted down here says nothing: a current pool is left when its list is empty, so
//!   that it is full by definition, or with its list, which is counted then.
//! * FULL: on no list, all or nearly all of its blocks used. Once enough were freed, it is PARTIAL.
//! * PARTIAL: on its bin's list for its occupancy; `used = floor + countdown`.
//! * EMPTY: no block is used; kept by its bin with its free list as it is, or given back.
//!
//! Equation: `used + free + absent = carved <= capacity`, where remote frees that wait count as used,
//! and absent blocks are those that reach into a purged OS page: they are on no list until they are
//! carved again (`hollow.rs`).

use super::block::{self, Block};
use super::remote_word::RemoteWord;
use crate::base::class::SizeClass;
use crate::base::geometry::{FREE_SHARE, RECORD_SIZE, SLOT_SIZE};
use crate::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use crate::sync::word::{Word8, Word16, Word32, WordPtr};

/// Whoever owns pools. What it is, the floor above knows.
pub enum Owner {}

/// What a record stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Nothing, or the inside of a pool or span.
    Unused = 0,
    /// See the module.
    Current = 2,
    /// See the module.
    Partial = 1,
    /// See the module.
    Full = 3,
    /// See the module.
    Empty = 5,
    /// A span: one large block.
    Span = 4,
}

/// The bit of the state of a pool that is not current.
const ELSEWHERE: u8 = 1;

const _: () = {
    assert!(State::Current as u8 & ELSEWHERE == 0);
    assert!(State::Partial as u8 & State::Full as u8 & State::Empty as u8 & ELSEWHERE != 0);
};

impl State {
    fn from_bits(bits: u8) -> State {
        match bits {
            1 => State::Partial,
            2 => State::Current,
            3 => State::Full,
            4 => State::Span,
            5 => State::Empty,
            _ => State::Unused,
        }
    }
}

/// The bit of `seen` that says that free OS pages were looked for.
const LOOKED_AT: u16 = 1 << 15;

/// `seen` of a current pool whose list is empty.
const NO_LIST: u16 = 1;
/// `seen` of a current pool whose list begins with its first block; one more for each eight bytes.
const LIST_AT_START: u16 = 2;

/// The bit of `absent` that says that what is not carved may be resident.
const TAIL_RESIDENT: u16 = 1 << 15;

/// Lists of partial pools that a bin tells apart, in the order in which they are allocated from:
/// above half, up to half, sparse, and sparse ones that were looked at for free OS pages.
pub const BANDS: usize = 4;
/// Blocks from which on a pool has a band for less than half.
const MANY_BLOCKS: usize = 128;
/// The band of sparse pools: so few blocks are used that OS pages without one are likely.
pub const SPARSE: usize = 2;
/// The band of sparse pools that were looked at, hollowed or not.
pub const HOLLOW: usize = 3;

/// One pool's or span's record.
#[repr(C, align(64))]
pub struct Pool {
    owner: AtomicPtr<Owner>,
    /// Free blocks that are the pool's own; null while it is current.
    pub free: WordPtr<Block>,
    pub(super) remote: RemoteWord,
    /// The next pool in an inbox. Written by whoever queues the pool.
    pub queue_next: WordPtr<Pool>,
    /// Links in a list of the bin.
    pub next: WordPtr<Pool>,
    /// See `next`.
    pub prev: WordPtr<Pool>,
    /// Frees until the owner must look at the pool again. Of a current pool it runs on and on: who frees by the
    /// record need not know.
    pub countdown: Word16,
    /// Blocks that are used when the countdown has come to its end; of a current pool, when it became that.
    floor: Word16,
    /// Of a span: its slots.
    pub(super) carved: Word16,
    absent: Word16,
    /// How many blocks were used when a sweep last saw the pool, plus one, and whether it looked for
    /// free OS pages then; of a current pool, where its list began. 0 if no sweep saw it.
    seen: Word16,
    /// The class's index and one; 0 if this is no pool's record.
    pub(super) class: Word8,
    pub(super) state: Word8,
    /// OS pages that are purged, by bit. Of a span: its requested bytes and one, or 0 if nobody uses it.
    purged: Word32,
}

const _: () = assert!(size_of::<Pool>() == RECORD_SIZE);

impl Pool {
    /// Makes this the record of a pool of `class`, current with `owner`, nothing carved.
    pub fn open(&self, class: SizeClass, owner: *mut Owner) {
        self.free.set(block::NONE);
        self.carved.set(0);
        self.floor.set(0);
        self.countdown.set(0);
        self.absent.set(0);
        self.purged.set(0);
        self.seen.set(0);
        self.name(class);
        self.set_state(State::Current);
        self.owner.store(owner, Relaxed);
    }

    /// Makes this the record of a span of `slots` slots for `requested` bytes, which `owner` allocates, if it has one.
    pub fn open_span(&self, slots: usize, requested: usize, owner: *mut Owner) {
        self.set_span_owner(owner);
        self.resize_span(slots, requested);
        self.forget_seen();
        self.set_state(State::Span);
    }

    /// Makes this nobody's record.
    pub fn close(&self) {
        self.owner.store(core::ptr::null_mut(), Relaxed);
        self.unname();
        self.purged.set(0);
        self.forget_tail();
        self.set_state(State::Unused);
    }

    /// Whose pool it is. Stable for anyone who holds one of its blocks.
    #[inline(always)]
    pub fn owner(&self) -> *mut Owner {
        self.owner.load(Relaxed)
    }

    /// Where it stands in the module's drawing.
    pub fn state(&self) -> State {
        State::from_bits(self.state.get())
    }

    /// How many frees one to it counts for: none if it is current, else one. The record is a pool's.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    #[inline(always)]
    pub fn counted(&self) -> u32 {
        u32::from(self.state.get() & ELSEWHERE)
    }

    /// Only the owner's floor moves a pool from state to state.
    pub fn set_state(&self, state: State) {
        self.state.set(state as u8);
    }

    /// The pool lies on slots that were in use before: what is not carved of it yet may be in RAM.
    pub fn mark_tail_resident(&self) {
        self.absent.set(self.absent.get() | TAIL_RESIDENT);
    }

    /// See [`Pool::mark_tail_resident`].
    pub fn is_tail_resident(&self) -> bool {
        self.absent.get() & TAIL_RESIDENT != 0
    }

    /// What is not carved yet goes back, or went.
    pub(super) fn forget_tail(&self) {
        self.absent.set(self.absent.get() & !TAIL_RESIDENT);
    }

    /// The class whose blocks it holds, if this is the record of a pool.
    pub fn class_if_pool(&self) -> Option<SizeClass> {
        SizeClass::from_index((self.class.get() as usize).wrapping_sub(1))
    }

    /// The class whose blocks it holds.
    pub fn class(&self) -> SizeClass {
        self.class_if_pool()
            .unwrap_or_else(|| crate::sys::fatal::die("a pool has a class", file!(), line!()))
    }

    /// Slots of the pool or span.
    pub fn slots(&self) -> usize {
        match self.state() {
            State::Span => self.span_slots(),
            _ => self.class().pool_size() / SLOT_SIZE,
        }
    }

    /// Slots of a span.
    #[inline]
    pub fn span_slots(&self) -> usize {
        self.carved.get() as usize
    }

    /// To whom a span goes when another thread frees it. For who has the span.
    pub fn set_span_owner(&self, owner: *mut Owner) {
        self.owner.store(owner, Relaxed);
    }

    /// Cuts or lengthens a span in its record.
    pub fn resize_span(&self, slots: usize, requested: usize) {
        self.carved.set(slots as u16);
        self.purged.set(requested as u32 + 1);
    }

    /// A span in use, which no sweep looks at, is wanted longer than it can be.
    pub fn mark_outgrown(&self) {
        self.mark_seen();
    }

    /// Whether a span in use is wanted longer than it can be.
    #[inline]
    pub fn is_outgrown(&self) -> bool {
        self.seen.get() != 0
    }

    /// Nobody uses the span any more.
    pub fn give_span_up(&self) {
        self.purged.set(0);
    }

    /// A span's requested bytes, which may be 0; `None` if nobody uses it.
    pub fn requested(&self) -> Option<usize> {
        (self.purged.get() as usize).checked_sub(1)
    }

    /// Carved blocks that are on no list, because they reach into a purged OS page.
    pub fn absent(&self) -> usize {
        (self.absent.get() & !TAIL_RESIDENT) as usize
    }

    /// Blocks on the pool's own list, or, while it is current, as many as it became that with.
    pub fn listed(&self) -> usize {
        self.carved() - self.used() - self.absent()
    }

    /// Whether the last sweep saw the pool with as many used blocks as now.
    pub fn is_seen(&self) -> bool {
        self.seen.get() == self.used() as u16 + 1
    }

    /// Whether free OS pages were looked for since the number of used blocks last changed.
    pub fn is_looked_at(&self) -> bool {
        self.seen.get() == (self.used() as u16 + 1) | LOOKED_AT
    }

    /// A sweep sees the pool.
    pub fn mark_seen(&self) {
        self.seen.set(self.used() as u16 + 1);
    }

    /// Somebody looks for free OS pages.
    pub fn mark_looked_at(&self) {
        self.seen.set((self.used() as u16 + 1) | LOOKED_AT);
    }

    /// A sweep sees a current pool, whose list begins with `first`. Whether it began there when the last
    /// one saw it.
    pub fn see_list(&self, first: *mut Block) -> bool {
        let place = match first.addr() {
            0 => NO_LIST,
            // Of a block that lies in another pool it is some number.
            first => {
                let place = first.wrapping_sub(self.start().addr().get()) / 8;
                LIST_AT_START.saturating_add(place as u16)
            }
        };
        let is_as_seen = self.seen.get() == place;
        self.seen.set(place);
        is_as_seen
    }

    /// The pool is in use again.
    pub fn forget_seen(&self) {
        self.seen.set(0);
    }

    /// How many OS pages of a pool are purged.
    pub fn purged_pages(&self) -> u32 {
        self.purged.get().count_ones()
    }

    /// Purged OS pages, by bit.
    pub(super) fn purged(&self) -> u32 {
        self.purged.get()
    }

    /// Sets which OS pages are purged, and how many blocks are absent for it.
    pub(super) fn set_purged(&self, pages: u32, absent: usize) {
        self.purged.set(pages);
        self.absent.set(absent as u16 | self.absent.get() & TAIL_RESIDENT);
    }

    /// Blocks that exist: carved so far.
    pub fn carved(&self) -> usize {
        self.carved.get() as usize
    }

    /// Blocks that are not on the pool's own list, or, while it is current, that were not when it became that; waiting
    /// remote frees are among them.
    pub fn used(&self) -> usize {
        let left = if self.state() == State::Current { 0 } else { self.countdown.get() };
        self.floor.get() as usize + left as usize
    }

    /// The pool, which was another one of the owner's, is current from now on. Its list, which is the heap's then.
    pub fn become_current(&self) -> *mut Block {
        self.floor.set(self.used() as u16);
        self.countdown.set(0);
        self.set_state(State::Current);
        self.forget_seen();
        let free = self.free.get();
        self.free.set(block::NONE);
        free
    }

    /// Sets how many blocks are used, and with it when the owner must look again: when `enough` blocks
    /// of a full pool are not used any more, at half the capacity if there are many blocks, when it becomes
    /// sparse, and when it is empty. `class` is the pool's. Returns its band, if no sweep has looked at it
    /// since; `None` if it is full.
    pub fn set_used(&self, class: SizeClass, used: usize, enough: usize) -> Option<usize> {
        let (half, sparse, full) = (Self::half(class), class.sparse(), class.capacity() - enough);
        let (floor, band) = match used {
            used if used > full => (full, None),
            used if used > half => (half, Some(0)),
            used if used > sparse => (sparse, Some(1)),
            _ => (0, Some(SPARSE)),
        };
        self.floor.set(floor as u16);
        self.countdown.set((used - floor) as u16);
        band
    }

    /// Free blocks, at the most, that a full pool of `class` is to have before it is allocated from again.
    pub fn worth_a_slow_path(class: SizeClass) -> usize {
        (class.capacity() / FREE_SHARE).max(1)
    }

    /// Which of the bin's lists suits the pool, which is of `class`.
    pub fn band(&self, class: SizeClass) -> usize {
        match self.floor.get() as usize {
            0 if self.seen.get() & LOOKED_AT != 0 => HOLLOW,
            0 => SPARSE,
            floor if floor >= Self::half(class) => 0,
            _ => 1,
        }
    }

    /// Used blocks up to which a pool is in the second band. Pools of few blocks have none: it would
    /// change its list with every few frees.
    fn half(class: SizeClass) -> usize {
        if Self::has_many(class) { class.capacity() / 2 } else { class.sparse() }
    }

    /// Whether pools of `class` have so many blocks that work for each pool is little for each block.
    pub(super) fn has_many(class: SizeClass) -> bool {
        class.capacity() >= MANY_BLOCKS
    }

    /// Declares every block carved and used: for a pool whose lists cannot be trusted any more.
    pub fn declare_full(&self) {
        self.free.set(block::NONE);
        self.forget_remote();
        let class = self.class();
        self.carved.set(class.capacity() as u16);
        self.set_purged(0, 0);
        self.set_used(class, class.capacity(), 1);
        self.set_state(State::Full);
    }

    /// Checks the record's own equations; for a pool that is not current, its list too.
    ///
    /// # Safety
    ///
    /// The caller owns the pool.
    pub unsafe fn check(&self) {
        let state = self.state();
        if state == State::Unused || state == State::Span {
            return;
        }
        invariant!(self.carved() <= self.class().capacity(), "no more is carved than fits");
        invariant!(self.used() <= self.carved() || state == State::Current, "used is carved");
        invariant!(self.waiting() <= self.carved(), "what waits is carved");
        if state == State::Current {
            invariant!(self.free.get().is_null(), "a current pool's blocks are its heap's");
            return;
        }
        // SAFETY: the caller owns the pool, so its list.
        let free = unsafe { block::length(self.free.get()) };
        let known = free + self.used() + self.absent();
        invariant!(known == self.carved(), "used + free + absent = carved");
        invariant!((state == State::Empty) == (self.used() == 0), "an empty pool has none used");
        let unused = self.class().capacity() - self.used();
        invariant!(state == State::Full || unused > 0, "a pool that has all used is full");
        let few = unused < Self::worth_a_slow_path(self.class());
        invariant!(state != State::Full || few, "a full pool has nearly all used");
    }
}
