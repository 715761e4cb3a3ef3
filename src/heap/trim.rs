//! Giving back now: where policy and mechanism meet.

use super::thread_heap::ThreadHeap;
use super::{config, large, local, registry, span};
use crate::base::class::SizeClass;
use crate::mem::arena_set::ARENAS;

/// Gives back all that the rung in force lets go: of the calling thread's heap, of vacant heaps, of
/// the arenas and of the kept large blocks. Returns bytes that went to the system.
pub fn trim() -> usize {
    let rung = config::retention();
    if !rung.classes_share() {
        return 0;
    }
    let mut bytes = local::with(|heap| heap.give_back_kept()).unwrap_or(0);
    bytes += registry::tend_all();
    bytes += span::give_back_kept();
    if rung.arenas_empty_kept() == usize::MAX {
        return bytes;
    }
    loop {
        let vacated = ARENAS.lock().vacate(0);
        match vacated {
            Some(arena) => match arena.unmap() {
                0 => break,
                given => bytes += given,
            },
            None => break,
        }
    }
    bytes + large::give_back_kept(0)
}

impl ThreadHeap {
    /// Lets go of everything this heap keeps that holds no used block. Returns bytes that went to
    /// the system.
    pub fn give_back_kept(&'static self) -> usize {
        if !config::retention().classes_share() {
            return 0;
        }
        self.outbox.send_all();
        self.home.set(0);
        let collected = self.collect_inbox();
        let unused = SizeClass::all().map(|class| self.uninstall_if_unused(class));
        collected + unused.sum::<usize>() + self.release_empties(|_| true)
    }

    /// Publishes everything: sums are exact for what this thread did.
    pub fn settle_all(&'static self) {
        self.outbox.send_all();
        self.collect_inbox();
        SizeClass::all().for_each(|class| self.settle(class));
    }
}
