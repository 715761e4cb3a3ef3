//! Remote frees: what other threads than its owner free of a pool. They come in parcels (`parcel.rs`); the
//! list's word, and how threads agree on it, stand in `remote_word.rs`.

use core::ptr::NonNull;

use super::block::{self, Block};
use super::parcel::{self, Parcel};
use super::pool::Pool;
use super::remote_word::{Listed, Posted};
use crate::base::class::SizeClass;

impl Pool {
    /// Forgets the remote frees that wait: for a child process that cannot trust them.
    pub fn forget_remote(&self) {
        self.remote.forget();
    }

    /// Remote frees that wait for the owner.
    pub fn waiting(&self) -> usize {
        self.remote.waiting()
    }

    /// Hands the owner a parcel. One atomic exchange, repeated
    /// only if another thread came between. The pool must not be touched afterwards unless `queue`
    /// says so: its owner may have let it go.
    ///
    /// # Safety
    ///
    /// The parcel has blocks, which are this pool's, used, and the caller's to free.
    pub unsafe fn post(&self, parcel: &Parcel) -> Posted {
        let start = self.start();
        // SAFETY: the caller's contract.
        let packed = unsafe { parcel.pack(start, self.class()) };
        let listed = Listed { offset: packed.offset, count: parcel.count(), others: packed.others };
        // SAFETY: not posted yet.
        self.remote.post(listed, || self.used(), |behind| unsafe { packed.lead(start, behind) })
    }

