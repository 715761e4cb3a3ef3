//! Remote frees: what other threads than its owner free of a pool, in one word of its record.

use core::ptr::NonNull;

use super::block::{self, Block};
use super::pool::Pool;
use crate::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

impl Pool {
    /// Forgets the remote frees that wait: for a child process that cannot trust them.
    pub fn forget_remote(&self) {
        self.remote.0.store(0, Relaxed);
    }

    /// Remote frees that wait for the owner.
    pub fn waiting(&self) -> usize {
        Remote::count(self.remote.0.load(Relaxed))
    }

    /// Hands the owner `count` blocks, linked from `first` to `last`. One atomic exchange, repeated
    /// only if another thread came between. The pool must not be touched afterwards unless `queue`
    /// says so: its owner may have let it go.
    ///
    /// # Safety
    ///
    /// The blocks are this pool's, used, and the caller's to free.
    pub unsafe fn post(&self, first: NonNull<Block>, last: NonNull<Block>, count: usize) -> Posted {
        let start = self.start();
        let offset = first.addr().get() - start.addr().get();
        let mut seen = self.remote.0.load(Relaxed);
        loop {
            // SAFETY: the last block is the caller's to link.
            unsafe { Block::set_next(last, Remote::first(seen, start)) };
            let waiting = Remote::count(seen) + count;
            // Read anew: the owner may have taken some in since the last turn.
            let used = self.used();
            let posted = Remote::word(offset, waiting);
            // Release pairs with the Acquire in `collect`: the links are visible to the owner.
            match self.remote.0.compare_exchange_weak(seen, posted, Release, Relaxed) {
                Ok(_) => {
                    return Posted { queue: seen == 0, drained: waiting >= used };
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Whether `block` was posted and waits. For the owner, who alone takes from the list.
    ///
    /// # Safety
    ///
    /// The caller owns the pool.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    pub unsafe fn waits(&self, block: NonNull<Block>) -> bool {
        // Acquire pairs with the Release in `post`.
        let word = self.remote.0.load(Acquire);
        let mut waiting = Remote::first(word, self.start());
        while let Some(free) = NonNull::new(waiting) {
            if free == block {
                return true;
            }
            // SAFETY: posted, and only the owner takes it off.
            waiting = unsafe { Block::next(free) };
        }
        false
    }

    /// Takes all that was posted: the first block and how many. For the owner, on a queued pool.
    ///
    /// # Safety
    ///
    /// The caller owns the pool.
    pub unsafe fn collect(&self) -> Option<(NonNull<Block>, usize)> {
        // Acquire pairs with the Release in `post`.
        let word = self.remote.0.swap(0, Acquire);
        let first = NonNull::new(Remote::first(word, self.start()))?;
        Some((first, Remote::count(word)))
    }
}

/// What became of a batch of remote frees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Posted {
    /// The pool had nothing waiting: the caller must put it into its owner's inbox, once.
    pub queue: bool,
    /// As far as can be told, nothing but waiting blocks is left of the pool.
    pub drained: bool,
}

/// The remote list in one word: where its first block is, counted in blocks' least distance from
/// the pool's start and one more, and how many there are. 0: nothing waits, and the pool is in no
/// inbox; else it is in its owner's, or about to be. A pool with something waiting has used blocks,
/// so that it cannot be given back while it is in an inbox.
pub struct Remote(AtomicU64);

impl Remote {
    const GRAIN: usize = 8;

    fn word(offset: usize, count: usize) -> u64 {
        ((count as u64) << 32) | (offset / Self::GRAIN + 1) as u64
    }

    fn count(word: u64) -> usize {
        (word >> 32) as usize
    }

    fn first(word: u64, start: NonNull<u8>) -> *mut Block {
        match word as u32 as usize {
            0 => block::NONE,
            place => start.as_ptr().wrapping_add((place - 1) * Self::GRAIN).cast(),
        }
    }
}
