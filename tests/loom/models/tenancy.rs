//! Claims: owner and claimer are never both at work on a heap, each sees what the other did, and nobody
//! sleeps for ever. The barrier is modelled in two ways (`src/sys/modelled.rs`): as the fence that owner
//! and claimer then both have, and as an interrupt of an owner that has none.

extern crate std;

use core::iter::once;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;
use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::thread;

use super::Preemptions::AtMost;
use super::{finds, holds};
use crate::heap::tenancy::{Begun, Countdown, Tenancy};
use crate::sync::planted::planted;
use crate::sys::{self, Barrier};

/// What its pools would bear.
const PASS: usize = 64;

/// More than the short paths of any model.
const LEFT: u32 = 3;

struct Heap {
    tenancy: Tenancy,
    countdown: Countdown,
    /// What owner and claimer change: how often each did.
    bins: UnsafeCell<(usize, usize)>,
    /// Of what the countdown counted: published by a claimer, which it should leave to the owner.
    published: AtomicU32,
}

// SAFETY: `bins` is used by who is inside or has claimed; loom checks that it is.
unsafe impl Sync for Heap {}
// SAFETY: as above.
unsafe impl Send for Heap {}

impl Heap {
    /// A slow path of the owner.
    fn slow_path(&self) {
        sys::interruptible();
        let inside = self.tenancy.enter();
        self.work();
        drop(inside);
        sys::interruptible();
    }

    /// The shortest of slow paths.
    fn short_path(&self) {
        let begun = self.enter();
        self.work();
        assert!(!self.countdown.end(begun, 1), "more are left");
        sys::interruptible();
    }

    /// One that turns out to be longer.
    fn short_path_that_goes_on(&self) {
        let begun = self.enter();
        sys::interruptible();
        let is_late = planted("goes_on_late");
        if is_late {
            self.countdown.end(begun, 1);
            sys::interruptible();
        }
        let inside = self.tenancy.go_on();
        if !is_late {
            sys::interruptible();
            self.countdown.end(begun, 1);
        }
        self.work();
        drop(inside);
        sys::interruptible();
    }

    fn enter(&self) -> Begun {
        sys::interruptible();
        loop {
            match self.tenancy.try_enter(&self.countdown, PASS) {
                Ok(begun) => return begun,
                Err(begun) => self.countdown.end(begun, 0),
            };
            self.tenancy.renew(PASS);
        }
    }

    fn work(&self) {
        sys::interruptible();
        // SAFETY: inside; loom checks that nobody else is.
        self.bins.with_mut(|bins| unsafe { (*bins).0 += 1 });
        sys::interruptible();
    }

