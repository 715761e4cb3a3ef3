//! The sweeper's duty: what became free is given back by a thread that has not ended, and none sleeps through it.
//!
//! Naps have no end here, and a sweep that found nothing is the last one: nothing is left to time.

extern crate std;

use std::sync::Arc;
use std::sync::Mutex;
use std::vec::Vec;

use loom::thread::{self, JoinHandle};

use super::Preemptions::{self, AtMost};
use super::{finds, holds};
use crate::heap::duty::Duty;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sys::{self, Barrier};

struct Process {
    duty: Duty,
    /// What each thread made free, until it is given back.
    free: [AtomicBool; 2],
    sweepers: Mutex<Vec<JoinHandle<()>>>,
}

impl Process {
    fn new() -> Arc<Process> {
        sys::model_barrier(Barrier::Fences);
        let process = Process {
            duty: Duty::new(),
            free: [AtomicBool::new(false), AtomicBool::new(false)],
            sweepers: Mutex::new(Vec::new()),
        };
        process.duty.forget();
        process.sweep();
        Arc::new(process)
    }

    /// Two threads make memory free, each says so by `say`.
    fn two_free(self: &Arc<Self>, say: fn(&Arc<Process>)) {
        let other = {
            let process = Arc::clone(self);
            thread::spawn(move || {
                process.free[1].store(true, Relaxed);
                say(&process);
            })
        };
        self.free[0].store(true, Relaxed);
        say(self);
        other.join().unwrap();
    }

    /// Gives back what the thread sees. Returns how much that was.
    fn sweep(&self) -> usize {
        let mut swept = 0;
        for free in &self.free {
            if free.load(Relaxed) {
                free.store(false, Relaxed);
                swept += 1;
            }
        }
        swept
    }

    fn start(self: &Arc<Self>) {
        self.duty.start(|| {
            let process = Arc::clone(self);
            let sweeper = thread::spawn(move || process.sweep_until_clean());
            self.sweepers.lock().unwrap().push(sweeper);
            true
        });
    }

    /// The thread that ends when nothing is to be done.
    fn sweep_until_clean(&self) {
        loop {
            self.duty.take_in();
            self.sweep();
            if self.duty.ends() {
                return;
            }
        }
    }

    fn join_sweepers(&self) {
        loop {
            let Some(sweeper) = self.sweepers.lock().unwrap().pop() else { return };
            sweeper.join().unwrap();
        }
    }
}

/// Threads that make memory free start the sweeper, which ends when all is given back.
fn started_and_ended() {
    let process = Process::new();
    process.two_free(|process| {
        if process.duty.soil() {
            process.start();
        }
    });
    process.join_sweepers();
    assert!(process.free.iter().all(|free| !free.load(Relaxed)), "nothing is left behind");
}

/// Threads that make memory free wake the sweeper, which rests when nothing is to be done, and goes when both have.
fn rested_and_woken() {
    let process = Process::new();
    let sweeper = {
        let process = Arc::clone(&process);
        thread::spawn(move || {
            let mut swept = 0;
            while swept < 2 {
                process.duty.rest();
                process.duty.take_in();
                swept += process.sweep();
            }
        })
    };
    process.two_free(|process| {
        if process.duty.soil() {
            process.duty.wake();
        }
    });
    sweeper.join().unwrap();
}

/// Threads that owe call the sweeper, which naps.
fn called() {
    let process = Process::new();
    // The thread runs.
    process.duty.start(|| true);
    let sweeper = {
        let process = Arc::clone(&process);
        thread::spawn(move || {
            let mut swept = 0;
            loop {
                process.duty.answer();
                swept += process.sweep();
                if swept == 2 {
                    return;
                }
                process.duty.nap_us(1);
            }
        })
    };
    process.two_free(|process| process.duty.call());
    sweeper.join().unwrap();
}

fn each_holds(preemptions: Preemptions) {
    [started_and_ended, rested_and_woken, called]
        .into_iter()
        .for_each(|model| holds(preemptions, model));
}

#[test]
fn nothing_is_left_behind_and_nobody_sleeps_through_it() {
    each_holds(AtMost(2));
}

#[test]
#[ignore = "takes ten seconds or more"]
fn nothing_is_left_behind_though_threads_are_interrupted_more_often() {
    each_holds(AtMost(4));
}

#[test]
fn a_start_that_looks_too_soon_is_found() {
    finds("start_unfenced", "left behind", started_and_ended);
}

#[test]
fn an_end_that_looks_too_soon_is_found() {
    finds("end_unfenced", "left behind", started_and_ended);
}

#[test]
fn what_was_said_before_a_look_without_a_barrier_is_found() {
    finds("no_barrier", "left behind", started_and_ended);
}

#[test]
fn a_wake_that_looks_too_soon_is_found() {
    finds("wake_unfenced", "deadlock", rested_and_woken);
}

#[test]
fn a_rest_that_looks_too_soon_is_found() {
    finds("rest_unfenced", "deadlock", rested_and_woken);
}

#[test]
fn a_call_that_orders_nothing_is_found() {
    finds("call_relaxed", "deadlock", called);
}
