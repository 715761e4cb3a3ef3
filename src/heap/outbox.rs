//! The outbox: blocks that a thread freed and another heap owns, held back by pool, so that a batch
//! costs one atomic exchange.
//!
//! A pool has one place in it, by its address. A batch goes when it is large enough, when another
//! pool wants the place, when the thread's heap settles, and at the thread's end.

use core::ptr::{self, NonNull};

use super::thread_heap::ThreadHeap;
use super::{config, vacancy};
use crate::base::class::SizeClass;
use crate::base::geometry::{ARENA_SIZE, OUTBOX_BLOCKS, OUTBOX_BYTES, OUTBOX_POOLS, RECORD_SIZE};
use crate::mem::block::Block;
use crate::mem::pool::Pool;
use crate::sync::word::{Word32, WordPtr};

const _: () = assert!(OUTBOX_BLOCKS <= u8::MAX as usize);

/// See the module.
pub struct Outbox([Batch; OUTBOX_POOLS]);

/// Blocks of one pool, linked; `pool` is null if there are none.
struct Batch {
    pool: WordPtr<Pool>,
    first: WordPtr<Block>,
    last: WordPtr<Block>,
    /// Blocks for which there is room until the batch goes.
    left: Word32,
    /// Blocks that make it go.
    enough: Word32,
}

impl Outbox {
    pub const fn new() -> Self {
        Self([const { Batch::new() }; OUTBOX_POOLS])
    }

    /// Adds a block of `pool`. True if a batch went to it.
    ///
    /// # Safety
    ///
    /// The block is of `class` and of `pool`, which another heap owns; nobody uses it any more.
    pub unsafe fn add(&self, block: NonNull<u8>, pool: &'static Pool, class: SizeClass) -> bool {
        let block = block.cast::<Block>();
        let batch = &self.0[place(pool)];
        if !ptr::eq(batch.pool.get(), pool) {
            batch.send();
            batch.pool.set(ptr::from_ref(pool).cast_mut());
            batch.last.set(block.as_ptr());
            batch.first.set(ptr::null_mut());
            batch.begin(ENOUGH[class.index()].into());
        }
        // SAFETY: the caller gave the block up.
        unsafe { Block::set_next(block, batch.first.get()) };
        batch.first.set(block.as_ptr());
        let left = batch.left.get() - 1;
        batch.left.set(left);
        if left == 0 {
            batch.send();
        }
        left == 0
    }

    /// Whether a block of `pool` is held back. For the owner.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    pub fn holds(&self, block: NonNull<Block>, pool: &Pool) -> bool {
        let batch = &self.0[place(pool)];
        let mut held = batch.first.get();
        while let Some(free) = NonNull::new(held).filter(|_| ptr::eq(batch.pool.get(), pool)) {
            if free == block {
                return true;
            }
            // SAFETY: held back here, so on a list of the caller's.
            held = unsafe { Block::next(free) };
        }
        false
    }

    /// Sends everything.
    pub fn send_all(&self) {
        self.0.iter().for_each(Batch::send);
    }

    /// Forgets everything: for a forked child.
    pub fn clear(&self) {
        self.0.iter().for_each(|batch| batch.pool.set(ptr::null_mut()));
    }
}

/// A pool's place: the low bits of its record's number, mixed with its arena's.
fn place(pool: &Pool) -> usize {
    let record = ptr::from_ref(pool).addr();
    ((record / RECORD_SIZE) ^ (record / ARENA_SIZE)) % OUTBOX_POOLS
}

/// How many blocks of a class are a batch.
static ENOUGH: [u8; SizeClass::COUNT] = enough();

const fn enough() -> [u8; SizeClass::COUNT] {
    let mut table = [0; SizeClass::COUNT];
    let mut index = 0;
    while let Some(class) = SizeClass::from_index(index) {
        let blocks = OUTBOX_BYTES.div_ceil(class.block_size());
        table[index] = if blocks < OUTBOX_BLOCKS { blocks } else { OUTBOX_BLOCKS } as u8;
        index += 1;
    }
    table
}

impl Batch {
    const fn new() -> Self {
        Self {
            pool: WordPtr::new(ptr::null_mut()),
            first: WordPtr::new(ptr::null_mut()),
            last: WordPtr::new(ptr::null_mut()),
            left: Word32::new(0),
            enough: Word32::new(0),
        }
    }

    fn begin(&self, enough: u32) {
        self.left.set(enough);
        self.enough.set(enough);
    }

    /// Blocks that it holds.
    fn count(&self) -> usize {
        (self.enough.get() - self.left.get()) as usize
    }

    fn send(&self) {
        let Some(pool) = NonNull::new(self.pool.get()) else {
            return;
        };
        self.pool.set(ptr::null_mut());
        let (first, last) = (self.first.get(), self.last.get());
        if let (Some(first), Some(last)) = (NonNull::new(first), NonNull::new(last)) {
            // SAFETY: the batch's blocks are used blocks of the pool, which is therefore mapped.
            unsafe { send(pool.as_ref(), first, last, self.count()) };
        }
    }
}

/// Hands `count` blocks, linked from `first` to `last`, to the heap that owns their pool. If that
/// heap has no thread, sees to it that the pool can go: where nothing else would, with each batch, since
/// others may free the pool's last blocks before it is in the inbox; else with its last blocks.
///
/// # Safety
///
/// The blocks are used blocks of `pool`, and nobody uses them any more.
pub unsafe fn send(pool: &'static Pool, first: NonNull<Block>, last: NonNull<Block>, count: usize) {
    let Some(owner) = ThreadHeap::of_owner(pool.owner()) else {
        return;
    };
    // SAFETY: the caller's contract.
    let posted = unsafe { pool.post(first, last, count) };
    if posted.queue {
        owner.inbox.put(pool);
    }
    if posted.drained {
        vacancy::tend(owner);
    } else if posted.queue && config::retention().leaves_at_once() {
        vacancy::sent(owner);
    }
}
