//! The sweeper: a thread that sweeps while there is something to give back, and ends when there is
//! not, so that memory goes back though nobody calls the allocator.
//!
//! Slow paths that make memory free say so (`nudge`), outside every lock; the first to do so starts
//! the thread. Where there is no thread (turned off, or refused by the system), running threads
//! sweep on their slow paths.
//!
//! A process ends with its last thread, which must not be this one. So once no thread has a heap, all
//! goes back, and the sweeper ends.

use core::ffi::c_void;
use core::ptr;

use super::config;
use super::{large_return, ledger, limit, registry, surplus, sweep};
use crate::base::geometry::{DESERTED_LOOK_MS, SWEEPER_FROM_BYTES};
use crate::policy::pace;
use crate::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Acquire,
    Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};
use crate::sys;

const NONE: u8 = 0;
const RUNNING: u8 = 1;
/// The system refused a thread, or the program: running threads sweep.
const REFUSED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(NONE);
/// Something became free since the sweeper last looked.
static DIRTY: AtomicBool = AtomicBool::new(false);
/// When running threads sweep: the time of the next sweep.
static DUE_MS: AtomicU64 = AtomicU64::new(0);
/// When running threads sweep: one has begun, and steps are left.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);

/// Whether the thread, once started, stays, and is started by allocations only. So it is where the C
/// library frees by us: it may then hold a lock that the start of a thread takes.
const STAYS: bool = cfg!(feature = "malloc");
/// 1 while the thread that stays has nothing to do, and sleeps.
static RESTING: AtomicU32 = AtomicU32::new(0);
/// 1 if the thread is called, though it would sleep on.
static CALLED: AtomicU32 = AtomicU32::new(0);
/// Before this time no thread that stays is started: a forked child has time to become another program.
static NOT_BEFORE_MS: AtomicU64 = AtomicU64::new(0);

/// Sweeps in a row that must find nothing before the thread ends.
const QUIET_SWEEPS: usize = 2;

/// Has no thread started: running threads sweep instead.
pub fn turn_off() {
    STATE.store(REFUSED, Relaxed);
}

/// Says that memory became free. Called outside slow paths' sections and locks.
#[inline]
pub fn nudge() {
    if !config::retention().waits() {
        return;
    }
    if !DIRTY.load(Relaxed) {
        nudge_slow();
    }
    if STATE.load(Relaxed) == REFUSED {
        sweep_a_little();
    }
}

/// Says that something is to go at once. The thread comes if it sleeps between two sweeps; [`nudge`] starts one.
pub fn call() {
    // AcqRel pairs with the one in `sleep`: either that sees what is to go, or we see that it has looked, and wake it.
    if STATE.load(Relaxed) == RUNNING && CALLED.swap(1, AcqRel) == 0 {
        sys::wake_one(&CALLED);
    }
}

/// Whether there is a thread that will sweep, or will be when something is free.
pub fn comes() -> bool {
    config::retention().waits()
        && match STATE.load(Relaxed) {
            REFUSED => false,
            NONE => !STAYS,
            _ => true,
        }
}

#[cold]
fn nudge_slow() {
    // SeqCst pairs with the one at the thread's end: either it sees this, or we see it gone.
    DIRTY.store(true, SeqCst);
    if STAYS { wake() } else { start() }
}

fn wake() {
    // SeqCst pairs with the one in `rest`: either it sees what is dirty, or we see it rest.
    if RESTING.swap(0, SeqCst) != 0 {
        sys::wake_one(&RESTING);
    }
}

/// Says that no thread has a heap any more: where the thread rests, nothing else would have it end.
pub fn deserted() {
    if STAYS {
        // SeqCst pairs with the one in `rest`, as in `nudge_slow`.
        DIRTY.store(true, SeqCst);
        wake();
    }
}

/// Starts the thread that stays, if there is none and what is mapped is worth one. Called outside
/// slow paths' sections and locks, by allocations only.
#[inline]
pub fn start_if_due() {
    if STAYS
        && STATE.load(Relaxed) == NONE
        && sys::mapped_bytes().0 >= SWEEPER_FROM_BYTES
        && config::retention().waits()
        && sys::now_ms() >= NOT_BEFORE_MS.load(Relaxed)
    {
        start();
    }
}

#[cold]
fn start() {
    if STATE.compare_exchange(NONE, RUNNING, SeqCst, Relaxed).is_ok() && !sys::spawn(run) {
        // Refused for now, perhaps for good: running threads sweep.
        STATE.store(REFUSED, Release);
    }
}

