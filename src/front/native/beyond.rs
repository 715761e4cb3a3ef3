//! Addresses that are no block's start: within a block, beside one in its guard, or where one was that is freed.
//!
//! All of this is for a line before the process ends.

use core::ptr::{self, NonNull};

use super::fault::{Fault, Sort};
use super::guarded::live_large;
use crate::heap::large;
use crate::mem::arena_map;
use crate::mem::find::find_span_around;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sys::page_size;
use crate::sys::stops::{self, Listener};

/// Spans and large blocks that were freed last: nothing else remembers them. How many, at most: one that comes to
/// another's place takes it.
const PLACES: usize = 1024;

/// One that was freed. Two threads that come to one place at once may leave the bytes of the other: a line says them,
/// nothing else depends on them.
struct Freed {
    address: AtomicUsize,
    bytes: AtomicUsize,
}

static FREED: [Freed; PLACES] =
    [const { Freed { address: AtomicUsize::new(0), bytes: AtomicUsize::new(0) } }; PLACES];

/// Both start at a multiple of 4 KiB.
fn place(address: usize) -> &'static Freed {
    let number = address / 4096;
    &FREED[(number ^ (number / PLACES)) % PLACES]
}

/// A block of so many bytes is freed.
pub fn remember(address: usize, bytes: usize) {
    let place = place(address);
    place.bytes.store(bytes, Relaxed);
    place.address.store(address, Relaxed);
}

/// The bytes of the block that was freed at `address`, where none is now; `None` if there was none, or it is forgotten.
fn freed_bytes(address: usize) -> Option<usize> {
    let place = place(address);
    (place.address.load(Relaxed) == address).then(|| place.bytes.load(Relaxed))
}

/// What is wrong with giving `block` back, at which no pool and no span in use starts, though it lies in an arena.
#[cold]
pub fn no_span(block: *mut u8) -> Fault {
    // SAFETY: in an arena, which is mapped as long as it is known.
    let around = unsafe { find_span_around(block.addr()) };
    let around = around.map(|span| (span.start(), span.requested().unwrap_or(0)));
    no_start(block, around, Sort::Nowhere)
}

/// What is wrong with giving `block` back, at which no large block starts, and which lies in no arena.
#[cold]
pub fn no_large(block: *mut u8) -> Fault {
    no_start(block, large_around(block.addr()), Sort::Foreign)
}

/// One that was freed before; or an address within the block `around`, of so many bytes; or what else it is.
fn no_start(block: *mut u8, around: Option<(NonNull<u8>, usize)>, else_sort: Sort) -> Fault {
    let within = |start: NonNull<u8>| block.addr().checked_sub(start.addr().get());
    let (bytes, sort) = match (freed_bytes(block.addr()), around) {
        (Some(bytes), _) => (bytes, Sort::Twice),
        (None, Some((start, bytes))) if within(start).is_some_and(|within| within < bytes) => {
            (bytes, Sort::Inside { within: within(start).unwrap_or(0) })
        }
        _ => (0, else_sort),
    };
    Fault { block, bytes, sort }
}

/// Names what comes to a guard.
struct Guards;

impl Listener for Guards {
    fn stopped_at(address: usize) {
        if let Some(fault) = beyond(address) {
            fault.end()
        }
    }
}

/// Has accesses to guards named, from now on.
pub fn hear() {
    stops::hear::<Guards>();
}

/// What is wrong with an access to `address`, which the system stopped; `None` if that is no guard round blocks.
fn beyond(address: usize) -> Option<Fault> {
    let at = ptr::without_provenance_mut(address);
    if arena_map::contains(address) {
        return Some(Fault { block: at, bytes: 0, sort: Sort::Guard });
    }
    let (block, bytes) = large_around(address)?;
    let start = block.addr().get();
    let sort = match address.checked_sub(start) {
        None => Sort::Before { by: start - address },
        Some(within) => Sort::Behind { by: within.saturating_sub(bytes) },
    };
    Some(Fault { block: at, bytes, sort })
}

/// The large block in use in whose mapping `address` lies, guards included, and its bytes.
fn large_around(address: usize) -> Option<(NonNull<u8>, usize)> {
    let start = large::start_around(address)?;
    let found = [page_size(), 0].map(|front| {
        // SAFETY: a large block's mapping is at least as long as its guards.
        let block = unsafe { start.add(front) };
        Some((block, live_large(block)?))
    });
    let whole = found.iter().flatten().find_map(|(block, found)| {
        found.as_ref().ok().map(|(live, _)| (*block, live.request.size))
    });
    // If the seal was written over, the record says as much, for a block with a guard before it.
    whole.or_else(|| {
        let (block, broken) = found.into_iter().flatten().next()?;
        broken.err().map(|fault| (block, fault.bytes))
    })
}
