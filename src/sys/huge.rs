//! Huge pages, where they are asked for: memory that the system hands out 2 MiB at a time.
//!
//! Of a huge page that is purged in part, the system takes what goes off the process's count, but keeps it until it is
//! short of memory. So such a one is split before: advice that some of it is not needed soon (`MADV_COLD`) has Linux,
//! from 5.4 on, do so at once, and what is purged then is free. Nor is the system to put together again what was split:
//! memory is made huge by its first touch, and from then on asks for it no more.

use core::ptr::NonNull;

use super::{keep_errno, page_size};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Bytes of a huge page, where an OS page has 4 KiB; none are asked for elsewhere.
pub const SIZE: usize = 2 << 20;

/// Huge pages that the system had when they were asked for, since the process began. Of direct mappings it does not say.
pub static MADE: AtomicU64 = AtomicU64::new(0);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Asks for huge pages from now on.
pub fn ask() {
    ASKED.store(cfg!(target_os = "linux") && page_size() == 4 << 10, Relaxed);
}

/// Whether huge pages are asked for.
pub fn are_asked() -> bool {
    ASKED.load(Relaxed)
}

/// What a mapping of `bytes` is to start at a multiple of: of a huge page where it has room for some; else of an OS page.
pub fn align_of(bytes: usize) -> usize {
    if are_asked() && bytes >= 2 * SIZE { SIZE } else { page_size() }
}

/// Has the memory of `bytes` from `start` on come on huge pages when it is first touched, if they are asked for.
///
/// # Safety
///
/// The range is mapped.
pub unsafe fn wish(start: NonNull<u8>, bytes: usize) {
    if are_asked() && bytes >= SIZE {
        let _errno = keep_errno();
        // SAFETY: the caller's contract.
        unsafe { advise(start.addr().get(), bytes, Advice::HugePage) };
    }
}

/// Has the memory of `bytes` from `start` on never come on huge pages, wherever the system makes them unasked.
///
/// # Safety
///
/// The range is mapped.
pub unsafe fn refuse(start: NonNull<u8>, bytes: usize) {
    let _errno = keep_errno();
    // SAFETY: the caller's contract.
    unsafe { advise(start.addr().get(), bytes, Advice::NoHugePage) };
}

/// Makes the memory from `start` on, a multiple of [`SIZE`], one huge page. False if the system has none, or was not
/// asked: then no more than an OS page is resident.
///
/// # Safety
///
/// So much is mapped there, untouched and nobody's.
pub unsafe fn make(start: NonNull<u8>) -> bool {
    let _errno = keep_errno();
    // SAFETY: the caller's contract.
    let is_made = unsafe {
        advise(start.addr().get(), SIZE, Advice::HugePage) && {
            start.write_volatile(0);
            is_resident(start.add(SIZE - page_size()))
        }
    };
    // SAFETY: the caller's contract.
    unsafe { advise(start.addr().get(), SIZE, Advice::NoHugePage) };
    MADE.fetch_add(u64::from(is_made), Relaxed);
    is_made
}

/// Splits the huge pages of which the ranges, each a start and its bytes, have a part: they are to go.
///
/// # Safety
///
/// The ranges are mapped.
pub unsafe fn split(ranges: impl Iterator<Item = (usize, usize)>) {
    if !are_asked() {
        return;
    }
    let _errno = keep_errno();
    let mut done = None;
    for (start, bytes) in ranges {
        for page in parted(start, bytes).into_iter().flatten() {
            // One page of it is enough, and ranges that follow each other often lie in the same.
            if done != Some(page / SIZE) {
                // SAFETY: the caller's contract: an OS page of the range.
                unsafe { advise(page, page_size(), Advice::Cold) };
                done = Some(page / SIZE);
            }
        }
    }
}

/// An OS page in each huge page of which the range has a part and not all: at its two ends.
fn parted(start: usize, bytes: usize) -> [Option<usize>; 2] {
    let (end, last) = (start + bytes, (start + bytes).saturating_sub(page_size()));
    let shares = start / SIZE == last / SIZE;
    let first_part = !start.is_multiple_of(SIZE) || bytes < SIZE;
    let last_part = !end.is_multiple_of(SIZE) && !shares;
    [first_part.then_some(start), last_part.then_some(last)]
}

/// What the system is told of a range.
#[derive(Clone, Copy)]
enum Advice {
    HugePage,
    NoHugePage,
    Cold,
}

/// True if the system heeds it.
///
/// # Safety
///
/// The range is mapped.
#[cfg(target_os = "linux")]
unsafe fn advise(start: usize, bytes: usize, advice: Advice) -> bool {
    let advice = match advice {
        Advice::HugePage => libc::MADV_HUGEPAGE,
        Advice::NoHugePage => libc::MADV_NOHUGEPAGE,
        Advice::Cold => libc::MADV_COLD,
    };
    super::ADVISES.fetch_add(1, Relaxed);
    let start = core::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the caller's contract; none of these changes what is in the range.
    unsafe { libc::madvise(start, bytes, advice) == 0 }
}

#[cfg(not(target_os = "linux"))]
unsafe fn advise(_: usize, _: usize, _: Advice) -> bool {
    false
}

/// Whether the OS page at `start` is resident; false if the system does not tell.
///
/// # Safety
///
/// It is mapped.
#[cfg(target_os = "linux")]
unsafe fn is_resident(start: NonNull<u8>) -> bool {
    let mut found = 0u8;
    // SAFETY: the caller's contract, and the answer for one OS page is one byte.
    unsafe { libc::mincore(start.as_ptr().cast(), page_size(), &mut found) == 0 && found & 1 == 1 }
}

#[cfg(not(target_os = "linux"))]
unsafe fn is_resident(_: NonNull<u8>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_page_is_parted_where_a_range_has_some_of_it_and_not_all() {
        let page = page_size();
        assert_eq!(parted(SIZE, SIZE), [None, None]);
        assert_eq!(parted(SIZE, 3 * SIZE), [None, None]);
        assert_eq!(parted(SIZE, page), [Some(SIZE), None]);
        assert_eq!(parted(SIZE + page, page), [Some(SIZE + page), None]);
        assert_eq!(parted(SIZE / 2, SIZE / 2), [Some(SIZE / 2), None]);
        assert_eq!(parted(SIZE / 2, SIZE), [Some(SIZE / 2), Some(SIZE / 2 * 3 - page)]);
        assert_eq!(parted(SIZE, SIZE + page), [None, Some(2 * SIZE)]);
        assert_eq!(parted(SIZE / 2, SIZE / 2 * 3), [Some(SIZE / 2), None]);
    }
}
