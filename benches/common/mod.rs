//! What the benches share: the two allocators, side by side in one binary, and the work that is
//! timed. Each kind of work is generic over the allocator, so both are compiled the same way, with
//! everything inlined that can be. The program's own allocator is the system's and takes no part.

#![allow(dead_code, reason = "each bench uses its own part")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use highwater::Highwater;
use mimalloc::MiMalloc;

pub static HIGHWATER: Highwater = Highwater::new();
/// Version 3: what the crate builds unless its feature `v2` is on.
pub static MIMALLOC: MiMalloc = MiMalloc;

/// The tight pair: one block allocated and freed, `turns` times, its layout known to the compiler.
pub fn pair<const SIZE: usize>(allocator: &impl GlobalAlloc, turns: u64) {
    let layout = const {
        assert!(SIZE > 0 && SIZE <= isize::MAX as usize - 8);
        match Layout::from_size_align(SIZE, 8) {
            Ok(layout) => layout,
            Err(_) => unreachable!(),
        }
    };
    for _ in 0..turns {
        // SAFETY: the size is not 0, and the block is freed once, with its layout.
        unsafe {
            let block = black_box(allocator.alloc(layout));
            allocator.dealloc(block, layout);
        }
    }
}

/// In which order a batch is freed.
#[derive(Clone, Copy)]
pub enum Order {
    FirstInFirstOut,
    LastInFirstOut,
    Random,
}

impl Order {
    pub const ALL: [(&str, Order); 3] = [
        ("fifo", Order::FirstInFirstOut),
        ("lifo", Order::LastInFirstOut),
        ("random", Order::Random),
    ];
}

/// Many blocks allocated, then all freed. A block and its size stand together, as in a `Vec` of
/// `Vec`s: peers that make no use of the layout shall not win by a cache miss.
pub struct Batch {
    blocks: Vec<(*mut u8, usize)>,
    order: Vec<usize>,
    one_size: bool,
}

/// What a batch's blocks are as large as.
#[derive(Clone, Copy)]
pub enum Sizes {
    /// 64 bytes, known to the compiler, as in a `Vec` of boxes.
    One,
    /// 16 to 1024 bytes.
    Mixed,
}

impl Sizes {
    pub const ALL: [(&str, Sizes); 2] = [("64", Sizes::One), ("mixed", Sizes::Mixed)];
}

impl Batch {
    /// Blocks in a batch.
    pub const BLOCKS: usize = 10_000;

    pub fn new(sizes: Sizes, order: Order) -> Self {
        let mut random = Rng::with_seed(0);
        let mut size = || match sizes {
            Sizes::One => 64,
            Sizes::Mixed => 16 + random.usize(..1009),
        };
        let blocks = (0..Self::BLOCKS).map(|_| (std::ptr::null_mut(), size())).collect();
        let mut indices: Vec<usize> = (0..Self::BLOCKS).collect();
        match order {
            Order::FirstInFirstOut => {}
            Order::LastInFirstOut => indices.reverse(),
            Order::Random => random.shuffle(&mut indices),
        }
        Self { blocks, order: indices, one_size: matches!(sizes, Sizes::One) }
    }

    pub fn run(&mut self, allocator: &impl GlobalAlloc) {
        if self.one_size {
            self.run_with(allocator, |_| Layout::new::<[u64; 8]>());
        } else {
            self.run_with(allocator, |size| {
                // SAFETY: 8 is a power of two, and the sizes are small.
                unsafe { Layout::from_size_align_unchecked(size, 8) }
            });
        }
    }

    #[inline(always)]
    fn run_with(&mut self, allocator: &impl GlobalAlloc, layout: impl Fn(usize) -> Layout) {
        for (block, size) in &mut self.blocks {
            // SAFETY: the size is not 0; the block is this large, unless there is no memory.
            unsafe {
                *block = allocator.alloc(layout(*size));
                assert!(!block.is_null());
                block.write(1);
            }
        }
        for &index in &self.order {
            let (block, size) = self.blocks[index];
            // SAFETY: allocated above with this layout; each index occurs once.
            unsafe { allocator.dealloc(block, layout(size)) };
        }
    }
}

/// Bytes that grow as a `Vec` or a `String` does: doubled when full, from 8 on. It is not a `Vec`, because
/// two allocators in one binary would need vectors with an allocator of their own.
pub struct Growing<'a, A: GlobalAlloc> {
    allocator: &'a A,
    bytes: *mut u8,
    length: usize,
    capacity: usize,
}

impl<'a, A: GlobalAlloc> Growing<'a, A> {
    const LEAST: usize = 8;

    pub fn new(allocator: &'a A) -> Self {
        Self { allocator, bytes: std::ptr::null_mut(), length: 0, capacity: 0 }
    }

    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        let length = self.length + bytes.len();
        if length > self.capacity {
            self.grow(length);
        }
        // SAFETY: there is room for the bytes, and they are not within this block.
        unsafe { self.bytes.add(self.length).copy_from(bytes.as_ptr(), bytes.len()) };
        self.length = length;
    }

    fn grow(&mut self, needed: usize) {
        let capacity = needed.max(2 * self.capacity).max(Self::LEAST);
        // SAFETY: the new size is not 0, and the old block, if there is one, has the old layout.
        self.bytes = unsafe {
            match self.capacity {
                0 => self.allocator.alloc(Self::layout(capacity)),
                old => self.allocator.realloc(self.bytes, Self::layout(old), capacity),
            }
        };
        assert!(!self.bytes.is_null());
        self.capacity = capacity;
    }

    fn layout(capacity: usize) -> Layout {
        // SAFETY: 8 is a power of two, and the benches' sizes are small.
        unsafe { Layout::from_size_align_unchecked(capacity, 8) }
    }
}

