//! System calls that fail when a plan says so.
//!
//! Here is the plan; the calls that look at it are in `calls.rs`. Only threads that are *armed* are
//! concerned, and what a thread starts from inside an armed one: the allocator's own.
#![allow(dead_code, reason = "not every test file plans everything")]

#[path = "calls.rs"]
mod calls;

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};

/// What can fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Map,
    Unmap,
    Remap,
    Advise,
    /// Many ranges at once.
    AdviseMany,
    /// Asking for barriers, and each of them.
    Barrier,
    /// Sleeping on a word.
    Wait,
    /// Waking who sleeps there.
    Wake,
    /// The sweeper's start.
    Thread,
    Open,
    Read,
    Clock,
    Sleep,
    /// Making the key for threads' ends.
    Key,
    /// Arming a thread with it.
    Arm,
    /// The hooks around a fork.
    Hook,
    /// A guard that is a mapping of its own.
    Protect,
    /// The kernel's randomness.
    Random,
    /// Hearing of what the system stops.
    Listen,
}

impl Call {
    pub const ALL: [Call; 19] = [
        Call::Map,
        Call::Unmap,
        Call::Remap,
        Call::Advise,
        Call::AdviseMany,
        Call::Barrier,
        Call::Wait,
        Call::Wake,
        Call::Thread,
        Call::Open,
        Call::Read,
        Call::Clock,
        Call::Sleep,
        Call::Key,
        Call::Arm,
        Call::Hook,
        Call::Protect,
        Call::Random,
        Call::Listen,
    ];

    /// An error that the system gives for it.
    fn error(self) -> c_int {
        match self {
            Call::Map | Call::Unmap | Call::Remap | Call::Arm | Call::Hook | Call::Protect => {
                libc::ENOMEM
            }
            Call::Advise | Call::Key | Call::Thread | Call::Random => libc::EAGAIN,
            Call::AdviseMany | Call::Barrier => libc::EPERM,
            Call::Wait | Call::Wake => libc::ENOSYS,
            Call::Open => libc::EMFILE,
            Call::Read | Call::Clock => libc::EIO,
            Call::Sleep => libc::EINTR,
            Call::Listen => libc::EINVAL,
        }
    }
}

/// Which calls fail.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Plan {
    /// None.
    None,
    /// One, by its number among those of its kind.
    Once(Call, usize),
    /// That one and all that follow.
    From(Call, usize),
    /// That one does less than it was asked for, if it can.
    Short(Call, usize),
    /// Sleeping and waking, always.
    NoFutex,
    /// One in so many of every kind but sleeping and waking, by a seed.
    Random { seed: u64, one_in: u64 },
}

