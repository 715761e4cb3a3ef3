//! [`Highwater`], the allocator that a program installs. Its [`GlobalAlloc`](core::alloc::GlobalAlloc) is the
//! door (`door.rs`), through which the program comes in.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::{door, settings};
use crate::base::class::SizeClass;
use crate::base::geometry::RETURN_AFTER_MS;
use crate::heap::{config, large, large_apart, limit, local, span, sweeper, trim, watch};
use crate::mem::block;
use crate::policy::limit::SoftLimit;
use crate::policy::retention::Retention;
use crate::sys::{self, poison};

/// The allocator. All instances share one heap; the first to allocate sets the retention.
///
/// ```
/// use highwater::Highwater;
///
/// #[global_allocator]
/// static GLOBAL: Highwater = Highwater::new();
///
/// let boxed = Box::new(7);
/// assert_eq!(*boxed, 7);
/// ```
#[derive(Debug)]
pub struct Highwater {
    pub(super) retention: Retention,
    pub(super) return_after_ms: u64,
    pub(super) sweeper: bool,
    pub(super) soft_limit: SoftLimit,
    pub(super) huge_pages: bool,
}

impl Default for Highwater {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a block of some layout lives: told by the layout, at both ends of its life, but for large blocks that a span could
/// hold too, which their address tells.
pub(super) enum Home {
    Pool(SizeClass),
    Span,
    Large,
}

impl Home {
    #[inline(always)]
    pub(super) fn of(size: usize, align: usize) -> Home {
        match SizeClass::of(size, align) {
            Some(class) => Home::Pool(class),
            None if span::fits(size, align) => Home::Span,
            None => Home::Large,
        }
    }

    /// The same of a block for such a layout, or one that is to be for it without being moved.
    fn of_block(block: NonNull<u8>, size: usize, align: usize) -> Home {
        match Home::of(size, align) {
            Home::Span if large_apart::is_apart(block, size) => Home::Large,
            home => home,
        }
    }
}

impl Highwater {
    /// With the default retention, [`Retention::ReturnPages`], after one second, by a sweeper thread.
    pub const fn new() -> Self {
        Self::with_retention(Retention::DEFAULT)
    }

    /// With the given retention. The environment variable `HIGHWATER_RETENTION` wins over it.
    pub const fn with_retention(retention: Retention) -> Self {
        let soft_limit = SoftLimit::NONE;
        let return_after_ms = RETURN_AFTER_MS;
        Self { retention, return_after_ms, sweeper: true, soft_limit, huge_pages: false }
    }

    /// With another delay: free memory stays for `ms` milliseconds, so that what is wanted again
    /// soon is not given back. For [`Retention::ReturnPools`] and [`Retention::ReturnPages`]; the
    /// lower rungs do not wait. `HIGHWATER_RETURN_AFTER_MS` wins over it.
    ///
    /// ```
    /// use highwater::{Highwater, Retention};
    ///
    /// #[global_allocator]
    /// static GLOBAL: Highwater =
    ///     Highwater::with_retention(Retention::ReturnPages).return_after_ms(200);
    /// # assert_eq!(*Box::new(7), 7);
    /// ```
    pub const fn return_after_ms(self, ms: u64) -> Self {
        Self { return_after_ms: ms, ..self }
    }

    /// Without the sweeper thread: memory goes back on the slow paths of threads that allocate and
    /// free, and so not while the process idles. `HIGHWATER_SWEEPER` wins over it.
    ///
    /// ```
    /// use highwater::Highwater;
    ///
    /// #[global_allocator]
    /// static GLOBAL: Highwater = Highwater::new().without_sweeper();
    /// # assert_eq!(*Box::new(7), 7);
    /// ```
    pub const fn without_sweeper(self) -> Self {
        Self { sweeper: false, ..self }
    }

    /// With a soft limit on the process's resident bytes; 0 is none. Near it the allocator climbs the
    /// ladder step by step, whatever the retention, and down again below it; above it, it gives back
    /// what it can before it takes more. A wish, never a failure: what the program needs it gets.
    /// `HIGHWATER_SOFT_LIMIT` wins over it.
    ///
    /// ```
    /// use highwater::Highwater;
    ///
    /// #[global_allocator]
    /// static GLOBAL: Highwater = Highwater::new().soft_limit(512 << 20);
    /// # assert_eq!(*Box::new(7), 7);
    /// # assert_eq!(highwater::stats().soft_limit_bytes, 512 << 20);
    /// ```
    pub const fn soft_limit(self, bytes: usize) -> Self {
        self.with_soft_limit(SoftLimit::bytes(bytes))
    }

