//! The outbox: blocks that a thread freed and another heap owns, held back by pool, so that a batch
//! costs one atomic exchange.
//!
//! A pool has one place in it, by its address. A batch goes when it is large enough, when another
//! pool wants the place, when the thread's heap settles, and at the thread's end. A small one that must go for another pool's
//! need not go far (`guests.rs`).

use core::ptr::{self, NonNull};

use super::thread_heap::ThreadHeap;
use super::{config, vacancy};
use crate::base::class::SizeClass;
use crate::base::geometry::{
    ARENA_SIZE, GUESTS_A_PARCEL, OUTBOX_BLOCKS, OUTBOX_BYTES, OUTBOX_POOLS, RECORD_SIZE,
};
use crate::mem::block::Block;
use crate::mem::parcel::Parcel;
use crate::mem::pool::Pool;
use crate::sync::word::{Word8, WordPtr};

const _: () = assert!(OUTBOX_BLOCKS <= u8::MAX as usize);

/// See the module.
pub struct Outbox([Batch; OUTBOX_POOLS]);

/// Blocks of one pool; `pool` is null if there are none. Two cache lines.
#[repr(C, align(64))]
struct Batch {
    pool: WordPtr<Pool>,
    parcel: Parcel,
    /// The class's index.
    class: Word8,
}

const _: () = assert!(size_of::<Batch>() <= 128, "two cache lines");

impl Outbox {
    pub const fn new() -> Self {
        Self([const { Batch::new() }; OUTBOX_POOLS])
    }

    /// Adds a block of `pool`, if others are held back for it and their batch is not complete with this one. Whether it did.
    ///
    /// # Safety
    ///
    /// The block is of `class` and of `pool`, which another heap owns; nobody uses it any more.
    #[inline(always)]
    pub unsafe fn add(&self, block: NonNull<u8>, pool: &'static Pool, class: SizeClass) -> bool {
        let batch = &self.0[place(pool)];
        // SAFETY: begun, as it has a pool; the caller gave the block up.
        ptr::eq(batch.pool.get(), pool) && unsafe { batch.parcel.add(block.cast(), class) }
    }

    /// Adds a block of `pool`, after what makes room for it, to the outbox of `heap`. True if the batch that it belongs to went.
    ///
    /// # Safety
    ///
    /// As for [`Outbox::add`].
    pub unsafe fn add_or_send(
        &self,
        block: NonNull<u8>,
        pool: &'static Pool,
        class: SizeClass,
        heap: &ThreadHeap,
    ) -> bool {
        let batch = &self.0[place(pool)];
        if !ptr::eq(batch.pool.get(), pool) {
            batch.make_room(heap);
            batch.class.set(class.index() as u8);
            batch.pool.set(ptr::from_ref(pool).cast_mut());
            batch.parcel.begin(ENOUGH[class.index()].into(), block.cast());
        }
        // SAFETY: the caller's contract.
        if unsafe { batch.parcel.add(block.cast(), class) } {
            return false;
        }
        // SAFETY: as above.
        unsafe { batch.parcel.add_last(block.cast(), class) };
        batch.send();
        true
    }

    /// Whether a block of `pool` is held back. For the owner.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    pub fn holds(&self, block: NonNull<Block>, pool: &Pool) -> bool {
        let batch = &self.0[place(pool)];
        ptr::eq(batch.pool.get(), pool) && batch.parcel.has(block, pool.start())
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
        Self { pool: WordPtr::new(ptr::null_mut()), parcel: Parcel::new(), class: Word8::new(0) }
    }

    /// Has no blocks any more: if they are few, `heap`, which is the thread's, may have use for them.
    fn make_room(&self, heap: &ThreadHeap) {
        let few = self.parcel.count() <= GUESTS_A_PARCEL;
        if let (Some(pool), true) = (NonNull::new(self.pool.get()), few)
            && let Some(class) = SizeClass::from_index(self.class.get().into())
            // SAFETY: the batch's blocks are used blocks of the pool, which is therefore mapped.
            && unsafe { heap.take_guests(&self.parcel, pool.as_ref(), class) }
        {
            return self.pool.set(ptr::null_mut());
        }
        self.send();
    }

    fn send(&self) {
        let Some(pool) = NonNull::new(self.pool.get()) else {
            return;
        };
        self.pool.set(ptr::null_mut());
        // SAFETY: the batch's blocks are used blocks of the pool, which is therefore mapped.
        unsafe { send(pool.as_ref(), &self.parcel) };
    }
}

/// Hands one block of `class` to the heap that owns its pool.
///
/// # Safety
///
/// A used block, and nobody uses it any more.
pub unsafe fn send_one(block: NonNull<Block>, class: SizeClass) {
    let pool = Pool::starting(block.addr().get() & !(class.pool_size() - 1));
    let parcel = Parcel::new();
    parcel.begin(1, block);
    // SAFETY: the caller's contract; the record is the block's pool's.
    unsafe {
        parcel.add_last(block, class);
        send(pool.as_ref(), &parcel);
    }
}

/// Hands a parcel of blocks to the heap that owns their pool. If that
/// heap has no thread, sees to it that the pool can go: where nothing else would, with each batch, since
/// others may free the pool's last blocks before it is in the inbox; else with its last blocks.
///
/// # Safety
///
/// The parcel has blocks, used ones of `pool`, and nobody uses them any more.
pub unsafe fn send(pool: &'static Pool, parcel: &Parcel) {
    let Some(owner) = ThreadHeap::of_owner(pool.owner()) else {
        return;
    };
    // SAFETY: the caller's contract.
    let posted = unsafe { pool.post(parcel) };
    if posted.queue {
        owner.inbox.put(pool);
    }
    if posted.drained {
        vacancy::tend(owner);
    } else if posted.queue && config::retention().leaves_at_once() {
        vacancy::sent(owner);
    }
}
