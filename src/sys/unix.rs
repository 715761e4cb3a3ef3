//! Linux and macOS. System calls that map, unmap, remap or advise are counted: the price list and
//! the tests read the counts.

use core::ffi::{CStr, c_int, c_void};
use core::iter;
use core::ptr::{self, NonNull};

use super::huge;
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// System calls made since the process began.
pub static MAPS: AtomicU64 = AtomicU64::new(0);
/// See [`MAPS`].
pub static UNMAPS: AtomicU64 = AtomicU64::new(0);
/// See [`MAPS`].
pub static REMAPS: AtomicU64 = AtomicU64::new(0);
/// See [`MAPS`].
pub static ADVISES: AtomicU64 = AtomicU64::new(0);

static MAPPED: AtomicUsize = AtomicUsize::new(0);
static MAPPED_PEAK: AtomicUsize = AtomicUsize::new(0);

/// Bytes mapped now, and the most there were since the last [`reset_mapped_peak`].
pub fn mapped_bytes() -> (usize, usize) {
    (MAPPED.load(Relaxed), MAPPED_PEAK.load(Relaxed))
}

/// Starts the peak again from what is mapped now.
pub fn reset_mapped_peak() {
    MAPPED_PEAK.store(MAPPED.load(Relaxed), Relaxed);
}

/// Sets what is mapped: for a forked child, which counts anew.
pub fn recount_mapped(bytes: usize) {
    MAPPED.store(bytes, Relaxed);
    MAPPED_PEAK.fetch_max(bytes, Relaxed);
}

fn mapped_more(bytes: usize) {
    let now = MAPPED.fetch_add(bytes, Relaxed) + bytes;
    MAPPED_PEAK.fetch_max(now, Relaxed);
}

