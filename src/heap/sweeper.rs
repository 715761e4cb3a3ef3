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
use super::duty::Duty;
use super::{large_return, ledger, limit, registry, surplus, sweep};
use crate::base::geometry::{DESERTED_LOOK_MS, SWEEPER_FROM_BYTES};
use crate::policy::pace;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Relaxed};
use crate::sys;

static DUTY: Duty = Duty::new();
/// When running threads sweep: the time of the next sweep.
static DUE_MS: AtomicU64 = AtomicU64::new(0);
/// When running threads sweep: one has begun, and steps are left.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);

/// Whether the thread, once started, stays, and is started by allocations only. So it is where the C
/// library frees by us: it may then hold a lock that the start of a thread takes.
const STAYS: bool = cfg!(feature = "malloc");
/// Before this time no thread that stays is started: a forked child has time to become another program.
static NOT_BEFORE_MS: AtomicU64 = AtomicU64::new(0);

/// Sweeps in a row that must find nothing before the thread ends.
const QUIET_SWEEPS: usize = 2;

/// Has no thread started: running threads sweep instead.
pub fn turn_off() {
    DUTY.refuse();
}

/// Says that memory became free. Called outside slow paths' sections and locks.
#[inline]
pub fn nudge() {
    if !config::retention().waits() {
        return;
    }
    if DUTY.soil() {
        nudge_slow();
    }
    if DUTY.is_refused() {
        sweep_a_little();
    }
}

/// Says that something is to go at once. The thread comes if it sleeps between two sweeps; [`nudge`] starts one.
pub fn call() {
    DUTY.call();
}

/// Whether there is a thread that will sweep, or will be when something is free.
pub fn comes() -> bool {
    config::retention().waits() && !DUTY.is_refused() && (!STAYS || !DUTY.has_no_thread())
}

#[cold]
fn nudge_slow() {
    if STAYS { DUTY.wake() } else { start() }
}

/// Says that no thread has a heap any more: where the thread rests, nothing else would have it end.
pub fn deserted() {
    if STAYS {
        DUTY.soil_anew();
        DUTY.wake();
    }
}

/// Starts the thread that stays, if there is none and what is mapped is worth one. Called outside
/// slow paths' sections and locks, by allocations only.
#[inline]
pub fn start_if_due() {
    if STAYS
        && DUTY.has_no_thread()
        && sys::mapped_bytes().0 >= SWEEPER_FROM_BYTES
        && config::retention().waits()
        && sys::now_ms() >= NOT_BEFORE_MS.load(Relaxed)
    {
        start();
    }
}

#[cold]
fn start() {
    DUTY.start(|| sys::spawn(run));
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
        sweep::begin();
        UNDER_WAY.store(true, Relaxed);
    }
}

extern "C" fn run(_: *mut c_void) -> *mut c_void {
    let (mut quiet, mut patience) = (0, 1);
    loop {
        let is_deserted = !sleep(patience);
        DUTY.take_in();
        if is_deserted {
            sweep::sweep_all();
            if DUTY.ends() {
                return ptr::null_mut();
            }
            continue;
        }
        let (purged, refaulted) = ledger::purged_and_refaulted();
        let swept = sweep::sweep_old();
        limit::tend();
        let (purged_now, refaulted_now) = ledger::purged_and_refaulted();
        patience = pace::patience(patience, purged_now - purged, refaulted_now - refaulted);
        quiet = if swept.young || swept.bytes > 0 || DUTY.is_dirty() { 0 } else { quiet + 1 };
        if quiet < QUIET_SWEEPS {
            continue;
        }
        if STAYS {
            DUTY.rest();
        } else if DUTY.ends() {
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
            DUTY.answer();
            while owes() {
                step_owed();
            }
            let nap = left.min(DESERTED_LOOK_MS);
            // Who is called often sleeps on: what is young is not old yet.
            left -= if DUTY.nap_us(nap * 1000) { nap } else { 1 };
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

/// In a forked child: the thread is not there.
pub fn forget() {
    DUTY.forget();
    if STAYS {
        NOT_BEFORE_MS.store(sys::now_ms() + config::return_after_ms(), Relaxed);
    }
}
