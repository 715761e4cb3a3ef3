//! System calls that fail when a plan says so.
//!
//! The C library's functions that the allocator calls are defined here once more, under their own
//! names: the linker gives the test program these. They count, fail as planned, or call the C
//! library's. Only threads that are *armed* are concerned, and what a thread starts from inside an
//! armed one: the allocator's own.
#![allow(dead_code, reason = "not every test file plans everything")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem::{transmute, transmute_copy};
use std::ptr;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::Relaxed,
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
}

impl Call {
    pub const ALL: [Call; 16] = [
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
    ];

    /// An error that the system gives for it.
    fn error(self) -> c_int {
        match self {
            Call::Map | Call::Unmap | Call::Remap | Call::Arm | Call::Hook => libc::ENOMEM,
            Call::Advise | Call::Key | Call::Thread => libc::EAGAIN,
            Call::AdviseMany | Call::Barrier => libc::EPERM,
            Call::Wait | Call::Wake => libc::ENOSYS,
            Call::Open => libc::EMFILE,
            Call::Read | Call::Clock => libc::EIO,
            Call::Sleep => libc::EINTR,
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
/// Nanoseconds that an invented clock shows; negative: the system's is shown.
static TIME: AtomicI64 = AtomicI64::new(-1);

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

/// Where a function of the C library's is, once it is known.
type Place = AtomicPtr<c_void>;
const fn unknown() -> Place {
    AtomicPtr::new(ptr::null_mut())
}

/// The C library's own function of that name.
///
/// # Safety
///
/// It is one of type `F`.
unsafe fn real<F: Copy>(place: &Place, name: &CStr) -> F {
    let mut found = place.load(Relaxed);
    if found.is_null() {
        // SAFETY: a string with its 0.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        assert!(!found.is_null(), "the C library has {name:?}");
        place.store(found, Relaxed);
    }
    // SAFETY: the caller's contract; a function's address is as large as a pointer.
    unsafe { transmute_copy(&found) }
}

fn mapped(change: isize) {
    if ARMED.try_with(Cell::get).unwrap_or(false) {
        MAPPED.fetch_add(change, Relaxed);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    start: *mut c_void,
    bytes: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    if fate(Call::Map) == Fate::Fails {
        return libc::MAP_FAILED;
    }
    static REAL: Place = unknown();
    type Map = unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, i64) -> *mut c_void;
    // SAFETY: the caller's contract, here and below.
    let found =
        unsafe { real::<Map>(&REAL, c"mmap")(start, bytes, protection, flags, file, offset) };
    // What takes the place of something mapped is no more.
    if found != libc::MAP_FAILED && flags & libc::MAP_FIXED == 0 {
        mapped(bytes as isize);
    }
    found
}

#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(start: *mut c_void, bytes: usize) -> c_int {
    if fate(Call::Unmap) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Unmap = unsafe extern "C" fn(*mut c_void, usize) -> c_int;
    // SAFETY: as above.
    let result = unsafe { real::<Unmap>(&REAL, c"munmap")(start, bytes) };
    if result == 0 {
        mapped(-(bytes as isize));
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mremap(
    start: *mut c_void,
    from: usize,
    to: usize,
    flags: c_int,
    place: *mut c_void,
) -> *mut c_void {
    if fate(Call::Remap) == Fate::Fails {
        return libc::MAP_FAILED;
    }
    static REAL: Place = unknown();
    type Remap = unsafe extern "C" fn(*mut c_void, usize, usize, c_int, *mut c_void) -> *mut c_void;
    // SAFETY: as above; the last argument is read only if a flag says so.
    let found = unsafe { real::<Remap>(&REAL, c"mremap")(start, from, to, flags, place) };
    if found != libc::MAP_FAILED {
        mapped(to as isize - from as isize);
    }
    found
}

#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int {
    if fate(Call::Advise) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Advise = unsafe extern "C" fn(*mut c_void, usize, c_int) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Advise>(&REAL, c"madvise")(start, bytes, advice) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    mut c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    let call = match (number, b as c_int & !libc::FUTEX_PRIVATE_FLAG) {
        (libc::SYS_process_madvise, _) => Some(Call::AdviseMany),
        (libc::SYS_membarrier, _) => Some(Call::Barrier),
        (libc::SYS_futex, libc::FUTEX_WAIT) => Some(Call::Wait),
        (libc::SYS_futex, libc::FUTEX_WAKE) => Some(Call::Wake),
        _ => None,
    };
    match call.map_or(Fate::Works, fate) {
        Fate::Fails => return -1,
        // Half of the ranges.
        Fate::IsShort if call == Some(Call::AdviseMany) => c /= 2,
        _ => {}
    }
    static REAL: Place = unknown();
    type Syscall = unsafe extern "C" fn(c_long, usize, usize, usize, usize, usize, usize) -> c_long;
    // SAFETY: as above; the C library takes as many as the call has.
    unsafe { real::<Syscall>(&REAL, c"syscall")(number, a, b, c, d, e, f) }
}

type Body = extern "C" fn(*mut c_void) -> *mut c_void;

/// What an armed thread starts is armed too: there is one such body, and it takes nothing.
extern "C" fn start_armed(body: *mut c_void) -> *mut c_void {
    ARMED.set(true);
    // SAFETY: `pthread_create` below passed it.
    let body = unsafe { transmute::<*mut c_void, Body>(body) };
    body(ptr::null_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    body: Body,
    argument: *mut c_void,
) -> c_int {
    if fate(Call::Thread) == Fate::Fails {
        return Call::Thread.error();
    }
    let (body, argument) = match ARMED.try_with(Cell::get).unwrap_or(false) {
        true => (start_armed as Body, body as *mut c_void),
        false => (body, argument),
    };
    static REAL: Place = unknown();
    type Create = unsafe extern "C" fn(
        *mut libc::pthread_t,
        *const libc::pthread_attr_t,
        Body,
        *mut c_void,
    ) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Create>(&REAL, c"pthread_create")(thread, attributes, body, argument) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    if fate(Call::Open) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Open = unsafe extern "C" fn(*const c_char, c_int, libc::mode_t) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Open>(&REAL, c"open")(path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn read(file: c_int, room: *mut c_void, bytes: usize) -> isize {
    let bytes = match fate(Call::Read) {
        Fate::Fails => return -1,
        Fate::IsShort => bytes.min(1),
        Fate::Works => bytes,
    };
    static REAL: Place = unknown();
    type Read = unsafe extern "C" fn(c_int, *mut c_void, usize) -> isize;
    // SAFETY: as above.
    unsafe { real::<Read>(&REAL, c"read")(file, room, bytes) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    if fate(Call::Clock) == Fate::Fails {
        return -1;
    }
    if ARMED.try_with(Cell::get).unwrap_or(false) && TIME.load(Relaxed) >= 0 {
        let now = TIME.fetch_add(1000, Relaxed);
        // SAFETY: as above.
        unsafe {
            (*time).tv_sec = now / 1_000_000_000;
            (*time).tv_nsec = now % 1_000_000_000;
        }
        return 0;
    }
    static REAL: Place = unknown();
    type Clock = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Clock>(&REAL, c"clock_gettime")(clock, time) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const libc::timespec, rest: *mut libc::timespec) -> c_int {
    if fate(Call::Sleep) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Sleep = unsafe extern "C" fn(*const libc::timespec, *mut libc::timespec) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Sleep>(&REAL, c"nanosleep")(time, rest) }
}

type Destructor = Option<unsafe extern "C" fn(*mut c_void)>;

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(key: *mut libc::pthread_key_t, end: Destructor) -> c_int {
    if fate(Call::Key) == Fate::Fails {
        return Call::Key.error();
    }
    static REAL: Place = unknown();
    type Create = unsafe extern "C" fn(*mut libc::pthread_key_t, Destructor) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Create>(&REAL, c"pthread_key_create")(key, end) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setspecific(key: libc::pthread_key_t, value: *const c_void) -> c_int {
    if fate(Call::Arm) == Fate::Fails {
        return Call::Arm.error();
    }
    static REAL: Place = unknown();
    type Set = unsafe extern "C" fn(libc::pthread_key_t, *const c_void) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Set>(&REAL, c"pthread_setspecific")(key, value) }
}

type Hook = Option<unsafe extern "C" fn()>;

/// Where the hooks were asked for at all: without them no fork is tried.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// Whether the allocator is told of forks.
pub fn is_told_of_forks() -> bool {
    HOOKED.load(Relaxed)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_atfork(before: Hook, parent: Hook, child: Hook) -> c_int {
    if fate(Call::Hook) == Fate::Fails {
        return Call::Hook.error();
    }
    HOOKED.store(true, Relaxed);
    // The name above is not the shared library's: each object has its own, which calls this.
    static REAL: Place = unknown();
    type Register = unsafe extern "C" fn(Hook, Hook, Hook, *mut c_void) -> c_int;
    // SAFETY: as above; the program is no object that leaves.
    unsafe { real::<Register>(&REAL, c"__register_atfork")(before, parent, child, ptr::null_mut()) }
}
