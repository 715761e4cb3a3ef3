//! Allocating by size, and taking blocks back by address.
//!
//! `blocks_hardened.rs` takes this file's place with the feature `hardened`.

use core::ptr::{self, NonNull};

use super::check;
use super::serve::{REQUEST_MAX, allocate_at, allocate_of, allocate_with_room, refused};
use crate::base::class::SizeClass;
use crate::base::geometry::SLOT_SIZE;
use crate::base::malloc_class::MALLOC_ALIGN;
use crate::heap::thread_heap::ThreadHeap;
use crate::heap::{large, large_apart, local, span, sweeper};
use crate::mem::arena_map;
use crate::mem::block;
use crate::mem::find::{Found, find};
use crate::mem::pool::Pool;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A smaller request keeps its block if it wastes less than one part in so many of it.
const SHRINK_KEEPS: usize = 4;

static STRAYS: AtomicU64 = AtomicU64::new(0);

/// Addresses given back that are no block of this allocator's: left alone, so lost.
pub fn strays() -> u64 {
    STRAYS.load(Relaxed)
}

/// A block of at least `size` bytes, also for 0, or null with the error number set.
#[inline(always)]
pub fn allocate(size: usize) -> *mut u8 {
    match SizeClass::malloced(size) {
        Some(class) => allocate_of(class),
        None => allocate_more(size),
    }
}

/// As [`allocate`], all bytes zero.
#[inline(always)]
pub fn allocate_zeroed(size: usize) -> *mut u8 {
    if SizeClass::malloced(size).is_none() {
        return allocate_zeroed_more(size);
    }
    let block = allocate(size);
    if !block.is_null() {
        // SAFETY: a block of at least this size, just allocated.
        unsafe { block.write_bytes(0, size) };
    }
    block
}

#[inline(never)]
fn allocate_zeroed_more(size: usize) -> *mut u8 {
    let (block, is_zero) = allocate_at(size, MALLOC_ALIGN);
    if !is_zero && !block.is_null() {
        // SAFETY: a block of at least this size, just allocated.
        unsafe { block::zero(block, size) };
    }
    block
}

/// As [`allocate`], at a multiple of `align`, a power of two.
pub fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    allocate_at(size, align.max(MALLOC_ALIGN)).0
}

#[inline(never)]
fn allocate_more(size: usize) -> *mut u8 {
    allocate_at(size, MALLOC_ALIGN).0
}

/// Takes a block back; null is none.
///
/// # Safety
///
/// `block` is null, or one of this module's and nobody uses it any more, or no block of this allocator's.
#[inline(always)]
pub unsafe fn release(block: *mut u8) {
    let heap = local::heap();
    if heap.is_latest(block) {
        // SAFETY: the caller's contract.
        return unsafe { release_latest(block, heap) };
    }
    // SAFETY: the caller's contract.
    unsafe { release_to(heap, block) };
}

/// Many a block is freed before the next is asked for: then nothing need be found out, and the next request need not wait for it.
#[inline(never)]
unsafe fn release_latest(block: *mut u8, heap: &'static ThreadHeap) {
    // SAFETY: the caller's contract; what `malloc` gave last is a block of a class.
    if arena_map::is_checked() || !unsafe { heap.push_latest(block) } {
        // SAFETY: the caller's contract.
        unsafe { release_after_all(block, heap) };
    }
}

/// What was allocated last must be found by its address all the same.
#[cold]
#[inline(never)]
unsafe fn release_after_all(block: *mut u8, heap: &'static ThreadHeap) {
    // SAFETY: the caller's contract.
    unsafe { release_to(heap, block) };
}

#[inline(always)]
unsafe fn release_to(heap: &'static ThreadHeap, block: *mut u8) {
    match trusted(block) {
        // SAFETY: the caller's contract.
        Some(found) => unsafe { found.release_to(heap) },
        // SAFETY: the caller's contract.
        None => unsafe { release_other(block) },
    }
}

/// A block in a pool, with nothing to be checked.
struct Trusted {
    block: NonNull<u8>,
    class: SizeClass,
    pool: NonNull<Pool>,
}