#[derive(PartialEq)]
enum Fate {
    Works,
    Fails,
    IsShort,
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

const NONE: u32 = 0;
const ONCE: u32 = 1;
const FROM: u32 = 2;
const SHORT: u32 = 3;
const NO_FUTEX: u32 = 4;
const RANDOM: u32 = 5;

static MODE: AtomicU32 = AtomicU32::new(NONE);
static CALL: AtomicUsize = AtomicUsize::new(0);
static INDEX: AtomicUsize = AtomicUsize::new(0);
static ONE_IN: AtomicU64 = AtomicU64::new(0);
static STATE: AtomicU64 = AtomicU64::new(0);
static COUNTS: [AtomicUsize; Call::ALL.len()] = [const { AtomicUsize::new(0) }; Call::ALL.len()];
static FAILED: AtomicUsize = AtomicUsize::new(0);
/// Bytes that armed threads have mapped and not unmapped.
static MAPPED: AtomicIsize = AtomicIsize::new(0);
/// Mappings, and their ends, that the system itself refused to armed threads.
static REFUSED: AtomicUsize = AtomicUsize::new(0);
/// Nanoseconds that an invented clock shows; negative: the system's is shown.
static TIME: AtomicI64 = AtomicI64::new(-1);

/// The kernel knows no guards in the page table, as before Linux 6.13.
static MARKS_REFUSED: AtomicBool = AtomicBool::new(false);

/// From now on guards are mappings.
pub fn refuse_marks() {
    MARKS_REFUSED.store(true, Relaxed);
}

/// Puts a plan in force and counts anew.
pub fn plan(plan: Plan) {
    let (mode, call, index) = match plan {
        Plan::None => (NONE, Call::Map, 0),
        Plan::Once(call, index) => (ONCE, call, index),
        Plan::From(call, index) => (FROM, call, index),
        Plan::Short(call, index) => (SHORT, call, index),
        Plan::NoFutex => (NO_FUTEX, Call::Wait, 0),
        Plan::Random { seed, one_in } => {
            STATE.store(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, Relaxed);
            ONE_IN.store(one_in, Relaxed);
            (RANDOM, Call::Map, 0)
        }
    };
    COUNTS.iter().for_each(|count| count.store(0, Relaxed));
    FAILED.store(0, Relaxed);
    CALL.store(call as usize, Relaxed);
    INDEX.store(index, Relaxed);
    MODE.store(mode, Relaxed);
}

/// Calls of each kind since a plan was put in force.
pub fn counts() -> [usize; Call::ALL.len()] {
    std::array::from_fn(|kind| COUNTS[kind].load(Relaxed))
}

/// Calls that failed, or did less, since a plan was put in force.
pub fn failed() -> usize {
    FAILED.load(Relaxed)
}

/// Calls about mappings that the system itself refused to armed threads.
pub fn refused() -> usize {
    REFUSED.load(Relaxed)
}

/// Bytes that armed threads have mapped and not unmapped.
pub fn mapped_bytes() -> usize {
    MAPPED.load(Relaxed).try_into().expect("no more is unmapped than was mapped")
}

/// Does `work` with the calling thread armed, or not.
pub fn armed<R>(armed: bool, work: impl FnOnce() -> R) -> R {
    let before = ARMED.replace(armed);
    let result = work();
    ARMED.set(before);
    result
}

/// Arms the calling thread up to its very end.
pub fn stay_armed() {
    ARMED.set(true);
}

/// Shows armed threads a clock that stands but for [`pass_ms`] and a microsecond at each look.
pub fn invent_time() {
    TIME.store(1_000_000_000, Relaxed);
}

/// Has time pass, by an invented clock or by sleeping.
pub fn pass_ms(ms: u64) {
    if TIME.load(Relaxed) >= 0 {
        TIME.fetch_add(ms as i64 * 1_000_000, Relaxed);
    } else {
        armed(false, || std::thread::sleep(std::time::Duration::from_millis(ms)));
    }
}

fn fate(call: Call) -> Fate {
    if !ARMED.try_with(Cell::get).unwrap_or(false) {
        return Fate::Works;
    }
    let number = COUNTS[call as usize].fetch_add(1, Relaxed);
    let (is_it, index) = (CALL.load(Relaxed) == call as usize, INDEX.load(Relaxed));
    let sleeps = matches!(call, Call::Wait | Call::Wake);
    let fate = match MODE.load(Relaxed) {
        ONCE if is_it && number == index => Fate::Fails,
        FROM if is_it && number >= index => Fate::Fails,
        SHORT if is_it && number == index => Fate::IsShort,
        NO_FUTEX if sleeps => Fate::Fails,
        RANDOM if !sleeps && random().is_multiple_of(ONE_IN.load(Relaxed)) => Fate::Fails,
        _ => return Fate::Works,
    };
    FAILED.fetch_add(1, Relaxed);
    if fate == Fate::Fails {
        // SAFETY: the calling thread's own word.
        unsafe { *libc::__errno_location() = call.error() };
    }
    fate
}

fn random() -> u64 {
    let next = |mut state: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^ state << 17
    };
    // Two threads may draw the same: it is a test's plan, no lottery.
    let state = next(STATE.load(Relaxed));
    STATE.store(state, Relaxed);
    state >> 20
}

/// Where the hooks were asked for at all: without them no fork is tried.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// Whether the allocator is told of forks.
pub fn is_told_of_forks() -> bool {
    HOOKED.load(Relaxed)
}
