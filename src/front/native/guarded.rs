//! What the hardened doors share: more is asked of the allocator than the program asks for, so that each
//! block has a seal behind its user's bytes, and a large one a guard on either side; and what is given back
//! must be a block in use, with its seal whole.
//!
//! ```text
//! large block   | guard, an OS page | the user's bytes | seal | rest of the OS page | guard, an OS page |
//! ```
//!
//! A large block that is aligned to more than an OS page has no guard before it.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::beyond;
use super::fault::{Fault, Sort};
use super::global::{Highwater, Home};
use super::seal::{Request, SEAL_SIZE, Seal};
use crate::base::class::SizeClass;
use crate::base::geometry::round_up;
use crate::heap::large;
#[cfg(feature = "malloc")]
use crate::heap::{local, span};
use crate::mem::arena_map;
use crate::mem::find::{Found, find};
use crate::mem::link::Link;
use crate::mem::pool::{Pool, State};
use crate::mem::secret;
use crate::sys::{guard, page_size};

/// What is asked of the allocator for a request.
pub struct Inner {
    home: Home,
    pub layout: Layout,
    /// Bytes before the user's.
    front: usize,
}

impl Inner {
    /// `None` if it would be too large for a layout.
    pub fn of(request: Request) -> Option<Inner> {
        let (pooled, sealed) = (request.pooled()?, request.sealed()?);
        // What follows rounds up, which a C program's sizes may be too large for.
        let _ = Layout::from_size_align(sealed, request.align()).ok()?;
        let home = Home::of(pooled, request.align());
        let (front, bytes) = match home {
            Home::Pool(_) => (0, pooled),
            Home::Span => (0, sealed),
            Home::Large => {
                let front = front_for(request.align());
                (front, sealed.checked_add(front + page_size())?)
            }
        };
        let layout = Layout::from_size_align(bytes, request.align()).ok()?;
        Some(Inner { home, layout, front })
    }

    /// Makes what the allocator gave for this the user's: seals it, and sets the guards.
    ///
    /// # Safety
    ///
    /// `start` was served for the layout, and is nobody's yet.
    pub unsafe fn open(&self, start: NonNull<u8>, request: Request) -> NonNull<u8> {
        let seal_at = match self.home {
            Home::Pool(class) => seal_at(class),
            Home::Span => request.size,
            // SAFETY: the caller's contract.
            Home::Large => return unsafe { self.open_large(start, request) },
        };
        // SAFETY: the caller's contract; a pool's block and a span hold what the layout says.
        unsafe { Seal::of(start, request).close(start, request.size, seal_at) };
        start
    }

    #[cold]
    unsafe fn open_large(&self, start: NonNull<u8>, request: Request) -> NonNull<u8> {
        // A large block may be the first of all.
        secret::start();
        beyond::hear();
        // SAFETY: the caller's contract: the layout has room for both guards and all between them.
        unsafe {
            let block = start.add(self.front);
            Seal::of(block, request).close(block, request.size, request.size);
            guard::install(start, self.front);
            guard::install(block.add(guard_at(request.size)), page_size());
            block
        }
    }
}

/// Bytes of the guard before a large block.
fn front_for(align: usize) -> usize {
    if align <= page_size() { page_size() } else { 0 }
}

/// Bytes from a large block to the guard behind it.
fn guard_at(size: usize) -> usize {
    round_up(size + SEAL_SIZE, page_size())
}

/// A block that its user may give back.
pub struct Live {
    block: NonNull<u8>,
    pub request: Request,
    home: Home,
}

impl Live {
    /// Ends its user's right to it: breaks the seal, lifts the guards. What the allocator knows it by.
    ///
    /// # Safety
    ///
    /// Nobody uses the block any more, but to give it back or to have it resized.
    pub unsafe fn close(&self) -> NonNull<u8> {
        match self.home {
            // SAFETY: a block of the class has its seal there.
            Home::Pool(class) => unsafe {
                let seal = Seal::of(self.block, self.request);
                seal.broken().write(self.block.add(seal_at(class)));
                self.block
            },
            Home::Span => self.block,
            // SAFETY: the caller's contract; as in `open_large`.
            Home::Large => unsafe {
                let front = front_for(self.request.align());
                let start = self.block.sub(front);
                guard::remove(start, front);
                guard::remove(self.block.add(guard_at(self.request.size)), page_size());
                start
            },
        }
    }