impl Trusted {
    /// Takes the block back, for the thread that has `heap`.
    ///
    /// # Safety
    ///
    /// Nobody uses it any more.
    #[inline(always)]
    unsafe fn release_to(self, heap: &'static ThreadHeap) {
        let Trusted { block, class, pool } = self;
        // SAFETY: the caller's contract; the pool is of this class, and holds the block.
        unsafe { heap.push_found(block, class, pool) };
    }
}

/// Where `block` is, if that is a pool of a trusted arena.
#[inline(always)]
fn trusted(block: *mut u8) -> Option<Trusted> {
    if !arena_map::is_trusted(block.addr()) {
        return None;
    }
    // SAFETY: in an arena, which stays mapped as long as the block is used.
    let (pool, class) = unsafe { Pool::around(block.addr()) }?;
    // SAFETY: no arena is at address 0.
    Some(Trusted { block: unsafe { NonNull::new_unchecked(block) }, class, pool })
}

/// Takes back what is in no pool, or in an arena that is not trusted; null, which many a program frees, without a frame.
#[inline(never)]
unsafe fn release_other(block: *mut u8) {
    if let Some(block) = NonNull::new(block) {
        // SAFETY: the caller's contract.
        unsafe { release_by_place(block) };
    }
}

#[inline(never)]
unsafe fn release_by_place(block: NonNull<u8>) {
    let is_ours = match Place::of(block) {
        Place::Pool(pool, class) if check::is_sound(block, pool, class) => {
            // SAFETY: the caller's contract; the pool is of this class.
            unsafe { local::heap().push(block, class) };
            true
        }
        Place::Span(_) => {
            // SAFETY: the caller's contract.
            unsafe { span::free(block) };
            true
        }
        // SAFETY: the caller's contract.
        Place::Outside => unsafe { large::free(block) },
        Place::Pool(..) | Place::Nowhere => false,
    };
    if !is_ours {
        stray(block);
    }
}

/// `block` is none of ours.
#[cold]
fn stray(block: NonNull<u8>) {
    check::complain_of(block);
    STRAYS.fetch_add(1, Relaxed);
}

