//! The C library's functions that the allocator calls, defined once more under their own names: the
//! linker gives the test program these. They count, fail as planned, or call the C library's.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::mem::{transmute, transmute_copy};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use super::{ARMED, Call, Fate, HOOKED, MAPPED, MARKS_REFUSED, REFUSED, TIME, fate};

const MADV_GUARD_INSTALL: c_int = 102;
const MADV_GUARD_REMOVE: c_int = 103;

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

/// Counts what no plan but the system refused to an armed thread.
fn refused_if(refused: bool) {
    if refused && ARMED.try_with(Cell::get).unwrap_or(false) {
        REFUSED.fetch_add(1, Relaxed);
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
    refused_if(found == libc::MAP_FAILED);
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
    refused_if(result != 0);
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
    refused_if(found == libc::MAP_FAILED);
    if found != libc::MAP_FAILED {
        mapped(to as isize - from as isize);
    }
    found
}

#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int {
    if matches!(advice, MADV_GUARD_INSTALL | MADV_GUARD_REMOVE) && MARKS_REFUSED.load(Relaxed) {
        // SAFETY: the calling thread's own word.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return -1;
    }
    if fate(Call::Advise) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Advise = unsafe extern "C" fn(*mut c_void, usize, c_int) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Advise>(&REAL, c"madvise")(start, bytes, advice) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mprotect(start: *mut c_void, bytes: usize, protection: c_int) -> c_int {
    if fate(Call::Protect) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Protect = unsafe extern "C" fn(*mut c_void, usize, c_int) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Protect>(&REAL, c"mprotect")(start, bytes, protection) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(room: *mut c_void, bytes: usize, flags: c_uint) -> isize {
    if fate(Call::Random) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Random = unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize;
    // SAFETY: as above.
    unsafe { real::<Random>(&REAL, c"getrandom")(room, bytes, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(
    signal: c_int,
    action: *const libc::sigaction,
    before: *mut libc::sigaction,
) -> c_int {
    if fate(Call::Listen) == Fate::Fails {
        return -1;
    }
    static REAL: Place = unknown();
    type Listen =
        unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
    // SAFETY: as above.
    unsafe { real::<Listen>(&REAL, c"sigaction")(signal, action, before) }
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