    /// With a soft limit of another kind, such as a share of what the process's cgroup may use.
    /// `HIGHWATER_SOFT_LIMIT` wins over it.
    ///
    /// ```
    /// use highwater::{Highwater, SoftLimit};
    ///
    /// #[global_allocator]
    /// static GLOBAL: Highwater = Highwater::new().with_soft_limit(SoftLimit::cgroup(0.9));
    /// # assert_eq!(*Box::new(7), 7);
    /// # assert_eq!(highwater::soft_limit(), SoftLimit::cgroup(0.9));
    /// ```
    pub const fn with_soft_limit(self, limit: SoftLimit) -> Self {
        Self { soft_limit: limit, ..self }
    }

    /// On huge pages, where the system has them (Linux, `madvise` or `always` in
    /// `/sys/kernel/mm/transparent_hugepage/enabled`): memory comes 2 MiB at a time, at a fraction of the page faults, and
    /// programs that go to and fro in much of it are faster. What of a huge page goes back is split off first, so that
    /// resident memory tells the truth; a sweep leaves those that are mostly in use as they are. Without it, pools and
    /// spans are on no huge page, wherever the system makes them unasked. `HIGHWATER_HUGE_PAGES` wins over it. The
    /// feature `hardened` has its guards between, and huge pages for blocks above 512 KiB only.
    ///
    /// ```
    /// use highwater::Highwater;
    ///
    /// #[global_allocator]
    /// static GLOBAL: Highwater = Highwater::new().with_huge_pages();
    /// # assert_eq!(*Box::new(7), 7);
    /// ```
    pub const fn with_huge_pages(self) -> Self {
        Self { huge_pages: true, ..self }
    }

    /// A block for `layout`, or null.
    #[inline(always)]
    pub(super) fn serve(&self, layout: Layout) -> *mut u8 {
        let Some(class) = SizeClass::inlined(layout.size(), layout.align()) else {
            return self.alloc_more(layout).0;
        };
        self.serve_pooled(class)
    }

    /// A block of `class`, or null.
    #[inline(always)]
    pub(super) fn serve_pooled(&self, class: SizeClass) -> *mut u8 {
        match local::heap().pop(class) {
            Some(block) => block.as_ptr(),
            None => self.refill(class),
        }
    }