    /// As [`Live::close`], for good: a block that is not a pool's is remembered as one that was.
    ///
    /// # Safety
    ///
    /// As for [`Live::close`].
    pub unsafe fn give_up(&self) -> NonNull<u8> {
        if !matches!(self.home, Home::Pool(_)) {
            beyond::remember(self.block.addr().get(), self.request.size);
        }
        // SAFETY: the caller's contract.
        unsafe { self.close() }
    }

    /// Makes the block one of `to`, without copying; `None` if it must be copied: it is then as it was.
    ///
    /// # Safety
    ///
    /// The block is the caller's, and nobody else uses it.
    pub unsafe fn resize_in_place(&self, to: Request) -> Option<NonNull<u8>> {
        let (before, after) = (Inner::of(self.request)?, Inner::of(to)?);
        // SAFETY: the caller's contract; whatever comes of it is sealed anew.
        unsafe {
            let start = self.close();
            match Highwater::resize(start, before.layout, after.layout.size()) {
                Some(start) => {
                    let block = after.open(start, to);
                    if block != self.block {
                        beyond::remember(self.block.addr().get(), self.request.size);
                    }
                    Some(block)
                }
                None => {
                    before.open(start, self.request);
                    None
                }
            }
        }
    }

    /// Gives the block back to the allocator, wherever it has it from.
    ///
    /// # Safety
    ///
    /// Nobody uses the block any more.
    #[cfg(feature = "malloc")]
    pub unsafe fn give_back(&self) {
        // SAFETY: a block in use, of this home, and its user gave it up.
        unsafe {
            let start = self.give_up();
            match self.home {
                Home::Pool(class) => local::heap().push(start, class),
                Home::Span => span::free(start),
                Home::Large => {
                    let known = large::free(start);
                    invariant!(known, "a live large block is known");
                }
            }
        }
    }
}

/// The class that serves a request, if it is one whose path is compiled into callers.
#[inline(always)]
pub fn small_class(request: Request) -> Option<SizeClass> {
    SizeClass::inlined(request.pooled()?, request.align())
}

/// Where a block of `class` has its seal.
#[inline(always)]
fn seal_at(class: SizeClass) -> usize {
    class.block_size() - SEAL_SIZE
}

/// Makes a block of `class`, just served for `request`, the user's.
///
/// # Safety
///
/// The block is nobody's yet, and its class is the one that serves the request.
#[inline(always)]
pub unsafe fn open_small(block: NonNull<u8>, class: SizeClass, request: Request) {
    // SAFETY: the caller's contract: the block has room for what is asked for, and the seal.
    unsafe { Seal::of(block, request).close(block, request.size, seal_at(class)) };
}

/// Ends its user's right to a block of a small class, if it is one in use that was asked for like this;
/// `None` if something is wrong.
///
/// # Safety
///
/// If all is well, nobody uses the block any more.
#[inline(always)]
pub unsafe fn close_small(
    block: *mut u8,
    class: SizeClass,
    request: Request,
) -> Option<NonNull<u8>> {
    if !arena_map::contains(block.addr()) {
        return None;
    }
    // SAFETY: no arena is at address 0.
    let block = unsafe { NonNull::new_unchecked(block) };
    let within = block.addr().get() & (class.pool_size() - 1);
    // SAFETY: the record of a place in an arena, which is mapped as long as it is known.
    let pool = unsafe { Pool::starting(block.addr().get() - within).as_ref() };
    if pool.class_if_pool() != Some(class) || within + class.block_size() > class.pool_size() {
        return None;
    }
    let (seal, seal_at) = (Seal::of(block, request), seal_at(class));
    // SAFETY: within the pool; if the seal is whole, the block is the caller's.
    unsafe {
        if !seal.is_whole(block, request.size, seal_at) {
            return None;
        }
        seal.broken().write(block.add(seal_at));
    }
    Some(block)
}

/// The live block that a Rust program gives back as one of `request`. Ends the process if it is none.
#[cold]
#[inline(never)]
pub fn expect(block: *mut u8, request: Request) -> Live {
    match live(block) {
        Ok((live, _)) if live.request == request => live,
        Ok((live, bytes)) if live.request.by_malloc => {
            Fault { block, bytes, sort: Sort::Malloced { request: live.request } }.end()
        }
        Ok((live, bytes)) => {
            let sort = Sort::Layout { asked: live.request, given: request };
            Fault { block, bytes, sort }.end()
        }
        Err(fault) => fault.end(),
    }
}

