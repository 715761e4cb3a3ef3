//! Giving contents back and keeping the address: many ranges in one system call where the kernel
//! takes a vector for the calling process (Linux 6.14 and later), one call a range elsewhere.

use core::ptr::{self, NonNull};

use super::{ADVISES, huge, now_ns, page_size};
use crate::base::geometry::PURGE_RANGES;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Batches purged, OS pages in them, and nanoseconds spent, since the process began.
pub static PURGES: AtomicU64 = AtomicU64::new(0);
/// See [`PURGES`].
pub static PAGES_PURGED: AtomicU64 = AtomicU64::new(0);
/// See [`PURGES`].
pub static PURGE_NS: AtomicU64 = AtomicU64::new(0);

/// Ranges of OS pages to purge together.
pub struct Batch {
    ranges: [libc::iovec; PURGE_RANGES],
    used: usize,
    pages: usize,
    purged: usize,
}

impl Batch {
    /// Without a range.
    pub const fn new() -> Self {
        let none = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Self { ranges: [none; PURGE_RANGES], used: 0, pages: 0, purged: 0 }
    }

    /// Adds a range of whole OS pages; purges first if there is no room for it.
    ///
    /// # Safety
    ///
    /// The range is mapped, and nobody needs its contents until the batch is purged.
    pub unsafe fn add(&mut self, start: NonNull<u8>, bytes: usize) {
        let pages = bytes / page_size();
        if self.used > 0 {
            let last = &mut self.ranges[self.used - 1];
            if last.iov_base.addr() + last.iov_len == start.addr().get() {
                last.iov_len += bytes;
                self.pages += pages;
                return;
            }
        }
        if self.used == PURGE_RANGES {
            self.purge();
        }
        self.ranges[self.used] = libc::iovec { iov_base: start.as_ptr().cast(), iov_len: bytes };
        self.used += 1;
        self.pages += pages;
    }

    /// OS pages added to this batch, purged ones among them.
    pub fn pages(&self) -> usize {
        self.pages + self.purged / page_size()
    }

    /// Purges what was added. Returns the bytes of all purges of this batch.
    pub fn purge(&mut self) -> usize {
        if self.used > 0 {
            let from = now_ns();
            purge_ranges(&self.ranges[..self.used]);
            // A clock that failed shows no time.
            PURGE_NS.fetch_add(now_ns().saturating_sub(from), Relaxed);
            PURGES.fetch_add(1, Relaxed);
            PAGES_PURGED.fetch_add(self.pages as u64, Relaxed);
            self.purged += self.pages * page_size();
            (self.used, self.pages) = (0, 0);
        }
        self.purged
    }
}

/// Gives OS pages back at once, so that resident memory tells the truth.
const ADVICE: libc::c_int = libc::MADV_DONTNEED;
/// Whether what was advised reads as zero afterwards: Linux promises it.
const ADVICE_ZEROES: bool = cfg!(target_os = "linux");

/// Purges one range at once.
///
/// # Safety
///
/// As for [`Batch::add`].
pub unsafe fn purge(start: NonNull<u8>, bytes: usize) {
    let mut batch = Batch::new();
    // SAFETY: the caller's contract.
    unsafe { batch.add(start, bytes) };
    batch.purge();
}

fn purge_ranges(ranges: &[libc::iovec]) {
    let _errno = super::keep_errno();
    // SAFETY: `Batch::add`'s contract: mapped.
    unsafe { huge::split(ranges.iter().map(|range| (range.iov_base.addr(), range.iov_len))) };
    let done = purge_vector(ranges);
    for range in ranges.iter().skip(done) {
        ADVISES.fetch_add(1, Relaxed);
        // SAFETY: `Batch::add`'s contract: mapped, and nobody needs the contents.
        let kept = unsafe { libc::madvise(range.iov_base, range.iov_len, ADVICE) };
        if kept != 0 || !ADVICE_ZEROES {
            // Locked memory, say. What is purged counts as zero.
            // SAFETY: as above.
            unsafe { range.iov_base.cast::<u8>().write_bytes(0, range.iov_len) };
        }
    }
}

/// Purges the ranges with one call. Returns how many ranges it purged wholly: none, if the kernel
/// cannot do it; purging a range again that was purged in part does no harm.
#[cfg(target_os = "linux")]
fn purge_vector(ranges: &[libc::iovec]) -> usize {
    use crate::sync::atomic::AtomicBool;

    /// The calling process, where a file descriptor of a process is asked for.
    const PIDFD_SELF_THREAD_GROUP: libc::c_int = -10001;
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if ranges.len() < 2 || REFUSED.load(Relaxed) {
        return 0;
    }
    ADVISES.fetch_add(1, Relaxed);
    // SAFETY: `Batch::add`'s contract; the vector is valid for reads of its length.
    let advised = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            PIDFD_SELF_THREAD_GROUP,
            ranges.as_ptr(),
            ranges.len(),
            libc::MADV_DONTNEED,
            0,
        )
    };
    let Ok(mut advised) = usize::try_from(advised) else {
        REFUSED.store(true, Relaxed);
        return 0;
    };
    let whole = |range: &&libc::iovec| {
        let fits = range.iov_len <= advised;
        advised = advised.saturating_sub(range.iov_len);
        fits
    };
    ranges.iter().take_while(whole).count()
}

#[cfg(not(target_os = "linux"))]
fn purge_vector(_: &[libc::iovec]) -> usize {
    0
}
