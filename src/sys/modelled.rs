//! The system under the model checker: sleeping on a word, and the barrier that other threads do not
//! notice. Both are exact enough for a wake-up or a barrier that is missing to be found.

extern crate std;

use core::cell::Cell;
use core::ptr;
use std::collections::VecDeque;
use std::thread_local;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, Ordering::*, fence};
use crate::sync::planted::planted;

/// The kernel's queue of sleepers: which word each sleeps on, in the order in which they came.
struct Sleepers {
    queue: VecDeque<(usize, usize)>,
    tickets: usize,
}

loom::lazy_static! {
    static ref SLEEPERS: Mutex<Sleepers> =
        Mutex::new(Sleepers { queue: VecDeque::new(), tickets: 0 });
    static ref WOKEN: Condvar = Condvar::new();
    static ref OWNER: Owner = Owner::new();
}

/// Sleeps while `word` holds `value`: looks at it under the queue's lock, as the kernel does.
pub fn wait(word: &AtomicU32, value: u32) {
    away(|| {
        let mut sleepers = SLEEPERS.lock().unwrap();
        if word.load(Relaxed) != value {
            return;
        }
        sleepers.tickets += 1;
        let ticket = sleepers.tickets;
        sleepers.queue.push_back((ptr::from_ref(word).addr(), ticket));
        while sleepers.queue.iter().any(|&(_, waits)| waits == ticket) {
            sleepers = WOKEN.wait(sleepers).unwrap();
        }
    });
}

/// Wakes one sleeper on `word`, the one that came first.
pub fn wake_one(word: &AtomicU32) {
    let address = ptr::from_ref(word).addr();
    let mut sleepers = SLEEPERS.lock().unwrap();
    if let Some(first) = sleepers.queue.iter().position(|&(on, _)| on == address) {
        sleepers.queue.remove(first);
    }
    WOKEN.notify_all();
}

/// Sleeps until `word`, which holds 0, is changed and woken, however short the nap should be: who counts on its end is
/// found.
pub fn nap_us(word: &AtomicU32, _: u64) -> bool {
    wait(word, 0);
    false
}

/// How the barrier is modelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// Both sides pass a full fence, the owner where it has the compiler's fence: what the kernel's
    /// barrier and the compiler's fence mean to each other (P1202), said shortly.
    Fences,
    /// The owner passes no fence of its own. The claimer interrupts it, at any moment that the owner
    /// comes by, and waits until the owner has passed one there: what the kernel does.
    Interrupts,
}

thread_local! {
    static BARRIER: Cell<Barrier> = const { Cell::new(Barrier::Fences) };
}

/// Chooses how the barrier is modelled from now on. A model runs on one thread of the system's.
pub fn model_barrier(barrier: Barrier) {
    BARRIER.set(barrier);
}

/// The one thread that a barrier interrupts.
struct Owner {
    /// It runs: who does not has passed a barrier when it stopped, and passes one when it goes on.
    runs: AtomicBool,
    asked: AtomicUsize,
    passed: AtomicUsize,
}

loom::thread_local! {
    static IS_OWNER: Cell<bool> = Cell::new(false);
}

impl Owner {
    fn new() -> Owner {
        Owner {
            runs: AtomicBool::new(true),
            asked: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
        }
    }
}

/// Makes the owner's state, before the threads of a model begin.
pub fn prepare_barrier() {
    OWNER.runs.store(true, Relaxed);
    OWNER.asked.store(0, Relaxed);
    OWNER.passed.store(0, Relaxed);
}

/// Runs `work` as the thread that barriers interrupt.
pub fn as_owner<R>(work: impl FnOnce() -> R) -> R {
    IS_OWNER.with(|is_owner| is_owner.set(true));
    let result = work();
    IS_OWNER.with(|is_owner| is_owner.set(false));
    fence(SeqCst);
    OWNER.runs.store(false, Release);
    result
}

fn away<R>(work: impl FnOnce() -> R) -> R {
    let is_owner = IS_OWNER.with(Cell::get) && BARRIER.get() == Barrier::Interrupts;
    if !is_owner {
        return work();
    }
    fence(SeqCst);
    OWNER.runs.store(false, Release);
    let result = work();
    OWNER.runs.store(true, Relaxed);
    fence(SeqCst);
    result
}

/// A moment at which an interrupt may come.
pub fn interruptible() {
    if !IS_OWNER.with(Cell::get) || BARRIER.get() == Barrier::Fences {
        return;
    }
    let asked = OWNER.asked.load(Relaxed);
    if asked != OWNER.passed.load(Relaxed) {
        fence(SeqCst);
        OWNER.passed.store(asked, Release);
    }
}

/// The compiler's fence: nothing to the processor.
pub fn light_fence(_: Ordering) {
    match BARRIER.get() {
        Barrier::Fences if planted("no_light_fence") => {}
        Barrier::Fences => fence(SeqCst),
        Barrier::Interrupts => interruptible(),
    }
}

/// The kernel's barrier: the owner has passed a fence between its beginning and its end.
pub fn barrier() -> bool {
    if planted("no_barrier") {
        return true;
    }
    fence(SeqCst);
    if BARRIER.get() == Barrier::Interrupts {
        // Claimers are one at a time: nobody else asks.
        let asked = OWNER.asked.load(Relaxed) + 1;
        OWNER.asked.store(asked, Release);
        while OWNER.runs.load(Acquire) && OWNER.passed.load(Acquire) != asked {
            thread::yield_now();
        }
        fence(SeqCst);
    }
    true
}

/// A turn of spinning: others go on, and an interrupt may come.
pub fn spin_loop() {
    interruptible();
    thread::yield_now();
}
