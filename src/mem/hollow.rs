//! Hollowing a pool: giving back the OS pages of a pool in use that hold no used block.
//!
//! ```text
//! OS pages   |........|........|........|........|
//! blocks     |  u  |  f  |  f  |  f  |  f  |  u  |     u used, f free
//!                     ^^^^^^^^^^^^^^^^^^^             the second page holds free blocks only: it goes,
//!                  ^^^^^^^^^^^^^                      and every block that reaches into it is absent
//! ```
//!
//! A purged OS page loses what was in it, and with it the links of free blocks. So the blocks that
//! reach into it leave the free list first, a block that only begins or ends there too; the record
//! keeps one bit for each purged OS page. They are carved again, one block's OS pages at a time,
//! when the list is exhausted.

use core::ptr::NonNull;

use super::block::{self, Block};
use super::pool::Pool;
use crate::base::geometry::{FETCHED_SHARE, POOL_BIG, SLOT_SIZE};
#[cfg(feature = "hardened")]
use crate::sys;

/// OS pages that a pool's record can tell apart.
const PAGES_MAX: usize = u32::BITS as usize;
const _: () = assert!(POOL_BIG / SLOT_SIZE <= PAGES_MAX);

/// Bytes that a processor fetches together.
const LINE: usize = 64;

/// A pool's blocks and the OS pages that they lie in.
struct Grid {
    block_size: usize,
    page_shift: u32,
    pages: usize,
}

impl Grid {
    /// `None` if OS pages are larger than the pool.
    fn of(pool: &Pool, page_size: usize) -> Option<Grid> {
        let pages = pool.class().pool_size() / page_size;
        let (block_size, page_shift) = (pool.class().block_size(), page_size.trailing_zeros());
        (pages > 0).then_some(Grid { block_size, page_shift, pages })
    }

    /// The OS pages that a block reaches into, by bit.
    fn pages_of(&self, block: usize) -> u32 {
        self.pages_at(block * self.block_size)
    }

    /// The OS pages that the block at `offset` from the pool's start reaches into, by bit.
    fn pages_at(&self, offset: usize) -> u32 {
        bits(offset >> self.page_shift, (offset + self.block_size - 1) >> self.page_shift)
    }

    /// The blocks below `carved` that reach into an OS page: the first, and one past the last.
    fn blocks_in(&self, page: usize, carved: usize) -> core::ops::Range<usize> {
        let first = (page << self.page_shift) / self.block_size;
        let end = ((page + 1) << self.page_shift).div_ceil(self.block_size);
        first.min(carved)..end.min(carved)
    }

    /// The blocks below `carved` that reach into any of `pages`.
    fn blocks_reaching(&self, pages: u32, carved: usize) -> impl Iterator<Item = usize> {
        let span = match pages {
            0 => 0..0,
            _ => {
                let last = u32::BITS - 1 - pages.leading_zeros();
                let first = self.blocks_in(pages.trailing_zeros() as usize, carved);
                first.start..self.blocks_in(last as usize, carved).end
            }
        };
        span.filter(move |&block| self.pages_of(block) & pages != 0)
    }
}

/// The bits from `first` to `last`, both included.
fn bits(first: usize, last: usize) -> u32 {
    (u32::MAX >> (PAGES_MAX - 1 - (last - first))) << first
}

/// What [`Pool::hollow`] did.
pub struct Hollowed {
    /// OS pages whose contents nobody needs any more, by bit from the pool's start.
    pub pages: u32,
    /// Blocks that left the free list for it.
    pub blocks: usize,
}

impl Pool {
    /// Takes every block off the free list that reaches into an OS page without a used block, and
    /// marks those pages as purged. The caller then purges them. `None` if there is no such page.
    ///
    /// # Safety
    ///
    /// The caller owns the pool, and it is not current.
    pub unsafe fn hollow(&self, page_size: usize) -> Option<Hollowed> {
        let grid = Grid::of(self, page_size)?;
        let (carved, purged) = (self.carved(), self.purged());
        self.expect_listed(&grid, purged);
        // SAFETY: the caller's contract.
        let free_in = unsafe { self.count_free(&grid, purged) };
        let unused = (0..grid.pages).filter(|&page| {
            let blocks = grid.blocks_in(page, carved).len();
            blocks > 0 && usize::from(free_in[page]) == blocks
        });
        let pages = unused.fold(0, |pages, page| pages | 1 << page) & !purged;
        let tail = self.take_tail(&grid);
        if pages | tail == 0 {
            return None;
        }
        let now = purged | pages;
        // SAFETY: the caller's contract.
        let blocks = unsafe { self.keep_listed(|offset| grid.pages_at(offset) & now == 0) };
        self.set_purged(now, self.absent() + blocks);
        Some(Hollowed { pages: pages | tail, blocks })
    }

    /// Has the processor fetch what the free list leads through, if that is much of the pool: all at once, where the list
    /// tells of a block only when the one before has come.
    fn expect_listed(&self, grid: &Grid, purged: u32) {
        if self.listed() < self.carved() / FETCHED_SHARE {
            return;
        }
        let step = grid.block_size.max(LINE);
        for offset in (0..self.carved() * grid.block_size).step_by(step) {
            if purged & 1 << (offset >> grid.page_shift) == 0 {
                // SAFETY: within the pool.
                block::expect(unsafe { self.start().add(offset) }.as_ptr().cast());
            }
        }
    }

