//! The soft limit at work: looking at what is resident, climbing the ladder near the limit, purging
//! before growing above it.
//!
//! Slow paths say how much they are about to hand out (`hand_out`), outside every lock and before they are on their heap;
//! once enough has gathered, they look, and so a look may sweep. What is handed out counts, rather than what grows: while
//! blocks of memory that was there already are made, a list of them may fill that was mapped long before. One thread looks
//! and purges at a time; others that must grow meanwhile wait for it. Nothing here fails: what cannot be read is no limit,
//! what cannot be given back stays, and the program gets what it needs.

use super::trim::{Round, Stepped};
use super::{config, large, ledger};
use crate::base::geometry::{
    ARENA_SIZE, CLAIM_STEP_PAGES, LIMIT_LOOK_MAX, LIMIT_READ_EVERY_MS, SLOT_SIZE, STEP_PAGES,
    STEP_REST_US,
};
use crate::mem::arena_set::ARENAS;
use crate::policy::limit::{SoftLimit, Wish};
use crate::policy::pressure::{self, Left};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use crate::sync::lock::{Mutex, RawLock};
use crate::sys;
use crate::sys::cgroup::Level;

/// No limit has this word.
const UNSET: u64 = u64::MAX;
static CHOSEN: AtomicU64 = AtomicU64::new(UNSET);

/// Bytes handed out since the last look; of them, bytes that were not resident.
static PASSED: AtomicUsize = AtomicUsize::new(0);
static GROWN: AtomicUsize = AtomicUsize::new(0);
/// Bytes to hand out before the next look; 0 if no limit is asked for.
static LOOK_AFTER: AtomicUsize = AtomicUsize::new(0);

/// The limit in force and what was resident at the last look, bytes.
static LIMIT: AtomicUsize = AtomicUsize::new(0);
static RESIDENT: AtomicUsize = AtomicUsize::new(0);
static CLIMBS: AtomicU64 = AtomicU64::new(0);
static PURGES: AtomicU64 = AtomicU64::new(0);

/// What the looks know of each other. Rank 0, before the sweeps' lock: taken with no other lock held
/// and outside slow paths, but for the first setting.
static WATCH: Mutex<Watch> =
    Mutex::from_raw(<RawLock as parking_lot::lock_api::RawMutex>::INIT, Watch::new());

struct Watch {
    /// In bytes; 0 if there is none.
    limit: usize,
    /// The cgroup, if the limit is a share of what it may use.
    level: Option<Level>,
    /// When to read that again.
    read_next_ms: u64,
    left: Left,
    /// What is given back for the limit's sake.
    round: Round,
}

/// What [`told`] tells.
pub struct Told {
    /// The limit in force, bytes; 0 if there is none.
    pub limit: usize,
    /// What counts against it.
    pub resident: usize,
    /// How often steps were taken up the ladder.
    pub climbs: u64,
    /// How often memory was given back before growing.
    pub purges: u64,
}

/// The limit asked for; `None` before anyone chose.
pub fn chosen() -> Option<SoftLimit> {
    match CHOSEN.load(Relaxed) {
        UNSET => None,
        word => Some(SoftLimit::from_word(word)),
    }
}

/// Puts a limit in force, from the next growth on.
pub fn set(limit: SoftLimit) {
    let mut watch = WATCH.lock();
    CHOSEN.store(limit.to_word(), Relaxed);
    *watch = Watch::new();
    LIMIT.store(0, Relaxed);
    config::set_steps(0);
    // The next growth looks.
    LOOK_AFTER.store(usize::from(limit != SoftLimit::NONE), Relaxed);
}

/// `bytes` more became resident, or may have.
#[inline]
pub fn grew(bytes: usize) {
    if LOOK_AFTER.load(Relaxed) != 0 && bytes > 0 {
        GROWN.fetch_add(bytes, Relaxed);
    }
}

/// Up to `bytes` are about to be handed out, of which `fresh` become resident at once: looks if enough has
/// gathered, and gives back what can be if that is above the limit. With no lock held and outside slow paths.
#[inline]
pub fn hand_out(bytes: usize, fresh: usize) {
    if passes(bytes) {
        make_room(bytes, fresh);
    }
}

/// Counts bytes that are about to be handed out. Whether it is time to look.
#[inline]
fn passes(bytes: usize) -> bool {
    let look_after = LOOK_AFTER.load(Relaxed);
    look_after != 0 && PASSED.fetch_add(bytes, Relaxed).saturating_add(bytes) >= look_after
}

/// Gives back some of what can be if `fresh` bytes more would be above the limit, unless that is known to be in
/// vain: one step. Who waited for another's has had that, unless there is to be one again. With no lock held and
/// outside slow paths.
#[cold]
#[inline(never)]
fn make_room(bytes: usize, fresh: usize) {
    let work = STEP_PAGES + fresh / sys::page_size();
    if let Some(mut watch) = WATCH.try_lock() {
        watch.make_room(fresh, work);
        return;
    }
    let mut watch = WATCH.lock();
    if passes(bytes) {
        watch.make_room(fresh, work);
    }
}

/// Gives back until nothing is above the limit, or nothing can be given back. With no lock held and outside slow
/// paths.
pub fn make_all_room() {
    while WATCH.lock().make_room(0, STEP_PAGES) {}
}

