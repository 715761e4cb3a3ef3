//! The lock: who holds it is alone, sees what the last holder did, and nobody sleeps for ever.

extern crate std;

use std::sync::Arc;
use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::thread;
use parking_lot::lock_api::RawMutex;

use super::Preemptions::{self, Any, AtMost};
use super::{finds, holds};
use crate::sync::lock::RawLock;

struct Guarded {
    lock: RawLock,
    sum: UnsafeCell<usize>,
}

// SAFETY: `sum` is used under the lock; loom checks that it is.
unsafe impl Sync for Guarded {}
// SAFETY: a number.
unsafe impl Send for Guarded {}

impl Guarded {
    fn add(&self) {
        self.lock.lock();
        // SAFETY: the lock is held; loom checks that nobody else is here.
        self.sum.with_mut(|sum| unsafe { *sum += 1 });
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
    }
}

fn adders(threads: usize, turns: usize) -> impl Fn() + Send + Sync + 'static {
    move || {
        let guarded = Arc::new(Guarded { lock: RawLock::INIT, sum: UnsafeCell::new(0) });
        guarded.add();
        let add = |guarded: Arc<Guarded>| move || (0..turns).for_each(|_| guarded.add());
        let others: Vec<_> =
            (1..threads).map(|_| thread::spawn(add(Arc::clone(&guarded)))).collect();
        add(Arc::clone(&guarded))();
        others.into_iter().for_each(|thread| thread.join().unwrap());
        guarded.add();
        guarded.sum.with(|sum| {
            // SAFETY: the other threads are gone.
            assert_eq!(unsafe { *sum }, threads * turns + 2);
        });
    }
}

fn adders_hold(preemptions: Preemptions, threads: usize, turns: usize) {
    holds(preemptions, adders(threads, turns));
}

#[test]
fn two_threads_take_the_lock_once_each() {
    adders_hold(Any, 2, 1);
}

#[test]
fn two_threads_take_the_lock_twice_each() {
    adders_hold(AtMost(3), 2, 2);
}

#[test]
fn three_threads_take_the_lock_once_each() {
    adders_hold(AtMost(2), 3, 1);
}

#[test]
fn a_lock_that_acquires_nothing_is_found() {
    finds("lock_relaxed", "ausality violation", adders(2, 1));
}

#[test]
fn an_unlock_that_releases_nothing_is_found() {
    finds("unlock_relaxed", "ausality violation", adders(2, 1));
}

#[test]
fn an_unlock_that_wakes_nobody_is_found() {
    finds("unlock_wakes_nobody", "deadlock", adders(2, 1));
}

#[test]
fn a_sleeper_that_does_not_say_so_is_found() {
    finds("lock_awaits_unsaid", "deadlock", adders(2, 1));
}
