//! Blocks that know what must be in them, and the set of them that a thread works on.

use std::alloc::{self, Layout};
use std::sync::{Mutex, PoisonError};

use fastrand::Rng;

/// Up to this size every byte of a block is written and verified; of a larger one its ends, and a byte in
/// every [`STRIDE`].
const WHOLE: usize = 512;
const END: usize = 128;
const STRIDE: usize = 1 << 10;

/// Blocks that one thread left for another.
static HANDED_OVER: Mutex<Vec<Block>> = Mutex::new(Vec::new());
const HANDED_OVER_MAX: usize = 4096;

/// A block, its layout and what it was filled from.
pub struct Block {
    at: *mut u8,
    layout: Layout,
    tag: u64,
}

// SAFETY: the block goes with its owner.
unsafe impl Send for Block {}

impl Block {
    fn new(layout: Layout, rng: &mut Rng) -> Block {
        let zeroed = rng.u8(..) < 40;
        // SAFETY: layouts here are of at least one byte.
        let at = unsafe { if zeroed { alloc::alloc_zeroed(layout) } else { alloc::alloc(layout) } };
        assert!(!at.is_null(), "no memory for {layout:?}");
        assert_eq!(at.addr() % layout.align(), 0, "{layout:?} at {at:?}");
        let mut block = Block { at, layout, tag: 0 };
        if zeroed {
            block
                .offsets()
                .for_each(|offset| assert_eq!(block.read(offset), 0, "{layout:?} is zeroed"));
        }
        block.fill(rng.u64(..));
        block
    }

    fn offsets(&self) -> impl Iterator<Item = usize> + use<> {
        let size = self.layout.size();
        let (whole, ends) = if size <= WHOLE { (size, 0) } else { (END, END) };
        let between = (whole..size - ends).step_by(STRIDE);
        (0..whole).chain(between).chain(size - ends..size)
    }

    fn read(&self, offset: usize) -> u8 {
        // SAFETY: within the block.
        unsafe { self.at.add(offset).read() }
    }

    /// What belongs at `offset`: differs from block to block and from place to place.
    fn mark(&self, offset: usize) -> u8 {
        (self.tag.wrapping_mul(offset as u64 | 1) >> 32) as u8
    }

    fn fill(&mut self, tag: u64) {
        self.tag = tag;
        for offset in self.offsets() {
            // SAFETY: within the block, which is ours.
            unsafe { self.at.add(offset).write(self.mark(offset)) };
        }
    }

    pub fn verify(&self) {
        for offset in self.offsets() {
            let (found, wanted) = (self.read(offset), self.mark(offset));
            assert_eq!(found, wanted, "byte {offset} of {:?} at {:?}", self.layout, self.at);
        }
    }

    /// Grows or shrinks the block; the bytes that both sizes have are verified.
    fn resize(&mut self, size: usize) {
        let kept = self.layout.size().min(size);
        // SAFETY: a live block with its layout, of at least one byte afterwards too.
        let at = unsafe { alloc::realloc(self.at, self.layout, size) };
        assert!(!at.is_null(), "no memory for {size} bytes");
        let old = self.layout;
        let layout = Layout::from_size_align(size, old.align()).expect("a size as before");
        let moved = Block { at, layout: old, tag: self.tag };
        for offset in moved.offsets().filter(|&offset| offset < kept) {
            assert_eq!(
                moved.read(offset),
                moved.mark(offset),
                "byte {offset} of {old:?}, now {size}"
            );
        }
        std::mem::forget(moved);
        (self.at, self.layout) = (at, layout);
        self.fill(self.tag);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.verify();
        // SAFETY: a live block with its layout.
        unsafe { alloc::dealloc(self.at, self.layout) };
    }
}

/// A size as programs ask for it: mostly small, seldom of megabytes.
fn size(rng: &mut Rng) -> usize {
    match rng.u16(..1000) {
        0..700 => rng.usize(1..=256),
        700..900 => rng.usize(1..=4096),
        900..980 => rng.usize(1..=40_000),
        980..998 => rng.usize(1..=600_000),
        _ => rng.usize(1..=5_000_000),
    }
}

fn layout(rng: &mut Rng) -> Layout {
    let align = match rng.u8(..100) {
        0..85 => 8,
        85..99 => 1 << rng.u8(0..=12),
        _ => 1 << rng.u8(13..=21),
    };
    Layout::from_size_align(size(rng), align).expect("small numbers")
}

/// What was done.
#[derive(Clone, Copy, Default)]
pub struct Done {
    pub made: u64,
    pub resized: u64,
    pub freed: u64,
    pub handed_over: u64,
}

/// The blocks of one thread: bounded in number and bytes.
#[derive(Default)]
pub struct Blocks {
    blocks: Vec<Block>,
    bytes: usize,
    pub done: Done,
}

impl Blocks {
    const COUNT_MAX: usize = 20_000;
    const BYTES_MAX: usize = 48 << 20;

