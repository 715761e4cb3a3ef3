//! Giving back now: where policy and mechanism meet.

use super::sweep::{self, Age, sweep_all};
use super::thread_heap::ThreadHeap;
use super::{config, large_return, local};
use crate::base::class::SizeClass;
use crate::base::geometry::{CURRENTS_A_STEP, PAGES_UNMAPPED};
use crate::mem::arena_set::ARENAS;
use crate::sys;

/// Gives back all that the rung in force lets go: of every heap, but for the pool that
/// each other thread works on or worked on last, of the arenas and of the kept large blocks. Returns bytes that went to the system.
pub fn trim() -> usize {
    if !config::retention().classes_share() {
        return 0;
    }
    sweep_all().bytes
}

/// Giving back what [`trim`] does, a step at a time.
pub struct Round {
    /// The class whose current pool is next to be let go.
    class: usize,
    /// Whether the sweep was begun.
    begun: bool,
    /// Bytes given back.
    pub given: usize,
}

/// What came of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stepped {
    /// The round is over.
    Over,
    /// More steps can follow.
    More,
    /// Another thread sweeps.
    Busy,
}

impl Round {
    /// Before the first step.
    pub const fn new() -> Round {
        Round { class: 0, begun: false, given: 0 }
    }

    /// One step: gives back until it is `enough` bytes, or the `work` of so many OS pages is done. Bytes given back, and
    /// what is next.
    pub fn step(&mut self, enough: usize, mut work: usize) -> (usize, Stepped) {
        let rung = config::retention();
        if !rung.classes_share() {
            return (0, Stepped::Over);
        }
        let page_size = sys::page_size();
        // Whole mappings are the cheapest to give back, then free slots, which lie together: a sweep may
        // come to them late. What they cost the sweep has less.
        let mut given = large_return::give_back_some(enough);
        work = work.saturating_sub(given / page_size / PAGES_UNMAPPED);
        if given < enough && rung.waits() {
            let wanted = (enough - given).div_ceil(page_size);
            let purged = ARENAS.lock().purge_idle(wanted.min(work));
            given += purged * page_size;
            work -= purged;
        }
        let own = local::own();
        if !own.is_nobody() {
            given += own.give_back_currents(&mut self.class);
        }
        let mut stepped = Stepped::More;
        if given < enough && work > 0 {
            stepped = match sweep::step_any(!self.begun, enough - given, work) {
                None => Stepped::Busy,
                Some(step) => {
                    self.begun = true;
                    given += step.swept.bytes;
                    if step.last { Stepped::Over } else { Stepped::More }
                }
            };
        }
        self.given += given;
        (given, stepped)
    }
}

impl ThreadHeap {
    /// Lets go of some classes' current pools, from `class` on, of some kept spans, and of some of what waits. Returns bytes that went
    /// to the system. For the owner.
    fn give_back_currents(&'static self, class: &mut usize) -> usize {
        let _inside = self.enter();
        self.outbox.send_all();
        self.home.set(0);
        let mut bytes = self.collect_pools(true).bytes;
        bytes += self.give_back_some_spans(Age::Any).0.bytes;
        for _ in 0..CURRENTS_A_STEP {
            let Some(next) = SizeClass::from_index(*class) else { break };
            bytes += self.uninstall(next);
            *class += 1;
        }
        bytes
    }

    /// Lets go of everything this heap keeps that holds no used block, and of kept spans, on a slow path that found
    /// the system without memory. Returns bytes that went to the system.
    pub fn give_back_kept(&'static self) -> usize {
        if !config::retention().classes_share() {
            return 0;
        }
        self.outbox.send_all();
        self.home.set(0);
        let collected = self.collect_inbox();
        let unused = SizeClass::all().map(|class| self.uninstall_if_unused(class));
        let pools = unused.sum::<usize>() + self.release_empties(|_| true);
        collected + pools + self.give_back_spans()
    }

    /// Publishes everything: sums are exact for what this thread did.
    pub fn settle_all(&'static self) {
        let _inside = self.enter();
        self.send_guests();
        self.outbox.send_all();
        self.collect_inbox();
        SizeClass::all().for_each(|class| self.settle(class));
        self.spans.publish();
    }
}
