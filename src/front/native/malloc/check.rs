//! `HIGHWATER_CHECK=1`: what is given back is looked at first, and a mistake ends the process with a
//! message. Without it, what the record tells at no price is left alone and counted.
//!
//! Found: an address that was never a block's start, in an arena or outside; a block given back again
//! as long as it is on a list that the calling thread may read, or its pool, span or mapping has gone. Not
//! found: a block given back again after it was allocated again, or while it is on another thread's list.

use core::fmt::Arguments;
use core::ptr::NonNull;

use crate::base::class::SizeClass;
use crate::heap::local;
use crate::mem::arena_map;
use crate::mem::block;
use crate::mem::pool::{Pool, State};
use crate::sys;

/// Whether `block` can be a used block of `pool`. Ends the process if it cannot, and checks are on;
/// always true if they are not.
pub fn is_sound(block: NonNull<u8>, pool: &Pool, class: SizeClass) -> bool {
    if !arena_map::is_checked() {
        return true;
    }
    let offset = block.addr().get() - pool.start().addr().get();
    if !offset.is_multiple_of(class.block_size()) {
        die(block, format_args!("inside a block of {} bytes", class.block_size()));
    }
    let number = offset / class.block_size();
    // The owner may be carving more at this moment, but not this block, if it is in use.
    if number >= pool.carved() {
        die(block, format_args!("never allocated"));
    }
    if pool.state() == State::Empty || is_listed(block, pool, class) {
        die(block, format_args!("not in use: freed already"));
    }
    true
}

/// Whether a block is on a list that the calling thread may read.
fn is_listed(block: NonNull<u8>, pool: &Pool, class: SizeClass) -> bool {
    let heap = local::own();
    let _inside = heap.enter();
    let is_ours = pool.owner() == heap.as_owner();
    let list = match pool.state() {
        State::Current if is_ours => heap.current(class).free.get(),
        _ if is_ours => pool.free.get(),
        // As a guest.
        _ => heap.current(class).free.get(),
    };
    // SAFETY: the lists are this heap's, and this is its thread.
    if unsafe { block::each(list) }.any(|listed| listed == block.cast()) {
        return true;
    }
    match is_ours {
        // SAFETY: this heap owns the pool, and this is its thread.
        true => unsafe { pool.waits(block.cast()) },
        false => heap.outbox.holds(block.cast(), pool),
    }
}

/// Ends the process if checks are on: `block` is nothing that could be given back.
pub fn complain_of(block: NonNull<u8>) {
    if arena_map::is_checked() {
        match arena_map::contains(block.addr().get()) {
            true => die(block, format_args!("freed already, or never allocated")),
            false => die(block, format_args!("not allocated here, or freed already")),
        }
    }
}

fn die(block: NonNull<u8>, what: Arguments<'_>) -> ! {
    sys::fatal::complain(format_args!("free({block:p}): {what}"));
    sys::abort()
}
