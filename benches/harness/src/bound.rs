//! The bound: the bytes of all OS pages that hold a survivor, which no allocator that leaves blocks where they
//! are can fall below.
//!
//! It is computed from the survivors' own addresses and sizes, so it does not depend on what the kernel or the
//! allocator says. What the program needs to reach its survivors, such as the vector that holds them, is a
//! survivor too. Counting asks the measured allocator for nothing: it marks one bit for each OS page of the
//! address space in a mapping of its own, of which only touched parts become resident, and which is gone before
//! the next look at resident memory.

use std::io;
use std::ptr::{self, NonNull};

use crate::kernel;

/// Addresses of a process end below this power of two.
const ADDRESS_BITS: u32 = 48;

/// What a program still holds, block by block.
pub trait Survivors {
    /// Tells every block in use: where it starts, and its bytes.
    fn each_block(&self, tell: &mut impl FnMut(*const u8, usize));
}

/// Nothing survives.
impl Survivors for () {
    fn each_block(&self, _: &mut impl FnMut(*const u8, usize)) {}
}

impl Survivors for Box<[u8]> {
    fn each_block(&self, tell: &mut impl FnMut(*const u8, usize)) {
        tell(self.as_ptr(), self.len());
    }
}

impl<S: Survivors> Survivors for Vec<S> {
    fn each_block(&self, tell: &mut impl FnMut(*const u8, usize)) {
        tell(self.as_ptr().cast(), self.capacity() * size_of::<S>());
        for survivor in self {
            survivor.each_block(tell);
        }
    }
}

impl<A: Survivors, B: Survivors> Survivors for (&A, &B) {
    fn each_block(&self, tell: &mut impl FnMut(*const u8, usize)) {
        self.0.each_block(tell);
        self.1.each_block(tell);
    }
}

/// The bytes of all survivors, as they were asked for.
pub fn asked_bytes(survivors: &impl Survivors) -> u64 {
    let mut sum = 0;
    survivors.each_block(&mut |_, bytes| sum += bytes as u64);
    sum
}

/// The bytes of all distinct OS pages that hold a part of a survivor; `None` where the system has no room for
/// the marks.
pub fn bound_bytes(survivors: &impl Survivors) -> Option<u64> {
    let mut pages = Pages::none().ok()?;
    survivors.each_block(&mut |start, bytes| pages.mark(start.addr(), bytes));
    Some(pages.marked << pages.page_bits)
}

/// A bit for each OS page of the address space.
struct Pages {
    words: NonNull<u64>,
    page_bits: u32,
    marked: u64,
}

impl Pages {
    /// No page is marked.
    fn none() -> io::Result<Pages> {
        let page_bits = kernel::os_page_bytes().trailing_zeros();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at a place of the system's choice disturbs nothing.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), mapped_bytes(page_bits), protection, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Pages { words, page_bits, marked: 0 })
    }

    /// Marks every OS page of the `bytes` at `start`.
    fn mark(&mut self, start: usize, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let last = start + (bytes - 1);
        assert!(last >> ADDRESS_BITS == 0, "an address of more than {ADDRESS_BITS} bits");
        for page in start >> self.page_bits..=last >> self.page_bits {
            // SAFETY: the page's number is below 2^(ADDRESS_BITS - page_bits), the number of bits mapped.
            let word = unsafe { self.words.add(page / 64).as_mut() };
            let bit = 1 << (page % 64);
            self.marked += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `none`, and nobody else knows it.
        unsafe { libc::munmap(self.words.as_ptr().cast(), mapped_bytes(self.page_bits)) };
    }
}

/// The bytes that hold all bits.
const fn mapped_bytes(page_bits: u32) -> usize {
    1 << (ADDRESS_BITS - page_bits - u8::BITS.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_once_and_a_block_counts_on_every_page_that_it_reaches() {
        let page = kernel::os_page_bytes() as usize;
        let mut pages = Pages::none().expect("room");
        pages.mark(10 * page, 0);
        assert_eq!(pages.marked, 0);
        pages.mark(10 * page, page);
        pages.mark(10 * page + 24, 8);
        assert_eq!(pages.marked, 1);
        pages.mark(20 * page - 1, 2);
        assert_eq!(pages.marked, 3);
        pages.mark(20 * page, 2 * page + 1);
        assert_eq!(pages.marked, 5);
    }

    #[test]
    fn the_vector_that_holds_the_survivors_is_part_of_them() {
        let mut survivors: Vec<Box<[u8]>> = Vec::with_capacity(4);
        survivors.push(vec![1; 100].into_boxed_slice());
        assert_eq!(asked_bytes(&survivors), 4 * 16 + 100);
        assert_eq!(asked_bytes(&(&survivors, &())), 4 * 16 + 100);
        let page = kernel::os_page_bytes();
        let bound = bound_bytes(&survivors).expect("room");
        assert!((page..=4 * page).contains(&bound), "{bound}");
        assert_eq!(bound_bytes(&()), Some(0));
    }
}
