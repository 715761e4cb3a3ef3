//! Remote frees: what other threads than its owner free of a pool. The list's word, and how threads
//! agree on it, stand in `remote_word.rs`.

use core::ptr::NonNull;

use super::block::{self, Block};
use super::pool::Pool;
use super::remote_word::{Listed, Posted};

impl Pool {
    /// Forgets the remote frees that wait: for a child process that cannot trust them.
    pub fn forget_remote(&self) {
        self.remote.forget();
    }

    /// Remote frees that wait for the owner.
    pub fn waiting(&self) -> usize {
        self.remote.waiting()
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
        let batch = Listed { offset: first.addr().get() - start.addr().get(), count };
        self.remote.post(
            batch,
            || self.used(),
            // SAFETY: the last block is the caller's to link.
            |behind| unsafe { Block::set_next(last, block_at(start, behind)) },
        )
    }

    /// Whether `block` was posted and waits. For the owner, who alone takes from the list.
    ///
    /// # Safety
    ///
    /// The caller owns the pool.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    pub unsafe fn waits(&self, block: NonNull<Block>) -> bool {
        let mut waiting = block_at(self.start(), self.remote.peek());
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
        let Listed { offset, count } = self.remote.collect()?;
        Some((NonNull::new(block_at(self.start(), Some(offset)))?, count))
    }
}

/// The block that lies so many bytes behind a pool's start.
#[inline(always)]
fn block_at(start: NonNull<u8>, offset: Option<usize>) -> *mut Block {
    offset.map_or(block::NONE, |offset| start.as_ptr().wrapping_add(offset).cast())
}