    /// As [`Highwater::serve`], all bytes zero.
    #[inline(always)]
    pub(super) fn serve_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = SizeClass::inlined(layout.size(), layout.align()) else {
            return self.alloc_zeroed_more(layout);
        };
        let block = poison::open(self.serve_pooled(class), layout.size());
        if !block.is_null() {
            // SAFETY: a block of at least this size, just allocated.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    /// As [`Highwater::alloc_more`], all bytes zero.
    #[inline(never)]
    fn alloc_zeroed_more(&self, layout: Layout) -> *mut u8 {
        let (block, is_zero) = self.alloc_more(layout);
        poison::open(block, layout.size());
        if !is_zero && !block.is_null() {
            // SAFETY: a block of at least this size, just allocated.
            unsafe { block::zero(block, layout.size()) };
        }
        block
    }

    /// Takes back what [`Highwater::serve`] gave.
    ///
    /// # Safety
    ///
    /// `block` was served for `layout`, and nobody uses it any more.
    #[inline(always)]
    pub(super) unsafe fn take_back(block: NonNull<u8>, layout: Layout) {
        poison::close(block.as_ptr(), layout.size());
        match SizeClass::inlined(layout.size(), layout.align()) {
            // SAFETY: allocated with this layout, so of this class.
            Some(class) => unsafe { local::heap().push(block, class) },
            // SAFETY: the caller's contract.
            None => unsafe { Self::dealloc_more(block, layout) },
        }
    }

    /// The current list is exhausted, or the thread has no heap yet.
    #[cold]
    #[inline(never)]
    fn refill(&self, class: SizeClass) -> *mut u8 {
        let heap = local::heap();
        if heap.is_nobody() {
            return self.alloc_unheld(class);
        }
        settings::read_once(self);
        door::comes_for_more();
        let block = heap.refill(class);
        sweeper::start_if_due();
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// The thread has no heap yet, can keep none, or is watched.
    #[cold]
    #[inline(never)]
    fn alloc_unheld(&self, class: SizeClass) -> *mut u8 {
        settings::read_once(self);
        let block = local::with(|heap| heap.pop(class).or_else(|| heap.refill(class)));
        sweeper::start_if_due();
        let Some(block) = block.flatten() else { return ptr::null_mut() };
        watch::allocated(class);
        block.as_ptr()
    }

    /// Allocates what is too large to have its path compiled into the caller. The second value:
    /// whether all bytes are known to be zero.
    #[inline(never)]
    fn alloc_more(&self, layout: Layout) -> (*mut u8, bool) {
        match SizeClass::of(layout.size(), layout.align()) {
            Some(class) => match local::heap().pop(class) {
                Some(block) => (block.as_ptr(), false),
                None => (self.refill(class), false),
            },
            None => self.alloc_unpooled(layout),
        }
    }

    #[inline(never)]
    fn alloc_unpooled(&self, layout: Layout) -> (*mut u8, bool) {
        let (size, align) = (layout.size(), layout.align());
        settings::read_once(self);
        let found = if span::fits(size, align) {
            span::alloc(size, align)
        } else {
            large::alloc(size, align)
        };
        sweeper::start_if_due();
        found.map_or((ptr::null_mut(), false), |(block, zero)| (block.as_ptr(), zero))
    }

    /// Takes back what [`Highwater::alloc_more`] allocated.
    ///
    /// # Safety
    ///
    /// `block` was allocated with `layout`, and nobody uses it any more.
    #[inline(never)]
    unsafe fn dealloc_more(block: NonNull<u8>, layout: Layout) {
        match SizeClass::of(layout.size(), layout.align()) {
            // SAFETY: the caller's contract; the layout tells the class, as it did at `alloc`.
            Some(class) => unsafe { local::heap().push(block, class) },
            // SAFETY: the caller's contract.
            None => unsafe { Self::dealloc_unpooled(block, layout) },
        }
    }

    #[inline(never)]
    unsafe fn dealloc_unpooled(block: NonNull<u8>, layout: Layout) {
        let (size, align) = (layout.size(), layout.align());
        if span::fits(size, align) && !large_apart::is_apart(block, size) {
            // SAFETY: the caller's contract; the layout tells what it is, as it did at `alloc`.
            unsafe { span::free(block) }
        } else {
            // SAFETY: as above.
            let known = unsafe { large::free(block) };
            invariant!(known, "a large block that is freed is one in use");
        }
    }

    /// A block for `layout` to which one of `from` bytes is moved, or null.
    #[cfg(not(feature = "hardened"))]
    #[inline(never)]
    pub(super) fn alloc_moved(&self, from: usize, layout: Layout) -> *mut u8 {
        match large_apart::alloc_moved(from, layout.size(), layout.align()) {
            Some(block) => {
                sweeper::start_if_due();
                block.as_ptr()
            }
            None => self.serve(layout),
        }
    }

    /// Reallocates without moving, or by moving OS pages; `None` if it must be done by copying.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::realloc`].
    #[inline(never)]
    pub(super) unsafe fn resize(
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Option<NonNull<u8>> {
        let align = layout.align();
        match (Home::of_block(block, layout.size(), align), Home::of_block(block, size, align)) {
            (Home::Pool(from), Home::Pool(to)) => (from == to).then_some(block),
            // SAFETY: a span, by its layout, to be one of another size.
            (Home::Span, Home::Span) => unsafe { span::resize(block, size) }.then_some(block),
            // SAFETY: a large block, by its layout, to be one of another size; what moves OS pages
            // keeps no more than their alignment.
            (Home::Large, Home::Large) if align <= sys::page_size() => unsafe {
                large::resize(block, size)
            },
            _ => None,
        }
    }
}

/// Gives back now all that the retention in force lets go, and returns the bytes given back.
///
/// Reaches every heap, but for the pool that each other thread works on or worked on last, the arenas and
/// the kept large blocks. Nothing under [`Retention::NeverShrink`]. Costs a walk over every pool, and a system call
/// for each arena and for each batch of OS pages. A heap whose owner is on a slow path just then may
/// be passed over.
pub fn trim() -> usize {
    let given = trim::trim();
    limit::look();
    given
}

/// The soft limit asked for; [`SoftLimit::NONE`] if there is none.
pub fn soft_limit() -> SoftLimit {
    limit::chosen().unwrap_or(SoftLimit::NONE)
}

/// Asks for another soft limit, or none. If more is resident, gives back at once what can be.
pub fn set_soft_limit(limit: SoftLimit) {
    limit::set(limit);
    limit::make_all_room();
}

/// The retention chosen. Near a soft limit a higher rung is in force: see
/// [`Stats::retention_in_force`](crate::Stats::retention_in_force).
pub fn retention() -> Retention {
    config::chosen_retention().unwrap_or_default()
}

/// Chooses a retention, in force from the next slow path of each thread on. What was kept before is
/// kept until it is used or [`trim`] is called.
pub fn set_retention(retention: Retention) {
    config::set_retention(retention);
}
