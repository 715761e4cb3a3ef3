//! A thread of the allocator's own, the clock, and the barrier that other threads do not notice.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

use crate::base::geometry::SWEEPER_STACK;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Nanoseconds since some moment.
pub fn now_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

#[cfg(target_os = "linux")]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(target_os = "linux"))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Milliseconds since some moment, late by some; cheaper than [`now_ns`].
pub fn now_ms() -> u64 {
    clock(COARSE) / 1_000_000
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    let _errno = super::keep_errno();
    // SAFETY: valid for a write; all zero is a valid value if the call fails.
    let time = unsafe {
        libc::clock_gettime(id, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Starts a detached thread with a small stack and every signal blocked. False if the system
/// refuses.
pub fn spawn(body: extern "C" fn(*mut c_void) -> *mut c_void) -> bool {
    let _errno = super::keep_errno();
    // SAFETY: attributes and signal sets are initialised by the calls that are made for it before
    // they are used; the thread takes nothing.
    unsafe {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        if libc::pthread_attr_init(attributes.as_mut_ptr()) != 0 {
            return false;
        }
        let _ = libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), SWEEPER_STACK);
        let _ = libc::pthread_attr_setdetachstate(
            attributes.as_mut_ptr(),
            libc::PTHREAD_CREATE_DETACHED,
        );
        let (mut all, mut before) =
            (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        let refused =
            libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), body, ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        refused == 0
    }
}

/// What the C library says of other threads: glibc, since 2.32.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod threads {
    use core::ffi::c_char;
    use core::ptr;

    use crate::sync::atomic::{AtomicPtr, Ordering::Relaxed};

    /// Not 0 if the process has one thread; null if the C library does not say.
    static ONE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

    pub fn ask() {
        // SAFETY: a name with an end.
        let one = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
        ONE.store(one.cast(), Relaxed);
    }

    pub fn has_one() -> bool {
        let one = ONE.load(Relaxed);
        // SAFETY: a variable of the C library, which stays loaded. If it is not 0, only this thread could change it.
        !one.is_null() && unsafe { one.read_volatile() } != 0
    }
}

/// Finds out whether [`is_only_thread`] can be told. Outside every lock: the C library may allocate for the answer.
pub fn ask_for_threads() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    threads::ask();
}

/// Whether the process has certainly no other thread than the calling one.
pub fn is_only_thread() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    let is_only = threads::has_one();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let is_only = false;
    is_only
}

/// So many microseconds.
pub fn duration(us: u64) -> libc::timespec {
    let nanoseconds = (us % 1_000_000 * 1000) as libc::c_long;
    libc::timespec { tv_sec: (us / 1_000_000) as _, tv_nsec: nanoseconds }
}

/// Sleeps for `us` microseconds.
pub fn sleep_us(us: u64) {
    let time = duration(us);
    // SAFETY: a valid time; what is left of it is not asked for.
    let _ = unsafe { libc::nanosleep(&time, ptr::null_mut()) };
}

static BARRIER: AtomicBool = AtomicBool::new(false);

/// Asks the kernel for [`barrier`]. Once, as early as possible: with one thread it costs nothing.
#[cfg(target_os = "linux")]
pub fn prepare_barrier() {
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: no memory is passed.
    let refused = unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) };
    BARRIER.store(refused == 0, Relaxed);
}

/// Makes every running thread of the process pass a full memory barrier: what each stored before is
/// visible afterwards, and what each loads afterwards was visible before. False if the system has no
/// such thing.
#[cfg(target_os = "linux")]
pub fn barrier() -> bool {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    let _errno = super::keep_errno();
    // SAFETY: no memory is passed.
    BARRIER.load(Relaxed)
        && unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) } == 0
}

/// There is none here.
#[cfg(not(target_os = "linux"))]
pub fn prepare_barrier() {
    BARRIER.store(false, Relaxed);
}

/// There is none here.
#[cfg(not(target_os = "linux"))]
pub fn barrier() -> bool {
    BARRIER.load(Relaxed)
}
