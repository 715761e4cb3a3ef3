//! Remote frees and the inbox: every block that was posted comes to the owner once, with its link.

extern crate std;

use core::ptr::NonNull;
use std::sync::Arc;
use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::thread;

use super::Preemptions::{Any, AtMost};
use super::{finds, holds};
use crate::heap::inbox::{Inbox, Queued};
use crate::mem::remote_word::{Listed, RemoteWord};
use crate::sync::word::WordPtr;

const BLOCK_SIZE: usize = 16;

/// A block: what its first word would hold.
type Link = UnsafeCell<Option<usize>>;

struct Pool {
    remote: RemoteWord,
    queue_next: WordPtr<Pool>,
    blocks: Vec<Link>,
}

impl Queued for Pool {
    fn link(&self) -> &WordPtr<Pool> {
        &self.queue_next
    }
}

struct Heap {
    inbox: Inbox<Pool>,
    pools: Vec<Pool>,
}

// SAFETY: a block is its user's, then its poster's, then the owner's; loom checks that it is.
unsafe impl Sync for Heap {}
// SAFETY: as above.
unsafe impl Send for Heap {}

impl Heap {
    fn new(pools: usize, blocks: usize) -> Arc<Heap> {
        let blocks = || (0..blocks).map(|_| Link::new(None)).collect();
        let pool = |_| Pool {
            remote: RemoteWord::new(),
            queue_next: WordPtr::new(core::ptr::null_mut()),
            blocks: blocks(),
        };
        let heap = Heap { inbox: Inbox::new(), pools: (0..pools).map(pool).collect() };
        // Every atomic is made before threads share it.
        heap.inbox.forget();
        heap.pools.iter().for_each(|pool| {
            pool.remote.forget();
            pool.queue_next.set(core::ptr::null_mut());
        });
        Arc::new(heap)
    }

    /// Frees blocks of a pool that another thread's heap owns, as one batch.
    fn free(&self, pool: usize, blocks: core::ops::Range<usize>) {
        let pool = &self.pools[pool];
        let link = |block: usize, to: Option<usize>| {
            // SAFETY: the block is this thread's until it is posted.
            pool.blocks[block].with_mut(|link| unsafe { *link = to });
        };
        for block in blocks.clone().skip(1) {
            link(block - 1, Some(block * BLOCK_SIZE));
        }
        let last = blocks.end - 1;
        let offset = blocks.start * BLOCK_SIZE;
        let batch = Listed { offset, count: blocks.len(), others: blocks.len() };
        let posted = pool.remote.post(batch, || usize::MAX, |behind| link(last, behind));
        assert!(!posted.drained);
        if posted.queue {
            self.inbox.put(pool);
        }
    }

    /// Takes in what waits, at most so many pools of it. Returns the blocks. For the owner.
    fn take_in(&self, most: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        self.inbox.refill();
        for _ in 0..most {
            // SAFETY: pools live as long as the heap, and this is its owner.
            let taken = unsafe { self.inbox.take_next(|pool| self.collect(pool, &mut found)) };
            if taken.is_none() {
                break;
            }
        }
        found
    }

    fn collect(&self, pool: NonNull<Pool>, found: &mut Vec<(usize, usize)>) {
        // SAFETY: pools live as long as the heap.
        let pool = unsafe { pool.as_ref() };
        let index = self.pools.iter().position(|other| core::ptr::eq(other, pool)).unwrap();
        let Some(listed) = pool.remote.collect() else {
            panic!("a pool in the inbox has something waiting");
        };
        let (mut next, mut count) = (Some(listed.offset), 0);
        while let Some(offset) = next {
            let block = offset / BLOCK_SIZE;
            found.push((index, block));
            count += 1;
            // SAFETY: collected, so the owner's.
            next = pool.blocks[block].with(|link| unsafe { *link });
        }
        assert_eq!(count, listed.count, "the list is as long as its word says");
        // Here all are linked; it is the sum that matters.
        assert_eq!(count, listed.others, "as many are others as were posted as such");
    }
}

