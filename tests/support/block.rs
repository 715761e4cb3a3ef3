//! Blocks of an allocator that is called by its trait, in a test that lives on the system's: what is counted
//! is what the test asked for.

#[path = "inner.rs"]
pub mod inner;

use std::alloc::{GlobalAlloc, Layout};

use highwater::Highwater;

pub static HIGHWATER: Highwater = Highwater::new();

/// A block, filled, so that it is resident. With the feature `hardened` its size includes what that takes.
pub struct Block {
    pub at: *mut u8,
    layout: Layout,
}

// SAFETY: a block may be freed by any thread.
unsafe impl Send for Block {}

impl Block {
    pub fn new(size: usize) -> Self {
        let layout = inner::asking_for(size);
        // SAFETY: the allocator takes layouts of size 0 too.
        let at = unsafe { HIGHWATER.alloc(layout) };
        assert!(!at.is_null());
        // SAFETY: a block of this size, ours.
        unsafe { at.write_bytes(0xA5, layout.size()) };
        Block { at, layout }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: a live block with its layout.
        unsafe { HIGHWATER.dealloc(self.at, self.layout) };
    }
}

/// `count` blocks; room for their list is made, and touched, before the first.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn blocks(count: usize, size: impl Fn(usize) -> usize) -> Vec<Block> {
    let mut list = Vec::with_capacity(count);
    list.extend((0..count).map(|number| Block::new(size(number))));
    list
}

/// An empty list whose room for `count` blocks is resident.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn room(count: usize) -> Vec<Block> {
    let mut list: Vec<Block> = Vec::with_capacity(count);
    // SAFETY: the room is the list's own.
    unsafe { list.as_mut_ptr().write_bytes(1, count) };
    list
}

/// Every structure holds, and the sum closes.
#[allow(dead_code, reason = "not every test file needs it")]
#[track_caller]
pub fn assert_sound() {
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "{explained}");
}