/// The live block that a C program gives back. Ends the process if it is none.
#[cfg(feature = "malloc")]
pub fn expect_malloced(block: *mut u8) -> Live {
    match live(block) {
        Ok((live, _)) if live.request.by_malloc => live,
        Ok((live, bytes)) => {
            Fault { block, bytes, sort: Sort::Layouted { request: live.request } }.end()
        }
        Err(fault) => fault.end(),
    }
}

/// The block that is in use at `block`, whatever it was asked for, and the bytes that it has in the
/// allocator; or what is wrong.
fn live(block: *mut u8) -> Result<(Live, usize), Fault> {
    let fault = |bytes, sort| Fault { block, bytes, sort };
    let Some(at) = NonNull::new(block) else { return Err(fault(0, Sort::Foreign)) };
    let address = at.addr().get();
    if !arena_map::contains(address) {
        return live_large(at).ok_or_else(|| beyond::no_large(block))?;
    }
    // SAFETY: in an arena, which is mapped as long as it is known.
    match unsafe { find(address) } {
        Found::Pool(pool, class) => {
            let live =
                live_pooled(at, pool, class).map_err(|sort| fault(class.block_size(), sort))?;
            Ok((live, class.block_size()))
        }
        Found::Span(span) => {
            let (requested, start) = (span.requested().unwrap_or(0), span.start());
            match requested.checked_sub(SEAL_SIZE) {
                None => Err(beyond::no_span(block)),
                Some(_) if start != at => {
                    let within = address - start.addr().get();
                    Err(fault(requested, Sort::Inside { within }))
                }
                Some(size) => sealed(at, size, requested, Home::Span),
            }
        }
        Found::Nothing => Err(beyond::no_span(block)),
    }
}

fn live_pooled(block: NonNull<u8>, pool: &Pool, class: SizeClass) -> Result<Live, Sort> {
    let (size, offset) = (class.block_size(), block.addr().get() - pool.start().addr().get());
    // The owner may be carving more at this moment, but not this block, if it is in use.
    if offset / size >= pool.carved() {
        return Err(Sort::Never);
    }
    if !offset.is_multiple_of(size) {
        return Err(Sort::Inside { within: offset % size });
    }
    let seal_at = seal_at(class);
    // SAFETY: a block of the pool, which has its seal there.
    let found = unsafe { Seal::at(block.add(seal_at)) };
    if let Some(request) = found.read(block, None)
        && request.size <= seal_at
    {
        // SAFETY: as above.
        let is_whole = unsafe { found.is_whole(block, request.size, seal_at) };
        let live = Live { block, request, home: Home::Pool(class) };
        return if is_whole { Ok(live) } else { Err(Sort::Overflow) };
    }
    // A purged OS page has lost what said so.
    let was_freed = found.broken().read(block, None).is_some()
        || pool.state() == State::Empty
        || pool.is_absent(offset)
        // SAFETY: a block of the pool.
        || unsafe { Link::is_whole(block.cast()) };
    Err(if was_freed { Sort::Twice } else { Sort::Overflow })
}

/// The large block whose user has `block`; `None` if there is none.
pub(super) fn live_large(block: NonNull<u8>) -> Option<Result<(Live, usize), Fault>> {
    [page_size(), 0].into_iter().find_map(|front| {
        let start = NonNull::new(block.as_ptr().wrapping_sub(front))?;
        let requested = large::requested_at(start)?;
        let size = requested.checked_sub(front + SEAL_SIZE + page_size())?;
        let found = sealed(block, size, size, Home::Large);
        // Without a guard before it, only as asked for so.
        let is_so = |live: &Live| front_for(live.request.align()) == front;
        found.as_ref().map_or(true, |(live, _)| is_so(live)).then_some(found)
    })
}

/// The block with a seal right behind its `size` bytes.
fn sealed(
    block: NonNull<u8>,
    size: usize,
    bytes: usize,
    home: Home,
) -> Result<(Live, usize), Fault> {
    // SAFETY: the record says that so many bytes were asked for, and a seal more.
    match unsafe { Seal::at(block.add(size)) }.read(block, Some(size)) {
        Some(request) => Ok((Live { block, request, home }, bytes)),
        None => Err(Fault { block: block.as_ptr(), bytes, sort: Sort::Overflow }),
    }
}
