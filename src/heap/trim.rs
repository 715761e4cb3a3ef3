//! Giving back now: where policy and mechanism meet.

use super::sweep::sweep_all;
use super::thread_heap::ThreadHeap;
use super::{config, local, span};
use crate::base::class::SizeClass;

/// Gives back all that the rung in force lets go: of every heap, but for other threads' current
/// pools, of the arenas and of the kept large blocks. Returns bytes that went to the system.
pub fn trim() -> usize {
    let rung = config::retention();
    if !rung.classes_share() {
        return 0;
    }
    let own = local::own();
    let mut bytes = 0;
    if !own.is_nobody() {
        let _inside = own.enter();
        own.outbox.send_all();
        own.home.set(0);
        bytes += own.collect_inbox();
        let currents = SizeClass::all().map(|class| match rung.hollows() {
            true => own.uninstall(class),
            false => own.uninstall_if_unused(class),
        });
        bytes += currents.sum::<usize>();
    }
    bytes + span::give_back_kept() + sweep_all().bytes
}

impl ThreadHeap {
    /// Lets go of everything this heap keeps that holds no used block, on a slow path that found the
    /// system without memory. Returns bytes that went to the system.
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
        let _inside = self.enter();
        self.outbox.send_all();
        self.collect_inbox();
        SizeClass::all().for_each(|class| self.settle(class));
    }
}