impl<A: GlobalAlloc> Drop for Growing<'_, A> {
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: the block has this layout, and nobody uses it any more.
            unsafe { self.allocator.dealloc(self.bytes, Self::layout(self.capacity)) };
        }
    }
}

impl<A: GlobalAlloc> std::fmt::Write for Growing<'_, A> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

/// Grows to so many bytes, eight at a time.
pub fn grow(allocator: &impl GlobalAlloc, bytes: usize) {
    let mut growing = Growing::new(allocator);
    for number in 0..bytes / 8 {
        growing.extend(&black_box(number).to_ne_bytes());
    }
    black_box(growing.bytes);
}

/// Formats one string of some 30 characters.
pub fn format(allocator: &impl GlobalAlloc, number: usize) {
    use std::fmt::Write;
    let mut text = Growing::new(allocator);
    let written =
        write!(text, "/accounts/{number}/{:08x}/{}", number * 31, number.is_multiple_of(7));
    assert!(written.is_ok());
    black_box(text.bytes);
}

/// A zeroed block of so many bytes, of which one in each 4 KiB is written to.
pub fn zeroed(allocator: &impl GlobalAlloc, bytes: usize) {
    const TOUCHED_EVERY: usize = 4 << 10; // 4 KiB
    let layout = Layout::from_size_align(bytes, 8).expect("a size of the benches");
    // SAFETY: the size is not 0; what is written to lies within the block, which is freed once, with its layout.
    unsafe {
        let block = black_box(allocator.alloc_zeroed(layout));
        assert!(!block.is_null());
        for at in (0..bytes).step_by(TOUCHED_EVERY) {
            block.add(at).write(1);
        }
        allocator.dealloc(black_box(block), layout);
    }
}

/// A producer and a consumer: `blocks` blocks of 64 bytes go through a ring in batches, and the
/// other thread frees them. Returns the time from the first block to the last free.
pub fn exchange<A: GlobalAlloc + Sync>(allocator: &A, blocks: usize) -> Duration {
    let layout = Layout::new::<[u64; 8]>();
    let ring = Ring::new();
    let ready = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ready.store(1, Ordering::Release);
            let mut taken = 0;
            while taken < blocks {
                taken += ring.take(taken, |block| {
                    // SAFETY: allocated by the producer with this layout, sent once.
                    unsafe { allocator.dealloc(block, layout) };
                });
            }
            ready.store(2, Ordering::Release);
        });
        wait_until(|| ready.load(Ordering::Acquire) == 1);
        let start = Instant::now();
        let mut sent = 0;
        while sent < blocks {
            let batch = Ring::BATCH.min(blocks - sent);
            ring.put(sent, batch, || {
                // SAFETY: the size is not 0; the block is this large, unless there is no memory.
                unsafe {
                    let block = allocator.alloc(layout);
                    assert!(!block.is_null());
                    block.write(1);
                    block
                }
            });
            sent += batch;
        }
        wait_until(|| ready.load(Ordering::Acquire) == 2);
        start.elapsed()
    })
}

/// A bounded channel between two threads that itself allocates nothing.
struct Ring {
    places: Vec<AtomicPtr<u8>>,
    sent: AtomicUsize,
    taken: AtomicUsize,
}

impl Ring {
    const PLACES: usize = 1024;
    const BATCH: usize = 64;

    fn new() -> Self {
        Self {
            places: (0..Self::PLACES).map(|_| AtomicPtr::default()).collect(),
            sent: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        }
    }

    /// Sends `batch` blocks, `sent` having been sent before.
    fn put(&self, sent: usize, batch: usize, mut block: impl FnMut() -> *mut u8) {
        wait_until(|| sent + batch - self.taken.load(Ordering::Acquire) <= Self::PLACES);
        for place in sent..sent + batch {
            self.places[place % Self::PLACES].store(block(), Ordering::Relaxed);
        }
        self.sent.store(sent + batch, Ordering::Release);
    }

    /// Takes what has been sent, at least one block, `taken` having been taken before.
    fn take(&self, taken: usize, mut each: impl FnMut(*mut u8)) -> usize {
        wait_until(|| self.sent.load(Ordering::Acquire) > taken);
        let sent = self.sent.load(Ordering::Acquire);
        for place in taken..sent {
            each(self.places[place % Self::PLACES].load(Ordering::Relaxed));
        }
        self.taken.store(sent, Ordering::Release);
        sent - taken
    }
}

/// Spins for a moment, then gives the processor away: there may be only one.
fn wait_until(condition: impl Fn() -> bool) {
    let mut spins = 0;
    while !condition() {
        spins += 1;
        if spins < 200 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