/// For the sweeper, with no lock held: as [`make_all_room`], if a limit is asked for and no other thread looks. What
/// the program or others did without the allocator is seen, and steps are taken back while nothing is handed out.
pub fn tend() {
    while LOOK_AFTER.load(Relaxed) != 0
        && let Some(mut watch) = WATCH.try_lock()
        && watch.make_room(0, CLAIM_STEP_PAGES)
    {
        drop(watch);
        // As in `sweep_old`: an owner that waits for its heap comes first.
        sys::sleep_us(STEP_REST_US);
    }
}

/// Looks, if a limit is asked for and no other thread looks: steps are taken back while nothing
/// grows. With no lock held.
pub fn look() {
    if LOOK_AFTER.load(Relaxed) != 0
        && let Some(mut watch) = WATCH.try_lock()
    {
        watch.look(0);
    }
}

/// The limit and what came of it: as of now, or as of the last look if another thread looks.
pub fn told() -> Told {
    look();
    let limit = LIMIT.load(Relaxed);
    Told {
        limit,
        resident: if limit > 0 { RESIDENT.load(Relaxed) } else { resident_bytes() },
        climbs: CLIMBS.load(Relaxed),
        purges: PURGES.load(Relaxed),
    }
}

impl Watch {
    const fn new() -> Watch {
        Watch { limit: 0, level: None, read_next_ms: 0, left: Left::nothing(), round: Round::new() }
    }

    /// Reads what is resident and takes the steps that it asks for, as if `wanted` bytes more were
    /// resident. `None` if there is no limit.
    fn look(&mut self, wanted: usize) -> Option<usize> {
        self.left.grew(GROWN.swap(0, Relaxed));
        PASSED.store(wanted, Relaxed);
        self.read_limit();
        LIMIT.store(self.limit, Relaxed);
        if self.limit == 0 {
            // A cgroup may come to have a limit.
            let is_cgroup = matches!(asked(), Wish::Cgroup(_));
            LOOK_AFTER.store(if is_cgroup { LIMIT_LOOK_MAX } else { 0 }, Relaxed);
            config::set_steps(0);
            return None;
        }
        let resident = self.resident();
        let (rung, before) = (config::chosen_retention().unwrap_or_default(), config::steps());
        let steps = pressure::steps(rung, before, self.limit, resident.saturating_add(wanted));
        CLIMBS.fetch_add(u64::from(steps > before), Relaxed);
        config::set_steps(steps);
        RESIDENT.store(resident, Relaxed);
        LOOK_AFTER.store(pressure::look_after(self.limit, resident), Relaxed);
        Some(resident)
    }

    /// A step of giving back, of about `work` OS pages, if that is called for. Whether more steps are to follow.
    fn make_room(&mut self, bytes: usize, work: usize) -> bool {
        let Some(resident) = self.look(bytes) else { return false };
        let limit = self.limit;
        if !pressure::is_short(limit, resident, bytes)
            || !self.left.is_worth_a_try(limit, loose_bytes())
        {
            self.round = Round::new();
            return false;
        }
        PURGES.fetch_add(1, Relaxed);
        let (given, stepped) = self.round.step(pressure::enough(limit, resident, bytes), work);
        let resident = self.look(0).unwrap_or(0);
        if stepped == Stepped::Over {
            self.left.tried(limit, self.round.given, loose_bytes());
            self.round = Round::new();
        } else {
            LOOK_AFTER.fetch_min(pressure::step_after(limit, resident, given), Relaxed);
        }
        stepped == Stepped::More
    }

    /// What counts against the limit now, bytes.
    fn resident(&self) -> usize {
        self.level.as_ref().and_then(Level::used).unwrap_or_else(resident_bytes)
    }

    fn read_limit(&mut self) {
        let share = match asked() {
            Wish::None => return self.limit = 0,
            Wish::Bytes(bytes) => return self.limit = bytes,
            Wish::Cgroup(share) => share,
        };
        let now = sys::now_ms();
        if now >= self.read_next_ms {
            self.read_next_ms = now + LIMIT_READ_EVERY_MS;
            self.level = Level::tightest();
            // A cgroup that may use nothing is no cgroup without a limit.
            let part = |level: Level| (level.limit / 1000 * share).max(1);
            self.limit = self.level.map_or(0, part);
        }
    }
}

fn asked() -> Wish {
    chosen().unwrap_or(SoftLimit::NONE).wish()
}

/// Bytes of the process in RAM; where the system does not tell, what the allocator may have there.
fn resident_bytes() -> usize {
    sys::resident_bytes().unwrap_or_else(held_bytes)
}

/// Bytes of the allocator's that may be in RAM: all but slots that are purged or were never used.
fn held_bytes() -> usize {
    let mut bytes = 0;
    ARENAS.lock().for_each(|arena| {
        let absent = arena.free_slots() - arena.free_touched_slots();
        bytes += ARENA_SIZE - absent * SLOT_SIZE;
    });
    let large = large::totals();
    bytes + large.live_mapped + large.kept - large.kept_purged
}

/// Bytes that the allocator may have in RAM without need. A large block counts as needed from end to
/// end, and as held likewise, though the program may not have touched it.
fn loose_bytes() -> usize {
    held_bytes().saturating_sub(ledger::LIVE_BYTES.now())
}

/// As long as this lives, nobody gives back for the sake of a limit.
pub fn pause() -> impl Drop {
    WATCH.lock()
}

/// Has nobody look, for a fork.
pub fn lock_for_fork() {
    core::mem::forget(WATCH.lock());
}

/// Undoes [`lock_for_fork`].
///
/// # Safety
///
/// The calling thread locked it, or is its copy in a child.
pub unsafe fn unlock_after_fork() {
    // SAFETY: the caller's contract.
    unsafe { WATCH.force_unlock() };
}