/// Bytes in an OS page, asked of the system once.
pub fn page_size() -> usize {
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    match KNOWN.load(Relaxed) {
        0 => {
            // SAFETY: a query without arguments in memory.
            let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            KNOWN.store(bytes, Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

/// Maps `bytes`, a multiple of the OS page, zeroed, at a multiple of the OS page, without accounting for it.
/// `None` if the system refuses; nothing is then mapped.
pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
    MAPS.fetch_add(1, Relaxed);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh anonymous mapping touches no existing memory.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

/// Gives a range back without accounting for it.
///
/// # Safety
///
/// The range is mapped, and nothing refers to it any more.
pub(super) unsafe fn unmap_uncounted(start: NonNull<u8>, bytes: usize) -> bool {
    UNMAPS.fetch_add(1, Relaxed);
    let _errno = super::keep_errno();
    super::poison::open(start.as_ptr(), bytes);
    // SAFETY: the caller's contract.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) == 0 }
}

/// Maps `bytes`, a multiple of the OS page, zeroed, at a multiple of `align`, a power of two.
/// `None` if the system refuses; nothing is then mapped. One system call if the system happens to
/// choose a fitting place, which it does for neighbours of what fitted; else up to four.
pub fn map_aligned(bytes: usize, align: usize) -> Option<NonNull<u8>> {
    let start = map(bytes)?;
    if start.addr().get() & (align - 1) == 0 {
        mapped_more(bytes);
        return Some(start);
    }
    // SAFETY: just mapped, and known to nobody.
    unsafe { cut_off(start, bytes) };
    let wide = bytes.checked_add(align)?.checked_sub(page_size())?;
    let start = map(wide)?;
    let before = start.addr().get().wrapping_neg() & (align - 1);
    // SAFETY: `before` is below `align`, so `before + bytes` lies within the wide mapping.
    let aligned = unsafe { start.add(before) };
    if before > 0 {
        // SAFETY: the part in front of the aligned one, known to nobody.
        unsafe { cut_off(start, before) };
    }
    let behind = wide - before - bytes;
    if behind > 0 {
        // SAFETY: the part behind the aligned one, known to nobody.
        unsafe { cut_off(aligned.add(bytes), behind) };
    }
    mapped_more(bytes);
    Some(aligned)
}

/// Gives back what is mapped beside an aligned place and not counted yet. If the system refuses, it
/// is counted, and left over.
///
/// # Safety
///
/// The range is mapped, not counted, and known to nobody.
unsafe fn cut_off(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's contract.
    if !unsafe { unmap_uncounted(start, bytes) } {
        mapped_more(bytes);
        // SAFETY: mapped and, by now, counted; nobody's.
        unsafe { super::leave(start, bytes) };
    }
}

/// Gives a range of whole OS pages back, address and all. False if the system refuses (it can, when
/// the hole would make too many mappings): the range is then still mapped and still accounted for.
///
/// # Safety
///
/// The range is mapped, and nothing refers to it any more.
pub unsafe fn unmap(start: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: the caller's contract.
    let gone = unsafe {
        huge::split(iter::once((start.addr().get(), bytes)));
        unmap_uncounted(start, bytes)
    };
    if gone {
        MAPPED.fetch_sub(bytes, Relaxed);
    }
    gone
}

/// Makes the mapping at `start` `to` bytes long instead of `from`, elsewhere if it must and `may_move`, its bytes
/// kept and what is new zeroed. `None` if the system cannot: nothing has then changed.
///
/// # Safety
///
/// The range is one that [`map_aligned`] or this function returned, whole or cut at OS pages.
#[cfg(target_os = "linux")]
pub unsafe fn remap(
    start: NonNull<u8>,
    from: usize,
    to: usize,
    may_move: bool,
) -> Option<NonNull<u8>> {
    REMAPS.fetch_add(1, Relaxed);
    if let Some(tail) = from.checked_sub(to)
        && tail > 0
    {
        // SAFETY: the caller's contract: the tail is mapped.
        unsafe { huge::split(iter::once((start.addr().get() + to, tail))) };
    }
    let flags = if may_move { libc::MREMAP_MAYMOVE } else { 0 };
    // SAFETY: the caller's contract; the flag lets the kernel choose where.
    let moved = unsafe { libc::mremap(start.as_ptr().cast(), from, to, flags) };
    if moved == libc::MAP_FAILED {
        return None;
    }
    if to > from {
        mapped_more(to - from);
    } else {
        MAPPED.fetch_sub(from - to, Relaxed);
    }
    NonNull::new(moved.cast())
}

/// There is no such call here: callers copy.
///
/// # Safety
///
/// None is asked.
#[cfg(not(target_os = "linux"))]
pub unsafe fn remap(_: NonNull<u8>, _: usize, _: usize, _: bool) -> Option<NonNull<u8>> {
    None
}

/// Sleeps while `word` holds `value`; may return early.
#[cfg(target_os = "linux")]
pub fn wait(word: &AtomicU32, value: u32) {
    let forever = ptr::null::<libc::timespec>();
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let _errno = super::keep_errno();
    // SAFETY: the word outlives the call; the kernel only reads it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, forever) };
}

/// Sleeps for `us` microseconds, or until `word`, which holds 0, is changed and woken: then false.
#[cfg(target_os = "linux")]
pub fn nap_us(word: &AtomicU32, us: u64) -> bool {
    let time = super::duration(us);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let _errno = super::keep_errno();
    // SAFETY: the word and the time outlive the call; the kernel only reads them.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 0, &time) } == 0;
    if woken || super::errno() == libc::EAGAIN {
        return false;
    }
    if super::errno() != libc::ETIMEDOUT {
        // Who naps must not come back at once.
        super::sleep_us(us);
    }
    true
}

/// Sleeps for `us` microseconds: true.
#[cfg(not(target_os = "linux"))]
pub fn nap_us(_: &AtomicU32, us: u64) -> bool {
    super::sleep_us(us);
    true
}

/// Wakes one sleeper on `word`.
#[cfg(target_os = "linux")]
pub fn wake_one(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    let _errno = super::keep_errno();
    // SAFETY: the kernel uses the address only as a name.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1) };
}

/// Gives the processor away once; the caller looks again.
#[cfg(not(target_os = "linux"))]
pub fn wait(_: &AtomicU32, _: u32) {
    // SAFETY: no arguments, no memory.
    unsafe { libc::sched_yield() };
}

/// Nobody sleeps here.
#[cfg(not(target_os = "linux"))]
pub fn wake_one(_: &AtomicU32) {}

/// Writes to standard error; what cannot be written is lost.
pub fn write_stderr(mut bytes: &[u8]) {
    let _errno = super::keep_errno();
    while !bytes.is_empty() {
        // SAFETY: the slice is valid for reads of its length.
        let wrote = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(wrote) {
            Ok(wrote) if wrote > 0 => bytes = &bytes[wrote..],
            _ => return,
        }
    }
}

/// Ends the process at once.
pub fn abort() -> ! {
    // SAFETY: always allowed.
    unsafe { libc::abort() }
}

/// Whether the environment is there to be read. The C library may not have it yet when the first
/// block is allocated.
pub fn has_environment() -> bool {
    // SAFETY: the C library's own word.
    unsafe { !(*environment()).is_null() }
}

/// Whether the program runs with more rights than who called it: it then must not heed that one's
/// environment.
#[cfg(target_os = "linux")]
pub fn is_privileged() -> bool {
    // SAFETY: a query without arguments in memory.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub fn is_privileged() -> bool {
    // SAFETY: queries without arguments.
    unsafe { libc::geteuid() != libc::getuid() || libc::getegid() != libc::getgid() }
}

/// Calls `each` with every environment entry, `NAME=value`.
///
/// Reads the environment where the system keeps it: `std::env` allocates. Called once, at the first
/// allocation, when no other thread that could change the environment is likely to run.
pub fn for_each_environment_entry(mut each: impl FnMut(&[u8])) {
    // SAFETY: the C library's own list, ended by a null pointer, of null-terminated strings.
    unsafe {
        let mut entry = *environment();
        while !entry.is_null() && !(*entry).is_null() {
            each(CStr::from_ptr(*entry).to_bytes());
            entry = entry.add(1);
        }
    }
}

#[cfg(not(target_os = "macos"))]
fn environment() -> *mut *mut *mut core::ffi::c_char {
    unsafe extern "C" {
        static mut environ: *mut *mut core::ffi::c_char;
    }
    &raw mut environ
}

#[cfg(target_os = "macos")]
fn environment() -> *mut *mut *mut core::ffi::c_char {
    // SAFETY: a query without arguments.
    unsafe { libc::_NSGetEnviron() }
}

/// Has `hook` called when the process exits in the ordinary way.
pub fn at_exit(hook: extern "C" fn()) {
    // SAFETY: a plain function pointer.
    let _ = unsafe { libc::atexit(hook) };
}

/// Has the three hooks called around every `fork`. False if the system has no memory for it.
pub fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> bool {
    // SAFETY: plain function pointers.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) == 0 }
}

/// A hook at the end of every thread that asked for it.
pub struct ExitKey(AtomicUsize);

impl ExitKey {
    /// Not made yet.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    /// Makes the key, once, before any [`ExitKey::arm`].
    pub fn make(&self, hook: unsafe extern "C" fn(*mut c_void)) {
        let mut key = 0;
        // SAFETY: `key` is valid for a write.
        if unsafe { libc::pthread_key_create(&mut key, Some(hook)) } == 0 {
            self.0.store(key as usize, Relaxed);
        }
    }

    /// Asks for the hook on the calling thread. False if the system has no key left: the thread's
    /// end then goes unnoticed.
    pub fn arm(&self) -> bool {
        let key = self.0.load(Relaxed);
        if key == usize::MAX {
            return false;
        }
        // SAFETY: the key was made; any value but null asks for the hook.
        let refused: c_int =
            unsafe { libc::pthread_setspecific(key as libc::pthread_key_t, ptr::dangling()) };
        refused == 0
    }
}