    fn claim(&self) {
        if let Some(_claim) = self.tenancy.claim(once(&self.countdown)) {
            // SAFETY: claimed; loom checks that nobody else is at work.
            self.bins.with_mut(|bins| unsafe { (*bins).1 += 1 });
            if planted("claim_settles") {
                self.published.fetch_add(LEFT - self.countdown.left(), Relaxed);
                self.countdown.set(LEFT);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Path {
    Slow,
    Short,
    GoesOn,
}

fn claimed_while_at_work(
    barrier: Barrier,
    paths: &'static [Path],
    claimers: usize,
) -> impl Fn() + Send + Sync + 'static {
    move || {
        sys::model_barrier(barrier);
        sys::prepare_barrier();
        let heap = Arc::new(Heap {
            tenancy: Tenancy::zero(),
            countdown: Countdown::zero(),
            bins: UnsafeCell::new((0, 0)),
            published: AtomicU32::new(0),
        });
        heap.tenancy.reset(PASS);
        heap.countdown.set(LEFT);
        let claimers: Vec<_> = (0..claimers)
            .map(|_| {
                let heap = Arc::clone(&heap);
                thread::spawn(move || heap.claim())
            })
            .collect();
        sys::as_owner(|| {
            for path in paths {
                match path {
                    Path::Slow => heap.slow_path(),
                    Path::Short => heap.short_path(),
                    Path::GoesOn => heap.short_path_that_goes_on(),
                }
            }
        });
        let claims = claimers.len();
        claimers.into_iter().for_each(|thread| thread.join().unwrap());
        heap.bins.with(|bins| {
            // SAFETY: the other threads are gone.
            let (owner, claimer) = unsafe { *bins };
            assert_eq!(owner, paths.len());
            assert!(claimer <= claims);
            let short = paths.iter().filter(|path| !matches!(path, Path::Slow)).count();
            let counted = heap.published.load(Relaxed) + LEFT - heap.countdown.left();
            assert_eq!(counted as usize, short, "each is counted once");
        });
    }
}

use Barrier::{Fences, Interrupts};
use Path::{GoesOn, Short, Slow};

#[test]
fn an_owner_with_a_fence_and_one_claimer_take_turns() {
    holds(AtMost(3), claimed_while_at_work(Fences, &[Slow, Short], 1));
}

#[test]
#[ignore = "takes ten seconds or more"]
fn an_owner_with_a_fence_on_one_path_and_one_claimer_take_turns() {
    holds(AtMost(5), claimed_while_at_work(Fences, &[Short], 1));
}

#[test]
fn an_owner_with_a_fence_and_two_claimers_take_turns() {
    holds(AtMost(2), claimed_while_at_work(Fences, &[Slow], 2));
}

#[test]
fn an_owner_whose_short_path_goes_on_and_one_claimer_take_turns() {
    for barrier in [Fences, Interrupts] {
        holds(AtMost(2), claimed_while_at_work(barrier, &[GoesOn], 1));
    }
}

#[test]
fn an_interrupted_owner_and_one_claimer_take_turns() {
    holds(AtMost(3), claimed_while_at_work(Interrupts, &[Slow], 1));
}

#[test]
#[ignore = "takes ten seconds or more"]
fn an_owner_interrupted_on_a_short_path_and_one_claimer_take_turns() {
    holds(AtMost(3), claimed_while_at_work(Interrupts, &[Short], 1));
}

#[test]
fn an_owner_interrupted_on_two_paths_and_one_claimer_take_turns() {
    holds(AtMost(2), claimed_while_at_work(Interrupts, &[Short, Slow], 1));
}

#[test]
#[ignore = "takes ten seconds or more"]
fn an_interrupted_owner_and_two_claimers_take_turns() {
    holds(AtMost(2), claimed_while_at_work(Interrupts, &[Slow], 2));
}

#[test]
fn an_owner_without_its_fence_is_found() {
    finds("no_light_fence", "ausality violation", claimed_while_at_work(Fences, &[Slow], 1));
}

#[test]
fn a_claimer_without_its_barrier_is_found() {
    finds("no_barrier", "ausality violation", claimed_while_at_work(Interrupts, &[Slow], 1));
}

#[test]
fn an_owner_that_looks_before_it_says_so_is_found() {
    for barrier in [Fences, Interrupts] {
        let model = claimed_while_at_work(barrier, &[Short], 1);
        finds("enter_looks_first", "ausality violation", model);
    }
}

#[test]
fn a_claimer_that_does_not_look_is_found() {
    for barrier in [Fences, Interrupts] {
        let model = claimed_while_at_work(barrier, &[Slow], 1);
        finds("claim_looks_not", "ausality violation", model);
    }
}

#[test]
fn an_owner_that_leaves_without_releasing_is_found() {
    let model = claimed_while_at_work(Interrupts, &[Slow, Slow], 1);
    finds("leave_relaxed", "ausality violation", model);
}

#[test]
fn an_owner_that_ends_a_short_path_without_releasing_is_found() {
    for paths in [&[Short] as &[Path], &[GoesOn]] {
        let model = claimed_while_at_work(Interrupts, paths, 1);
        finds("end_relaxed", "ausality violation", model);
    }
}

#[test]
fn an_owner_that_goes_on_too_late_is_found() {
    let model = claimed_while_at_work(Interrupts, &[GoesOn], 1);
    finds("goes_on_late", "ausality violation", model);
}

#[test]
fn a_claimer_that_does_not_look_at_the_countdowns_is_found() {
    for barrier in [Fences, Interrupts] {
        let model = claimed_while_at_work(barrier, &[Short], 1);
        finds("claim_counts_not", "ausality violation", model);
    }
}

#[test]
fn a_claimer_that_writes_a_countdown_is_found() {
    for barrier in [Fences, Interrupts] {
        let model = claimed_while_at_work(barrier, &[Short, Short], 1);
        finds("claim_settles", "each is counted once", model);
    }
}

#[test]
fn a_claim_that_ends_without_releasing_is_found() {
    let model = claimed_while_at_work(Interrupts, &[Slow], 1);
    finds("claim_end_relaxed", "ausality violation", model);
}

#[test]
fn a_pass_that_a_claim_leaves_is_found() {
    let model = claimed_while_at_work(Interrupts, &[Short], 1);
    finds("claim_takes_no_pass", "ausality violation", model);
}

#[test]
fn a_claim_that_ends_without_waking_its_owner_is_found() {
    let model = claimed_while_at_work(Fences, &[Slow], 1);
    finds("claim_end_unsaid", "deadlock", model);
}

#[test]
fn an_owner_that_sleeps_without_saying_so_is_found() {
    let model = claimed_while_at_work(Fences, &[Slow], 1);
    finds("sleep_unsaid", "deadlock", model);
}