/// Where a block is.
enum Place {
    Pool(&'static Pool, SizeClass),
    /// A live span that starts there.
    Span(&'static Pool),
    /// In an arena, but nothing that is in use starts there.
    Nowhere,
    /// In no arena: a large block, or nothing of ours.
    Outside,
}

impl Place {
    fn of(block: NonNull<u8>) -> Place {
        let address = block.addr().get();
        if !arena_map::contains(address) {
            return Place::Outside;
        }
        // SAFETY: in an arena, which stays mapped as long as the block is used.
        match unsafe { find(address) } {
            Found::Pool(pool, class) => Place::Pool(pool, class),
            Found::Span(span) if span.start() == block && span.requested().is_some() => {
                Place::Span(span)
            }
            _ => Place::Nowhere,
        }
    }

    /// Bytes that the user of the block may use; `None` if it is none of ours.
    fn usable(&self, block: NonNull<u8>) -> Option<usize> {
        match self {
            Place::Pool(_, class) => Some(class.block_size()),
            Place::Span(span) => Some(span.slots() * SLOT_SIZE),
            Place::Outside => large::mapped_at(block),
            Place::Nowhere => None,
        }
    }
}

/// Bytes that the user of `block` may use: 0 for null and for what is no block of ours.
///
/// # Safety
///
/// As for [`release`], and the block is in use.
pub unsafe fn usable_size(block: *mut u8) -> usize {
    let usable = |block| Place::of(block).usable(block);
    NonNull::new(block).and_then(usable).unwrap_or(0)
}

/// Makes a block hold `size` bytes, elsewhere if it must: null with the error number set if there is no
/// memory, and the block is then as it was.
///
/// # Safety
///
/// As for [`release`], and neither is `block` null nor `size` 0.
pub unsafe fn resize(block: *mut u8, size: usize) -> *mut u8 {
    match trusted(block) {
        Some(Trusted { class, .. }) if suits(class, size) => block,
        // SAFETY: the caller's contract.
        Some(found) => unsafe { move_found(found, size) },
        // SAFETY: the caller's contract.
        None => unsafe { resize_more(block, size) },
    }
}

/// Makes a block hold `size` bytes elsewhere.
///
/// # Safety
///
/// As for [`resize`].
#[inline(never)]
unsafe fn move_found(found: Trusted, size: usize) -> *mut u8 {
    let (block, class) = (found.block, found.class);
    let new = allocate_first([with_room(class, size), size], allocate);
    if !new.is_null() {
        // SAFETY: two blocks, each of at least the bytes copied; then the old one is given up.
        unsafe {
            ptr::copy_nonoverlapping(block.as_ptr(), new, class.block_size().min(size));
            found.release_to(local::heap());
        }
    }
    new
}

/// Whether a block of `class` may stay where it is to hold `size` bytes.
#[inline(always)]
fn suits(class: SizeClass, size: usize) -> bool {
    let have = class.block_size();
    size <= have && have - size < (have / SHRINK_KEEPS).max(MALLOC_ALIGN)
}

/// What to ask for when a block of `class` moves to hold `size` bytes. One that grows by little will grow again: it comes
/// to lie in the class after the next, and so moves every other time. More bytes than `suits` lets it keep are never
/// left over, so that who asks for the same size again finds the block where it is.
#[inline(always)]
fn with_room(class: SizeClass, size: usize) -> usize {
    match SizeClass::from_index(class.index() + 2) {
        Some(after_next) if size > class.block_size() => size.max(after_next.block_size()),
        _ => size,
    }
}

/// The first block that there is memory for; null if there is for neither. What room takes is not to fail a request.
#[inline(always)]
fn allocate_first(sizes: [usize; 2], allocate: impl Fn(usize) -> *mut u8) -> *mut u8 {
    let block = allocate(sizes[0]);
    if block.is_null() && sizes[1] < sizes[0] { allocate(sizes[1]) } else { block }
}

/// As [`with_room`] for a block of `usable` bytes that is no pool's: an eighth more than it had, if it grows by less.
fn room_beside(usable: usize, size: usize) -> usize {
    if size > usable { size.max(usable + usable / 8) } else { size }
}

/// Resizes what is in no small or medium pool, or in an arena that is not trusted.
#[inline(never)]
unsafe fn resize_more(block: *mut u8, size: usize) -> *mut u8 {
    let Some(old) = NonNull::new(block) else { return allocate(size) };
    if size > REQUEST_MAX {
        return refused();
    }
    let place = Place::of(old);
    // SAFETY: the caller's contract.
    if let Some(resized) = unsafe { resize_in_place(old, &place, size) } {
        return resized.as_ptr();
    }
    let Some(usable) = place.usable(old) else {
        // Nobody knows how many bytes could be copied.
        stray(old);
        return refused();
    };
    let new = match place {
        Place::Pool(_, class) => allocate_first([with_room(class, size), size], allocate),
        _ => allocate_moved(usable, size),
    };
    if !new.is_null() {
        // SAFETY: two blocks, each of at least the bytes copied; then the old one is given up.
        unsafe {
            ptr::copy_nonoverlapping(block, new, usable.min(size));
            release(block);
        }
    }
    new
}

/// A block for one of `usable` bytes that is no pool's and is moved to hold `size`.
fn allocate_moved(usable: usize, size: usize) -> *mut u8 {
    if let Some(block) = large_apart::alloc_moved(usable, size, MALLOC_ALIGN) {
        sweeper::start_if_due();
        return block.as_ptr();
    }
    allocate_first([room_beside(usable, size), size], |room| {
        allocate_with_room(size, MALLOC_ALIGN, room).0
    })
}

/// Resizes without copying; `None` if it must be copied.
unsafe fn resize_in_place(block: NonNull<u8>, place: &Place, size: usize) -> Option<NonNull<u8>> {
    let pooled = SizeClass::of(size, MALLOC_ALIGN);
    let spanned = span::fits(size, MALLOC_ALIGN) && !large_apart::is_apart(block, size);
    match place {
        Place::Pool(_, class) => suits(*class, size).then_some(block),
        Place::Span(_) if pooled.is_none() && spanned => {
            // SAFETY: the caller's contract; a span, to be one of another size.
            unsafe { span::resize(block, size) }.then_some(block)
        }
        Place::Outside if pooled.is_none() && !spanned => {
            // SAFETY: the caller's contract; large, to be so with another size. What moves keeps the
            // alignment of an OS page, and no more is promised.
            unsafe { large::resize(block, size) }
        }
        _ => None,
    }
}