    /// The OS pages behind the carved blocks, by bit, if they may be resident: once.
    fn take_tail(&self, grid: &Grid) -> u32 {
        if !self.is_tail_resident() {
            return 0;
        }
        self.forget_tail();
        let behind = (0..grid.pages).filter(|&page| grid.blocks_in(page, self.carved()).is_empty());
        behind.fold(0, |pages, page| pages | 1 << page)
    }

    /// How many free blocks reach into each OS page, absent ones among them.
    ///
    /// # Safety
    ///
    /// As for [`Pool::hollow`].
    unsafe fn count_free(&self, grid: &Grid, purged: u32) -> [u16; PAGES_MAX] {
        let mut free_in = [0; PAGES_MAX];
        let mut count = |mut pages: u32| {
            while pages != 0 {
                free_in[pages.trailing_zeros() as usize] += 1;
                pages &= pages - 1;
            }
        };
        grid.blocks_reaching(purged, self.carved()).for_each(|block| count(grid.pages_of(block)));
        // SAFETY: the list is the caller's.
        unsafe { self.for_each_listed(|block| count(grid.pages_at(self.offset_of(block)))) };
        free_in
    }

    /// Keeps of the free list the blocks that `keep` says, by offset. Returns how many it does not keep.
    ///
    /// # Safety
    ///
    /// As for [`Pool::hollow`].
    unsafe fn keep_listed(&self, keep: impl Fn(usize) -> bool) -> usize {
        let (mut kept, mut last, mut left) = (block::NONE, None, 0);
        let mut block = self.free.get();
        while let Some(found) = NonNull::new(block) {
            // SAFETY: on the caller's list.
            block = unsafe { Block::next(found) };
            if !keep(self.offset_of(found)) {
                left += 1;
                continue;
            }
            match last {
                // SAFETY: both are free blocks of the caller's.
                Some(last) => unsafe { Block::set_next(last, found.as_ptr()) },
                None => kept = found.as_ptr(),
            }
            last = Some(found);
        }
        if let Some(last) = last {
            // SAFETY: a free block of the caller's.
            unsafe { Block::set_next(last, block::NONE) };
        }
        self.free.set(kept);
        left
    }

    /// Carves absent blocks again: all that become whole when the OS pages of the first absent one
    /// are used again. Returns the first of a list, how many, and how many OS pages; `None` if no
    /// block is absent.
    ///
    /// # Safety
    ///
    /// The caller owns the pool.
    pub unsafe fn carve_again(&self, page_size: usize) -> Option<(NonNull<Block>, usize, u32)> {
        let purged = self.purged();
        if purged == 0 {
            return None;
        }
        let grid = Grid::of(self, page_size)?;
        let carved = self.carved();
        let page = purged.trailing_zeros() as usize;
        let block = grid.blocks_in(page, carved).next()?;
        let used_again = grid.pages_of(block) & purged;
        let now = purged & !used_again;
        let (mut list, mut count) = (block::NONE, 0);
        for index in grid.blocks_reaching(used_again, carved) {
            if grid.pages_of(index) & now != 0 {
                continue;
            }
            // SAFETY: a block of the pool.
            let block = unsafe { self.start().add(index * grid.block_size) }.cast::<Block>();
            // SAFETY: absent, so nobody's.
            unsafe { Block::set_next(block, list) };
            list = block.as_ptr();
            count += 1;
        }
        self.set_purged(now, self.absent() - count);
        Some((NonNull::new(list)?, count, used_again.count_ones()))
    }

    /// Whether the block at `offset` from the pool's start reaches into a purged OS page.
    #[cfg(feature = "hardened")]
    pub fn is_absent(&self, offset: usize) -> bool {
        Grid::of(self, sys::page_size())
            .is_some_and(|grid| grid.pages_at(offset) & self.purged() != 0)
    }

    fn offset_of(&self, block: NonNull<Block>) -> usize {
        block.addr().get() - self.start().addr().get()
    }

    /// # Safety
    ///
    /// The caller owns the pool.
    unsafe fn for_each_listed(&self, mut each: impl FnMut(NonNull<Block>)) {
        let mut block = self.free.get();
        while let Some(found) = NonNull::new(block) {
            each(found);
            // SAFETY: on the caller's list.
            block = unsafe { Block::next(found) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_a_run() {
        assert_eq!(bits(0, 0), 1);
        assert_eq!(bits(3, 5), 0b111000);
        assert_eq!(bits(0, 31), u32::MAX);
        assert_eq!(bits(31, 31), 1 << 31);
    }

    #[test]
    fn blocks_and_pages_tell_the_same_of_each_other() {
        for block_size in [8, 24, 144, 1024, 5120, 8192, 20480, 32768] {
            let grid = Grid { block_size, page_shift: 12, pages: 32 };
            let carved = 32 * 4096 / block_size;
            for page in 0..32 {
                let reach = |block: &usize| grid.pages_of(*block) & (1 << page) != 0;
                let naive: std::vec::Vec<_> = (0..carved).filter(reach).collect();
                assert!(grid.blocks_in(page, carved).eq(naive.iter().copied()));
                assert!(grid.blocks_reaching(1 << page, carved).eq(naive));
            }
        }
    }
}
