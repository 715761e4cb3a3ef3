//! The sweeper's duty: whether there is a thread for it, whether something is to be done, whether the thread rests, and
//! whether it is called. So nothing that was said is left behind by a thread that ends, and none sleeps through it.
//!
//! Every pair of looks that could miss each other has a full fence on both sides. Who says something that is said
//! already only looks: the thread that takes the word in passes a barrier for both. So every other access is `Relaxed`,
//! but a call's. What two sides write is exchanged, as then the model checker knows whose comes first.

#![forbid(unsafe_code)]

use crate::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, Ordering, Ordering::AcqRel, Ordering::Relaxed,
    Ordering::SeqCst, compiler_fence, fence,
};
use crate::sync::planted::planted;
use crate::sys;

const NONE: u8 = 0;
const RUNNING: u8 = 1;
/// The system refused a thread, or the program: running threads sweep.
const REFUSED: u8 = 2;

/// See the module.
pub struct Duty {
    thread: AtomicU8,
    /// Something became free since the sweeper last looked.
    dirty: AtomicBool,
    /// 1 while the thread has nothing to do, and sleeps.
    resting: AtomicU32,
    /// 1 if the thread is called, though it would sleep on.
    called: AtomicU32,
}

impl Duty {
    pub const fn new() -> Self {
        Self {
            thread: AtomicU8::new(NONE),
            dirty: AtomicBool::new(false),
            resting: AtomicU32::new(0),
            called: AtomicU32::new(0),
        }
    }

    /// Has no thread started from now on.
    pub fn refuse(&self) {
        self.thread.store(REFUSED, Relaxed);
    }

    pub fn is_refused(&self) -> bool {
        self.thread.load(Relaxed) == REFUSED
    }

    pub fn has_no_thread(&self) -> bool {
        self.thread.load(Relaxed) == NONE
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Relaxed)
    }

    /// Says that something became free. True if nobody had said so since the thread last looked: then it must be
    /// [started](Duty::start) or [woken](Duty::wake).
    #[inline]
    pub fn soil(&self) -> bool {
        // What became free is written before this looks: pairs with the barrier in `take_in`.
        compiler_fence(SeqCst);
        let is_first = !self.is_dirty();
        if is_first {
            self.soil_anew();
        }
        is_first
    }

    /// [`Duty::soil`] without a look at what was said.
    #[cold]
    pub fn soil_anew(&self) {
        self.dirty.swap(true, Relaxed);
    }

    /// Forgets that something became free: what did before that, the caller sees.
    pub fn take_in(&self) {
        self.dirty.swap(false, Relaxed);
        // Pairs with the light fence in `soil`. Where there is no such barrier, what is missed is seen by the next of
        // the looks after which the thread ends.
        sys::barrier();
    }

    /// Starts the thread by `spawn`, if there is none. If that is refused, it is for good: running threads sweep.
    pub fn start(&self, spawn: impl FnOnce() -> bool) {
        // Pairs with the one in `ends`: either that sees what is dirty, or we see it gone.
        if !planted("start_unfenced") {
            fence(SeqCst);
        }
        let starts = self.thread.compare_exchange(NONE, RUNNING, Relaxed, Relaxed).is_ok();
        if starts && !spawn() {
            self.refuse();
        }
    }

    /// Whether the thread, which calls this, may end: nobody has said anything in the meantime, or another has begun.
    pub fn ends(&self) -> bool {
        if self.thread.compare_exchange(RUNNING, NONE, Relaxed, Relaxed).is_err() {
            return true;
        }
        // Pairs with the one in `start`.
        if !planted("end_unfenced") {
            fence(SeqCst);
        }
        !self.is_dirty() || self.thread.compare_exchange(NONE, RUNNING, Relaxed, Relaxed).is_err()
    }

    /// Wakes the thread if it rests.
    pub fn wake(&self) {
        // Pairs with the one in `rest`: either that sees what is dirty, or we see it rest.
        if !planted("wake_unfenced") {
            fence(SeqCst);
        }
        if self.resting.swap(0, Relaxed) != 0 {
            sys::wake_one(&self.resting);
        }
    }

    /// Sleeps until something becomes free. For the thread.
    pub fn rest(&self) {
        while !self.is_dirty() {
            self.resting.swap(1, Relaxed);
            // Pairs with the one in `wake`.
            if !planted("rest_unfenced") {
                fence(SeqCst);
            }
            if !self.is_dirty() {
                sys::wait(&self.resting, 1);
            }
        }
    }

    /// Says that something is to go at once. The thread comes, if it naps.
    pub fn call(&self) {
        // AcqRel pairs with the one in `answer`: either that sees what is to go, or we see that it has looked, and wake it.
        if self.thread.load(Relaxed) == RUNNING && self.called.swap(1, calls()) == 0 {
            sys::wake_one(&self.called);
        }
    }

    /// Takes in that it was called: the thread sees what is to go. To be done before each nap.
    pub fn answer(&self) {
        // AcqRel pairs with the one in `call`.
        self.called.swap(0, calls());
    }

    /// Sleeps for `us` microseconds, or until it is called: then false. For the thread.
    pub fn nap_us(&self, us: u64) -> bool {
        sys::nap_us(&self.called, us)
    }

    /// In a forked child: the thread is not there.
    pub fn forget(&self) {
        if self.thread.load(Relaxed) == RUNNING {
            self.thread.store(NONE, Relaxed);
        }
        self.dirty.store(false, Relaxed);
        self.resting.store(0, Relaxed);
        self.called.store(0, Relaxed);
    }
}

fn calls() -> Ordering {
    if planted("call_relaxed") { Relaxed } else { AcqRel }
}
