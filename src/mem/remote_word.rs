//! The remote list in one word: where its first block is, counted in blocks' least distance from the
//! pool's start and one more, how many there are, and how many of those are on no link of the list's.
//!
//! 0: nothing waits, and the pool is in no inbox; else it is in its owner's, or about to be. A pool
//! with something waiting has used blocks, so that it cannot be given back while it is in an inbox.

#![forbid(unsafe_code)]

use crate::sync::atomic::{
    AtomicU64, Ordering, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use crate::sync::planted::planted;

/// See the module.
pub struct RemoteWord(AtomicU64);

/// A list of blocks of one pool: how many bytes behind the pool's start the first one lies, and how
/// many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Of no meaning in an empty list.
    pub offset: usize,
    pub count: usize,
    /// Those of them that no block leads to: some say more than which is next.
    pub others: usize,
}

/// What became of a batch of remote frees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Posted {
    /// The pool had nothing waiting: the caller must put it into its owner's inbox, once.
    pub queue: bool,
    /// As far as can be told, nothing but waiting blocks is left of the pool.
    pub drained: bool,
}

impl RemoteWord {
    /// Nothing waits. Records are zeroed memory, and so begin with this too.
    #[cfg(loom)]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Puts the blocks of `batch` in front of the list: `link` has the batch's last block lead to the
    /// first one that is there, `None` if there is none. `used` reads how many blocks are used.
    #[inline(always)]
    pub fn post(
        &self,
        batch: Listed,
        used: impl Fn() -> usize,
        mut link: impl FnMut(Option<usize>),
    ) -> Posted {
        let mut seen = self.0.load(Relaxed);
        loop {
            link(Self::first(seen));
            let waiting = Self::count(seen) + batch.count;
            // Read anew: the owner may have taken some in since the last turn.
            let used = used();
            let posted = Self::word(batch.offset, waiting, Self::others(seen) + batch.others);
            match self.0.compare_exchange_weak(seen, posted, post_order(), Relaxed) {
                Ok(_) => {
                    let queue = seen == 0 || planted("post_queues_always");
                    return Posted { queue, drained: waiting >= used };
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Takes the list out whole.
    #[inline(always)]
    pub fn collect(&self) -> Option<Listed> {
        let word = self.0.swap(0, collect_order());
        let (count, others) = (Self::count(word), Self::others(word));
        Self::first(word).map(|offset| Listed { offset, count, others })
    }

    /// Where the first block that waits lies; `None` if none does. For the owner, who alone takes from
    /// the list: its links may be read until then.
    #[cfg(all(feature = "malloc", not(feature = "hardened")))]
    pub fn peek(&self) -> Option<usize> {
        // Acquire pairs with the Release in `post`.
        Self::first(self.0.load(Acquire))
    }

    /// How many blocks wait.
    pub fn waiting(&self) -> usize {
        Self::count(self.0.load(Relaxed))
    }

    /// Forgets what waits: for a child process that cannot trust it.
    pub fn forget(&self) {
        self.0.store(0, Relaxed);
    }

    const GRAIN: usize = 8;

    #[inline(always)]
    fn word(offset: usize, count: usize, others: usize) -> u64 {
        (others as u64) << 48 | (count as u64) << 32 | (offset / Self::GRAIN + 1) as u64
    }

    #[inline(always)]
    fn count(word: u64) -> usize {
        (word >> 32) as u16 as usize
    }

    #[inline(always)]
    fn others(word: u64) -> usize {
        (word >> 48) as usize
    }

    #[inline(always)]
    fn first(word: u64) -> Option<usize> {
        match word as u32 as usize {
            0 => None,
            place => Some((place - 1) * Self::GRAIN),
        }
    }
}

/// Release pairs with the Acquire in `collect`: the links are visible to the owner. Acquire pairs with the
/// Release there: who finds the list empty has the owner's last use of the pool's link in an inbox behind
/// it, and may write that link.
#[inline(always)]
fn post_order() -> Ordering {
    match () {
        _ if planted("post_releases_nothing") => Acquire,
        _ if planted("post_acquires_nothing") => Release,
        _ => AcqRel,
    }
}

/// See [`post_order`].
#[inline(always)]
fn collect_order() -> Ordering {
    match () {
        _ if planted("collect_acquires_nothing") => Release,
        _ if planted("collect_releases_nothing") => Acquire,
        _ => AcqRel,
    }
}
