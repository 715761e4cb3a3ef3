//! Growth pays for itself: a heap that makes new slots resident, while much that it has is free,
//! gives back as many free OS pages of its own pools at once. So memory that one mix of sizes left
//! behind does not add to what the next one needs, however fast they follow each other.

use super::sweep::hollow;
use super::thread_heap::ThreadHeap;
use super::{config, ledger};
use crate::base::class::SizeClass;
use crate::base::geometry::RECLAIM_SLOTS;
use crate::mem::pool::OCCUPANCIES;
use crate::policy::pace;
use crate::sys::purge::Batch;

impl ThreadHeap {
    /// `slots` more became resident for this heap.
    pub fn grew(&'static self, slots: usize) {
        let grown = self.grown.get() as usize + slots;
        self.grown.set(grown as u32);
        if grown < RECLAIM_SLOTS || !config::retention().hollows() {
            return;
        }
        let (reclaimed, refaulted) = (self.reclaimed.get() as usize, self.refaulted.get() as usize);
        let reluctance = pace::reluctance(self.reluctance.get() as usize, reclaimed, refaulted);
        let (free, live) = (ledger::free_bytes(), ledger::LIVE_BYTES.now());
        let wanted = pace::reclaim(grown, reluctance, free, live);
        self.grown.set(0);
        self.refaulted.set(0);
        self.reluctance.set(reluctance as u32);
        self.reclaimed.set(if wanted > 0 { self.reclaim(wanted) as u32 } else { 0 });
    }

    /// Purges about `wanted` OS pages of pools of this heap that hold few used blocks. Returns how
    /// many.
    fn reclaim(&'static self, wanted: usize) -> usize {
        let mut batch = Batch::new();
        let (mut found, mut looked_at) = (0, 0);
        for occupancy in (OCCUPANCIES / 2..OCCUPANCIES).rev() {
            for class in SizeClass::all() {
                for pool in self.bin(class).partial[occupancy].iter() {
                    if found >= wanted || looked_at >= 4 * wanted {
                        batch.purge();
                        return found;
                    }
                    if pool.is_looked_at() {
                        continue;
                    }
                    looked_at += 1;
                    pool.mark_looked_at();
                    // SAFETY: this heap's, listed, and the batch is purged below.
                    found += unsafe { hollow(pool, &mut batch) };
                }
            }
        }
        batch.purge();
        found
    }
}