    /// Whether `block` was posted and waits. For the owner, who alone takes from the list.
    ///
    /// # Safety
    ///
    /// The caller owns the pool.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    pub unsafe fn waits(&self, block: NonNull<Block>) -> bool {
        // SAFETY: the caller's contract.
        unsafe { parcel::has(self.start(), self.class(), self.remote.peek(), block) }
    }

    /// Takes off all that was posted: to be [taken in](Pool::take_in). For the owner, on a queued pool.
    pub fn take_waiting(&self) -> Option<Listed> {
        let listed = self.remote.collect()?;
        block::expect(self.start().as_ptr().wrapping_add(listed.offset).cast());
        Some(listed)
    }

    /// Puts what was taken off in front of `list`, of blocks of this pool, which is of `class`. Returns the first block then.
    ///
    /// # Safety
    ///
    /// The caller owns the pool, and the list.
    pub unsafe fn take_in(
        &self,
        class: SizeClass,
        waiting: Listed,
        list: *mut Block,
    ) -> NonNull<Block> {
        // SAFETY: taken off, so the caller's.
        unsafe { parcel::take_in(self.start(), class, waiting, list) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::alloc::Layout;
    use std::alloc::{alloc, dealloc};
    use std::vec::Vec;

    use super::*;
    use crate::base::geometry::OUTBOX_BLOCKS;
    use crate::mem::link;

    /// Memory like that of a pool of a class, but without a record.
    struct Room(NonNull<u8>, Layout);

    impl Room {
        fn of(class: SizeClass) -> Room {
            let layout = Layout::from_size_align(class.pool_size(), class.pool_size()).unwrap();
            // SAFETY: of some size.
            let start = NonNull::new(unsafe { alloc(layout) }).unwrap();
            start.as_ptr().expose_provenance();
            Room(start, layout)
        }

        fn block(&self, number: usize, class: SizeClass) -> NonNull<Block> {
            assert!(number < class.capacity());
            // SAFETY: within the room.
            unsafe { self.0.add(number * class.block_size()).cast() }
        }
    }

    impl Drop for Room {
        fn drop(&mut self) {
            // SAFETY: from `of`.
            unsafe { dealloc(self.0.as_ptr(), self.1) };
        }
    }

    /// A parcel of these blocks.
    fn parcel_of(blocks: &[NonNull<Block>], class: SizeClass) -> Parcel {
        let parcel = Parcel::new();
        parcel.begin(blocks.len(), blocks[0]);
        let (last, others) = blocks.split_last().unwrap();
        for &block in others {
            // SAFETY: the test's own.
            assert!(unsafe { parcel.add(block, class) });
        }
        // SAFETY: as above.
        unsafe {
            assert!(!parcel.add(*last, class), "the last one is to be sent for");
            parcel.add_last(*last, class);
        }
        assert_eq!(parcel.count(), blocks.len());
        parcel
    }

    fn fill(blocks: &[NonNull<Block>], class: SizeClass, byte: u8) {
        for block in blocks {
            // SAFETY: the test's own.
            unsafe { block.cast::<u8>().write_bytes(byte, class.block_size()) };
        }
    }

    fn is_full_of(block: NonNull<Block>, class: SizeClass, byte: u8) -> bool {
        // SAFETY: the test's own.
        (0..class.block_size()).all(|at| unsafe { block.cast::<u8>().add(at).read() } == byte)
    }

    #[test]
    fn parcels_of_any_class_and_number_come_out_block_by_block_before_what_was_listed() {
        link::start();
        let is_used = |class: &SizeClass| class.block_size() >= size_of::<Block>();
        for class in SizeClass::all().filter(is_used) {
            let room = Room::of(class);
            let most = OUTBOX_BLOCKS.min(class.capacity() / 4);
            for count in [1, 2, 3, most / 2, most - 1, most] {
                if count == 0 || 2 * count + 2 > class.capacity() {
                    continue;
                }
                // Every other block is in use meanwhile, and the first ones are listed already.
                let used: Vec<_> = (0..count).map(|i| room.block(2 * i + 2, class)).collect();
                let mut sent: Vec<_> = (0..count).map(|i| room.block(2 * i + 1, class)).collect();
                sent.rotate_left(count / 3);
                fill(&used, class, 0xa5);
                let listed = room.block(0, class);
                let (older, newer) = sent.split_at(count / 2);
                let mut listed_at = None;
                let mut others = 0;
                // SAFETY: the blocks are the test's own.
                unsafe {
                    Block::set_next(listed, block::NONE);
                    for part in [older, newer].into_iter().filter(|part| !part.is_empty()) {
                        let packed = parcel_of(part, class).pack(room.0, class);
                        packed.lead(room.0, listed_at);
                        listed_at = Some(packed.offset);
                        others += packed.others;
                    }
                    let waiting = Listed { offset: listed_at.unwrap(), count, others };
                    let first = parcel::take_in(room.0, class, waiting, listed.as_ptr());
                    let mut next = first.as_ptr();
                    let mut came = Vec::new();
                    while let Some(block) = NonNull::new(next) {
                        came.push(block);
                        next = Block::next(block);
                    }
                    assert_eq!(came.pop(), Some(listed));
                    came.sort();
                    sent.sort();
                    assert!(came == sent, "{count} blocks of {} bytes", class.block_size());
                }
                assert!(used.iter().all(|&block| is_full_of(block, class, 0xa5)));
            }
        }
    }

    #[cfg(not(feature = "hardened"))]
    #[test]
    fn only_carriers_are_written_to_and_what_waits_is_found() {
        let class = SizeClass::of(64, 8).unwrap();
        let room = Room::of(class);
        let blocks: Vec<_> = (0..OUTBOX_BLOCKS).map(|i| room.block(3 * i, class)).collect();
        fill(&blocks, class, 0x5a);
        let parcel = parcel_of(&blocks, class);
        assert!(blocks.iter().all(|&block| is_full_of(block, class, 0x5a)));
        // SAFETY: the blocks are the test's own.
        let packed = unsafe { parcel.pack(room.0, class) };
        // SAFETY: as above.
        unsafe { packed.lead(room.0, None) };
        assert_eq!(packed.others, OUTBOX_BLOCKS - 2);
        let written = blocks.iter().filter(|&&block| !is_full_of(block, class, 0x5a)).count();
        assert_eq!(written, 2, "a block of 64 bytes carries 27 others");
        #[cfg(feature = "malloc")]
        for number in 0..3 * OUTBOX_BLOCKS {
            let (block, is_sent) = (room.block(number, class), number % 3 == 0);
            assert_eq!(parcel.has(block, room.0), is_sent);
            // SAFETY: as above.
            let waits = unsafe { parcel::has(room.0, class, Some(packed.offset), block) };
            assert_eq!(waits, is_sent);
        }
    }
}