/// One step of the sweep that goes on, or the beginning of one that is due: short enough for a
/// thread's slow path.
#[cold]
fn sweep_a_little() {
    if owes() {
        step_owed();
        return;
    }
    if UNDER_WAY.load(Relaxed) {
        if sweep::step_old().last {
            limit::look();
            UNDER_WAY.store(false, Relaxed);
        }
        return;
    }
    let (now, due) = (sys::now_ms(), DUE_MS.load(Relaxed));
    let next = now + pace::visit_every_ms(config::return_after_ms()) * patience_for_breath();
    if now >= due && DUE_MS.compare_exchange(due, next, AcqRel, Relaxed).is_ok() {
        DIRTY.store(false, Relaxed);
        sweep::begin();
        UNDER_WAY.store(true, Relaxed);
    }
}

extern "C" fn run(_: *mut c_void) -> *mut c_void {
    let (mut quiet, mut patience) = (0, 1);
    loop {
        let is_deserted = !sleep(patience);
        DIRTY.store(false, SeqCst);
        if is_deserted {
            sweep::sweep_all();
            if ends() {
                return ptr::null_mut();
            }
            continue;
        }
        let (purged, refaulted) = ledger::purged_and_refaulted();
        let swept = sweep::sweep_old();
        limit::tend();
        let (purged_now, refaulted_now) = ledger::purged_and_refaulted();
        patience = pace::patience(patience, purged_now - purged, refaulted_now - refaulted);
        quiet = if swept.young || swept.bytes > 0 || DIRTY.load(SeqCst) { 0 } else { quiet + 1 };
        if quiet < QUIET_SWEEPS {
            continue;
        }
        if STAYS {
            rest();
        } else if ends() {
            return ptr::null_mut();
        }
    }
}

/// Sleeps until the next visit; false, and sooner, if no thread has a heap.
fn sleep(patience: u64) -> bool {
    let (mut naps, mut was_deserted) = (0, false);
    // Looked at again after each part: a drop that comes meanwhile does not wait so long.
    while naps < patience.max(patience_for_breath()) {
        let mut left = pace::visit_every_ms(config::return_after_ms());
        while left > 0 {
            let is_deserted = registry::is_deserted();
            if is_deserted && was_deserted {
                return false;
            }
            was_deserted = is_deserted;
            // AcqRel pairs with the one in `call`.
            CALLED.swap(0, AcqRel);
            while owes() {
                step_owed();
            }
            let nap = left.min(DESERTED_LOOK_MS);
            // Who is called often sleeps on: what is young is not old yet.
            left -= if sys::nap_us(&CALLED, nap * 1000) { nap } else { 1 };
        }
        naps += 1;
    }
    true
}

/// Whether something is to go at once that took too long for who freed it.
fn owes() -> bool {
    large_return::owes() || surplus::owes()
}

fn step_owed() {
    match large_return::owes() {
        true => sweep::step_owed(),
        false => surplus::give_back_owed(),
    }
}

/// What a working set that breathes may want again waits longest.
fn patience_for_breath() -> u64 {
    if surplus::is_breath() { pace::PATIENCE_MAX } else { 1 }
}

/// Sleeps until memory becomes free.
fn rest() {
    while !DIRTY.load(SeqCst) {
        RESTING.store(1, SeqCst);
        // SeqCst pairs with the one in `nudge_slow`.
        if !DIRTY.load(SeqCst) {
            sys::wait(&RESTING, 1);
        }
    }
    RESTING.store(0, Relaxed);
}

/// Whether the thread may end: nobody has said anything in the meantime.
fn ends() -> bool {
    STATE.store(NONE, SeqCst);
    // SeqCst pairs with the one in `nudge_slow`.
    !DIRTY.load(SeqCst) || STATE.compare_exchange(NONE, RUNNING, SeqCst, Relaxed).is_err()
}

/// In a forked child: the thread is not there.
pub fn forget() {
    if STATE.load(Acquire) == RUNNING {
        STATE.store(NONE, Relaxed);
    }
    DIRTY.store(false, Relaxed);
    RESTING.store(0, Relaxed);
    CALLED.store(0, Relaxed);
    if STAYS {
        NOT_BEFORE_MS.store(sys::now_ms() + config::return_after_ms(), Relaxed);
    }
}
