//! A kernel with larger OS pages than this machine's: the C library's functions for memory, put in
//! front of the real ones. What such a kernel would refuse ends the process, what it rounds up to whole
//! OS pages is rounded up, so that a range that is short takes its neighbour's bytes with it.
//!
//! The executable's own symbols win over the C library's. On x86-64 Linux, where the real calls can be
//! made without the C library.

use std::arch::asm;
use std::ffi::{c_int, c_long, c_void};
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Names the size of an OS page, in bytes, for this process and its children.
pub const VARIABLE: &str = "TEST_OS_PAGE";
const DEFAULT: usize = 64 << 10;

/// Bytes in an OS page.
pub fn page_size() -> usize {
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    if KNOWN.load(Relaxed) == 0 {
        let asked = std::env::var(VARIABLE).ok().and_then(|bytes| bytes.parse().ok());
        KNOWN.store(asked.unwrap_or(DEFAULT), Relaxed);
    }
    KNOWN.load(Relaxed)
}

fn whole(bytes: usize) -> usize {
    bytes.next_multiple_of(page_size())
}

/// Ends the process if a range begins inside an OS page: such a kernel would refuse it, and nobody here
/// has a reason to ask for that.
fn must_begin_a_page(start: *const c_void) {
    if !start.addr().is_multiple_of(page_size()) {
        let said = "a range begins inside an OS page\n";
        // SAFETY: valid for reads of its length.
        unsafe {
            libc::write(2, said.as_ptr().cast(), said.len());
            libc::abort();
        }
    }
}

/// The kernel's answer as the C library gives it.
fn answer(result: isize) -> isize {
    if !(-4095..0).contains(&result) {
        return result;
    }
    // SAFETY: the calling thread's own word.
    unsafe { *libc::__errno_location() = -result as c_int };
    -1
}

/// # Safety
///
/// As the system call asks.
unsafe fn raw(number: c_long, arguments: [usize; 6]) -> isize {
    let result;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the registers that the kernel takes and changes.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A free place for `bytes` bytes at a multiple of the OS page, taken without access; or the error.
fn reserve(bytes: usize) -> Result<usize, isize> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
    let wide = bytes.checked_add(page_size()).ok_or(-(libc::ENOMEM as isize))?;
    // SAFETY: a fresh mapping, whose ends go again.
    unsafe {
        let start = raw(libc::SYS_mmap, [0, wide, libc::PROT_NONE as usize, flags, usize::MAX, 0]);
        if (-4095..0).contains(&start) {
            return Err(start);
        }
        let start = start as usize;
        let (aligned, end) = (whole(start), start + wide);
        for (from, to) in [(start, aligned), (aligned + bytes, end)] {
            if from < to {
                raw(libc::SYS_munmap, [from, to - from, 0, 0, 0, 0]);
            }
        }
        Ok(aligned)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    place: *mut c_void,
    bytes: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    let asked = [protection as usize, flags as usize, file as usize, offset as usize];
    let [protection, flags, file, offset] = asked;
    let bytes = bytes.checked_next_multiple_of(page_size()).unwrap_or(usize::MAX);
    // SAFETY: the caller's contract; without a place asked for, one that was just reserved.
    let result = unsafe {
        if !place.is_null() {
            raw(libc::SYS_mmap, [place.addr(), bytes, protection, flags, file, offset])
        } else {
            match reserve(bytes) {
                Ok(start) => {
                    let flags = flags | libc::MAP_FIXED as usize;
                    raw(libc::SYS_mmap, [start, bytes, protection, flags, file, offset])
                }
                Err(refused) => refused,
            }
        }
    };
    std::ptr::with_exposed_provenance_mut(answer(result) as usize)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap64(
    place: *mut c_void,
    bytes: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { mmap(place, bytes, protection, flags, file, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(start: *mut c_void, bytes: usize) -> c_int {
    must_begin_a_page(start);
    // SAFETY: the caller's contract, if it knows of the OS page.
    answer(unsafe { raw(libc::SYS_munmap, [start.addr(), whole(bytes), 0, 0, 0, 0]) }) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int {
    must_begin_a_page(start);
    let range = [start.addr(), whole(bytes), advice as usize, 0, 0, 0];
    // SAFETY: the caller's contract, if it knows of the OS page.
    answer(unsafe { raw(libc::SYS_madvise, range) }) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mremap(
    start: *mut c_void,
    from: usize,
    to: usize,
    flags: c_int,
) -> *mut c_void {
    must_begin_a_page(start);
    let (from, to) = (whole(from), whole(to));
    // SAFETY: the caller's contract; a place to move to was just reserved.
    let result = unsafe {
        let here = raw(libc::SYS_mremap, [start.addr(), from, to, 0, 0, 0]);
        let moves = (-4095..0).contains(&here) && flags & libc::MREMAP_MAYMOVE != 0;
        match if moves { reserve(to) } else { Err(here) } {
            Ok(place) => {
                let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as usize;
                raw(libc::SYS_mremap, [start.addr(), from, to, flags, place, 0])
            }
            Err(result) => result,
        }
    };
    std::ptr::with_exposed_provenance_mut(answer(result) as usize)
}

/// The C library's takes any number of arguments; registers and stack are the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if number != libc::SYS_process_madvise {
        // SAFETY: the caller's contract.
        return answer(unsafe { raw(number, [a, b, c, d, e, f]) }) as c_long;
    }
    // SAFETY: the caller passes a vector of that length.
    let ranges = unsafe {
        std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<libc::iovec>(b), c)
    };
    ranges.iter().for_each(|range| must_begin_a_page(range.iov_base));
    let mut rounded: Vec<libc::iovec> = ranges.to_vec();
    rounded.iter_mut().for_each(|range| range.iov_len = whole(range.iov_len));
    let vector = rounded.as_ptr().expose_provenance();
    // SAFETY: the caller's contract, if it knows of the OS page.
    answer(unsafe { raw(number, [a, vector, c, d, e, f]) }) as c_long
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sysconf(name: c_int) -> c_long {
    type Real = unsafe extern "C" fn(c_int) -> c_long;
    static REAL: OnceLock<Real> = OnceLock::new();
    if name == libc::_SC_PAGESIZE {
        return page_size() as c_long;
    }
    let real = REAL.get_or_init(|| {
        // SAFETY: the C library's function of this name, and its type.
        unsafe {
            let found = libc::dlsym(libc::RTLD_NEXT, c"sysconf".as_ptr());
            assert!(!found.is_null());
            mem::transmute::<*mut c_void, Real>(found)
        }
    });
    // SAFETY: the caller's contract.
    unsafe { real(name) }
}