/// Each of `senders` frees its batches, by pool and blocks, while the owner takes in `turns` times, at
/// most `most` pools in a turn.
fn exchange(
    pools: usize,
    blocks: usize,
    senders: &'static [&'static [(usize, usize, usize)]],
    turns: usize,
    most: usize,
) -> impl Fn() + Send + Sync + 'static {
    move || {
        let heap = Heap::new(pools, blocks);
        let send = |batches: &'static [(usize, usize, usize)]| {
            let heap = Arc::clone(&heap);
            thread::spawn(move || {
                batches.iter().for_each(|&(pool, from, to)| heap.free(pool, from..to));
            })
        };
        let senders_run: Vec<_> = senders.iter().map(|batches| send(batches)).collect();
        let mut found = Vec::new();
        (0..turns).for_each(|_| found.extend(heap.take_in(most)));
        senders_run.into_iter().for_each(|thread| thread.join().unwrap());
        while heap.inbox.has_mail() || heap.inbox.is_pending() {
            found.extend(heap.take_in(usize::MAX));
        }
        found.sort_unstable();
        let sent = senders.iter().copied().flatten();
        let mut sent: Vec<_> =
            sent.flat_map(|&(pool, from, to)| (from..to).map(move |at| (pool, at))).collect();
        sent.sort_unstable();
        assert_eq!(found, sent, "every block comes once");
        assert!(heap.pools.iter().all(|pool| pool.remote.waiting() == 0), "nothing is left");
    }
}

/// Two threads free into one pool.
const ONE_POOL: &[&[(usize, usize, usize)]] = &[&[(0, 0, 2)], &[(0, 2, 3)]];
/// One thread frees again what may just have been collected.
const AGAIN: &[&[(usize, usize, usize)]] = &[&[(0, 0, 1), (0, 1, 2)]];
/// Two threads free into two pools, one after the other.
const TWO_POOLS: &[&[(usize, usize, usize)]] = &[&[(0, 0, 1), (1, 0, 1)], &[(1, 1, 2)]];
/// Two threads free into two pools in opposite orders.
const CROSSED: &[&[(usize, usize, usize)]] = &[&[(0, 0, 1), (1, 0, 1)], &[(1, 1, 2), (0, 1, 2)]];

#[test]
fn two_senders_and_an_owner_share_one_pool() {
    holds(AtMost(3), exchange(1, 3, ONE_POOL, 1, 1));
}

#[test]
fn a_pool_is_queued_again_while_its_owner_collects() {
    holds(Any, exchange(1, 2, AGAIN, 1, 1));
}

#[test]
fn two_senders_and_an_owner_share_two_pools() {
    holds(AtMost(2), exchange(2, 2, TWO_POOLS, 2, 1));
}

#[test]
fn two_senders_cross_over_two_pools() {
    holds(AtMost(2), exchange(2, 2, CROSSED, 1, 2));
}

#[test]
fn a_post_that_releases_nothing_is_found() {
    finds("post_releases_nothing", "ausality violation", exchange(1, 3, ONE_POOL, 1, 2));
}

#[test]
fn a_collection_that_acquires_nothing_is_found() {
    finds("collect_acquires_nothing", "ausality violation", exchange(1, 3, ONE_POOL, 1, 2));
}

/// As it was until loom saw it: between two of these, the owner may read a link that the next sender has
/// overwritten. No x86 does that, an ARM may.
#[test]
fn a_post_that_acquires_nothing_is_found() {
    finds("post_acquires_nothing", "something waiting", exchange(2, 2, TWO_POOLS, 2, 1));
}

/// See above.
#[test]
fn a_collection_that_releases_nothing_is_found() {
    finds("collect_releases_nothing", "something waiting", exchange(2, 2, TWO_POOLS, 2, 1));
}

#[test]
fn a_pool_that_is_queued_twice_is_found() {
    finds("post_queues_always", "something waiting", exchange(1, 3, ONE_POOL, 1, 2));
}

#[test]
fn a_put_that_releases_nothing_is_found() {
    finds("put_relaxed", "every block comes once", exchange(2, 2, CROSSED, 2, 2));
}

#[test]
fn a_taking_out_that_acquires_nothing_is_found() {
    finds("take_relaxed", "every block comes once", exchange(2, 2, CROSSED, 2, 2));
}

#[test]
fn a_link_that_is_read_after_the_collection_is_found() {
    finds("take_links_late", "something waiting", exchange(2, 2, CROSSED, 2, 2));
}
