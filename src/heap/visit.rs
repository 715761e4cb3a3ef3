//! A sweep's visit to one heap, before it goes through the arenas: kept spans go, what the heap holds back is sent, current
//! pools are let go, and what was sent to it is taken in.
//!
//! A current pool is old if its list begins where it began at the last visit: its thread sleeps, or works on
//! other classes. Let go, it is one of the bin's others, and grows old as they do. A thread that wants the
//! class again takes it from there.

use super::config;
use super::current::take_away;
use super::sweep::{Age, Hold, Step};
use super::thread_heap::ThreadHeap;
use crate::base::class::SizeClass;
use crate::base::geometry::{BLOCKS_A_PAGE, CLAIM_PAGES, CURRENTS_A_STEP};
use crate::mem::pool::Pool;

/// How far a visit has come.
pub struct Visit {
    /// Kept spans are next.
    spans: bool,
    /// The class that is next; if there is none, all that is left to do is to take in what was sent.
    class: Option<SizeClass>,
    /// Nothing is left to do.
    pub is_over: bool,
}

/// Classes whose current pools are to be let go.
type Chosen = [Option<SizeClass>; CURRENTS_A_STEP];

impl Visit {
    /// Before the first step.
    pub fn begin() -> Visit {
        let shares = config::retention().classes_share();
        Visit { spans: shares, class: SizeClass::from_index(0).filter(|_| shares), is_over: false }
    }

    /// A part that is short enough for one claim. `hold` says whose the heap is meanwhile.
    pub fn step(&mut self, heap: &'static ThreadHeap, hold: Hold, age: Age) -> Step {
        let mut step = Step { work: CLAIM_PAGES, ..Step::default() };
        if self.spans {
            let (swept, is_all) = heap.give_back_some_spans(age);
            self.spans = !is_all;
            return Step { swept, work: CLAIM_PAGES, last: false };
        }
        heap.outbox.send_all();
        let chosen = self.choose(heap, hold, age, &mut step);
        match hold {
            Hold::Whole => {
                for &class in chosen.iter().flatten() {
                    if let Some(pool) = heap.current_pool(class) {
                        lets_go(pool, &mut step);
                        step.swept.bytes += heap.uninstall(class);
                    }
                }
            }
            Hold::Claimed => heap.take_currents(&chosen, &mut step),
        }
        if self.class.is_none() {
            let collected = heap.collect_pools(hold == Hold::Whole);
            step.swept.bytes += collected.bytes;
            step.work += collected.blocks / BLOCKS_A_PAGE;
            self.is_over = !collected.more;
        }
        step
    }

    /// The next classes whose current pools are old enough.
    fn choose(
        &mut self,
        heap: &'static ThreadHeap,
        hold: Hold,
        age: Age,
        step: &mut Step,
    ) -> Chosen {
        let mut chosen = [None; CURRENTS_A_STEP];
        let mut free = chosen.iter_mut();
        while let Some(class) = self.class {
            let is_old = heap.current_pool(class).is_some_and(|pool| {
                let is_as_seen = pool.see_list(heap.current(class).free.get());
                let in_hand = hold == Hold::Claimed && heap.in_hand.has(class.index());
                // What stays in hand never grows old: nobody waits for that.
                step.swept.young |= !is_as_seen && !in_hand;
                (is_as_seen || age == Age::Any) && !in_hand
            });
            if is_old {
                let Some(place) = free.next() else { break };
                *place = Some(class);
            }
            self.class = SizeClass::from_index(class.index() + 1);
        }
        chosen
    }
}

/// A current pool is let go: its list is walked, and it is young in its new place.
fn lets_go(pool: &Pool, step: &mut Step) {
    step.work += pool.carved() / BLOCKS_A_PAGE;
    step.swept.young = true;
}

impl ThreadHeap {
    /// Lets current pools of this heap go, which is claimed, but for what its thread takes up meanwhile.
    fn take_currents(&'static self, chosen: &Chosen, step: &mut Step) {
        let chosen = chosen.iter().flatten();
        let currents = chosen.map(|&class| (class.index(), self.current(class)));
        let taken: [_; CURRENTS_A_STEP] = take_away(&self.in_hand, currents);
        for taken in taken.into_iter().flatten() {
            // SAFETY: it was a current pool of this heap, so its arena is mapped.
            let pool = unsafe { Pool::at(taken.base).as_ref() };
            lets_go(pool, step);
            step.swept.bytes += self.relist_uninstalled(pool, pool.class(), taken.list);
        }
    }
}