    /// One action; `growing` of 100 make a block.
    pub fn act(&mut self, rng: &mut Rng, growing: u8) {
        let full = self.blocks.len() >= Self::COUNT_MAX || self.bytes >= Self::BYTES_MAX;
        match rng.u8(..100) {
            action if action < growing && !full => self.make(rng),
            0..85 => self.free(rng),
            85..92 => self.resize(rng),
            92..95 => self.hand_over(rng),
            95..98 => self.take_over(),
            _ => self.verify_some(rng),
        }
    }

    /// Actions that concern no other thread: for a forked child, which must not take a lock that a thread it
    /// lacks may hold.
    pub fn act_alone(&mut self, rng: &mut Rng, actions: u32) {
        for _ in 0..actions {
            match rng.u8(..10) {
                0..5 => self.make(rng),
                5..8 => self.free(rng),
                _ => self.resize(rng),
            }
        }
    }

    fn make(&mut self, rng: &mut Rng) {
        let block = Block::new(layout(rng), rng);
        self.bytes += block.layout.size();
        self.done.made += 1;
        self.blocks.push(block);
    }

    fn take(&mut self, rng: &mut Rng) -> Option<Block> {
        let count = self.blocks.len();
        let block = (count > 0).then(|| self.blocks.swap_remove(rng.usize(..count)))?;
        self.bytes -= block.layout.size();
        Some(block)
    }

    fn free(&mut self, rng: &mut Rng) {
        self.done.freed += u64::from(self.take(rng).is_some());
    }

    fn resize(&mut self, rng: &mut Rng) {
        let Some(mut block) = self.take(rng) else { return };
        let before = block.layout.size();
        let to = if rng.bool() { size(rng) } else { rng.usize(before / 2..=before * 2).max(1) };
        block.resize(to.min(8 << 20));
        self.bytes += block.layout.size();
        self.done.resized += 1;
        self.blocks.push(block);
    }

    fn hand_over(&mut self, rng: &mut Rng) {
        let Some(block) = self.take(rng) else { return };
        let mut handed_over = HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
        if handed_over.len() < HANDED_OVER_MAX {
            handed_over.push(block);
            self.done.handed_over += 1;
        }
    }

    fn take_over(&mut self) {
        let mut handed_over = HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = handed_over.pop();
        drop(handed_over);
        if let Some(block) = taken {
            self.bytes += block.layout.size();
            self.blocks.push(block);
        }
    }

    fn verify_some(&mut self, rng: &mut Rng) {
        let count = self.blocks.len();
        if count > 0 {
            let from = rng.usize(..count);
            self.blocks[from..].iter().take(20).for_each(Block::verify);
        }
    }

    pub fn verify(&self) {
        self.blocks.iter().for_each(Block::verify);
    }

    /// Frees all but about one in `one_in`, at random places.
    pub fn thin_out(&mut self, rng: &mut Rng, one_in: usize) {
        let before = self.blocks.len();
        self.blocks.retain(|_| rng.usize(..one_in) == 0);
        self.done.freed += (before - self.blocks.len()) as u64;
        self.bytes = self.blocks.iter().map(|block| block.layout.size()).sum();
    }

    /// Takes those blocks of another set over that are of at most `bytes_max`; the older ones go if there are
    /// more than `count_max`.
    pub fn absorb(&mut self, mut others: Blocks, count_max: usize, bytes_max: usize) {
        others.blocks.retain(|block| block.layout.size() <= bytes_max);
        self.blocks.append(&mut others.blocks);
        if self.blocks.len() > count_max {
            self.blocks.drain(..self.blocks.len() - count_max / 2);
        }
        self.bytes = self.blocks.iter().map(|block| block.layout.size()).sum();
    }
}

/// Frees what was left for other threads.
pub fn clear_handed_over() {
    let left = std::mem::take(&mut *HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner));
    drop(left);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_whose_bytes_changed_is_found() {
        let mut rng = Rng::with_seed(1);
        for size in [1, 512, 513, 5_000, 600_000] {
            let block = Block::new(Layout::from_size_align(size, 8).expect("small"), &mut rng);
            block.verify();
            let offset = block.offsets().last().expect("a byte");
            // SAFETY: within the block.
            unsafe { block.at.add(offset).write(!block.mark(offset)) };
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block.verify()));
            assert!(found.is_err(), "{size} bytes");
            // SAFETY: as above.
            unsafe { block.at.add(offset).write(block.mark(offset)) };
        }
    }

    #[test]
    fn a_set_of_blocks_stays_within_its_bounds_and_comes_to_nothing() {
        let mut rng = Rng::with_seed(2);
        let mut blocks = Blocks::default();
        for _ in 0..60_000 {
            blocks.act(&mut rng, 70);
        }
        blocks.verify();
        assert!(blocks.blocks.len() <= Blocks::COUNT_MAX && blocks.done.made > 20_000);
        assert!(blocks.bytes < Blocks::BYTES_MAX + (16 << 20));
        let mut survivors = Blocks::default();
        survivors.absorb(blocks, 100, 1000);
        assert!(!survivors.blocks.is_empty() && survivors.blocks.len() <= 100);
        assert!(survivors.bytes <= 100 * 1000);
        clear_handed_over();
    }
}
