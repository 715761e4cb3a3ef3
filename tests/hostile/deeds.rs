//! What the programs of `bugs.rs` do.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::hint::black_box;
use std::ptr;
use std::thread;

/// A block of a pool of 64-byte blocks without a byte to spare: eight are the seal's.
pub const EXACT: Layout = layout(56, 8);
/// As above, with six bytes to spare.
pub const SPARE: Layout = layout(50, 8);
pub const MEDIUM: Layout = layout(5000, 8);
pub const BIG: Layout = layout(30_000, 8);
pub const SPAN: Layout = layout(100_000, 8);
pub const LARGE: Layout = layout(2_000_000, 8);

pub const fn layout(size: usize, align: usize) -> Layout {
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("a layout"),
    }
}

/// Blocks of 64 bytes in a pool of them.
const IN_POOL: usize = 256;

fn new(layout: Layout) -> *mut u8 {
    // SAFETY: not of size 0.
    let block = unsafe { alloc(layout) };
    assert!(!block.is_null());
    black_box(block)
}

/// A block whose address the line is to name.
pub fn named(layout: Layout) -> *mut u8 {
    name(new(layout))
}

/// Tells the parent which address the line is to name.
pub fn name(block: *mut u8) -> *mut u8 {
    println!("{}{block:p}", super::NAMED);
    block
}

/// SAFETY: none is promised; that is what this file is about.
pub fn free(block: *mut u8, layout: Layout) {
    // SAFETY: see above.
    unsafe { dealloc(black_box(block), layout) };
}

pub fn twice(layout: Layout) {
    let block = named(layout);
    free(block, layout);
    free(block, layout);
}

pub fn twice_span() {
    // Another one in the arena, so that it stays.
    let other = new(SPAN);
    twice(SPAN);
    free(other, SPAN);
}

/// A block that went elsewhere when it grew, given back where it was.
pub fn twice_moved() {
    let block = named(LARGE);
    // What may lie behind it, so that it cannot grow in place.
    let others = [new(LARGE), new(LARGE)];
    // SAFETY: a block with its layout.
    let grown = black_box(unsafe { realloc(block, LARGE, 64 << 20) });
    assert_ne!(grown, block);
    free(block, LARGE);
    others.iter().for_each(|&other| free(other, LARGE));
}

pub fn twice_later() {
    let blocks = many(100);
    name(blocks[40]);
    blocks.iter().for_each(|&block| free(block, EXACT));
    free(blocks[40], EXACT);
}

/// So many blocks that each of them lies in a pool that others have been taken from since.
fn many(count: usize) -> Vec<*mut u8> {
    (0..count).map(|_| new(EXACT)).collect()
}

pub fn twice_elsewhere() {
    let blocks = many(5 * IN_POOL);
    name(blocks[IN_POOL]);
    free(blocks[IN_POOL], EXACT);
    free(blocks[IN_POOL], EXACT);
}

/// Frees on a thread of its own.
fn free_elsewhere(block: *mut u8) {
    free_all_elsewhere([block]);
}

fn free_all_elsewhere<const N: usize>(blocks: [*mut u8; N]) {
    let addresses = blocks.map(|block| block.expose_provenance());
    let freed = move || {
        for address in addresses {
            free(ptr::with_exposed_provenance_mut(address), EXACT);
        }
    };
    thread::spawn(freed).join().unwrap();
}

pub fn twice_by_another() {
    let block = named(EXACT);
    free_elsewhere(block);
    free(block, EXACT);
}

pub fn twice_by_others() {
    let block = named(EXACT);
    free_elsewhere(block);
    free_elsewhere(block);
}

pub fn twice_by_others_until_the_end() {
    let ends = || {
        let block = named(EXACT);
        free_elsewhere(block);
        free_elsewhere(block);
        many(2 * IN_POOL);
    };
    thread::spawn(ends).join().unwrap();
}

/// Each time with another block, and first of both.
pub fn twice_by_others_with_others() {
    let ends = || {
        let [second, third] = [new(EXACT), new(EXACT)];
        let block = named(EXACT);
        free_all_elsewhere([block, second]);
        free_all_elsewhere([block, third]);
        many(2 * IN_POOL);
    };
    thread::spawn(ends).join().unwrap();
}

pub fn twice_and_trimmed() {
    let blocks = many(20 * IN_POOL);
    // One in 128 stays: of every pool some OS pages hold none.
    for (number, &block) in blocks.iter().enumerate() {
        if number % 128 != 0 {
            free(block, EXACT);
        }
    }
    highwater::trim();
    free(name(blocks[10 * IN_POOL + 1]), EXACT);
}

pub fn resized_after_free() {
    let block = named(EXACT);
    free(block, EXACT);
    // SAFETY: none: the block was freed.
    black_box(unsafe { realloc(block, EXACT, 40) });
}

pub fn free_at(layout: Layout, offset: usize) {
    let block = new(layout);
    free(name(block.wrapping_add(offset)), layout);
}

pub fn resize_at(layout: Layout, offset: usize) {
    let block = name(new(layout).wrapping_add(offset));
    // SAFETY: none: it is no block's start.
    black_box(unsafe { realloc(block, layout, layout.size() + 1000) });
}

pub fn resize_static() {
    static ROOM: Room = Room([0; 4096]);
    // SAFETY: none: it is no block.
    black_box(unsafe { realloc(name(ROOM.0.as_ptr().cast_mut()), EXACT, 1000) });
}

pub fn free_never() {
    // The first pool of a class is carved one OS page at a time.
    let block = new(EXACT);
    let last = (block.addr() & !((16 << 10) - 1)) + (16 << 10) - 64;
    free(name(block.with_addr(last)), EXACT);
}

#[repr(align(64))]
struct Room([u8; 4096]);

pub fn free_local(layout: Layout) {
    let mut room = black_box(Room([0; 4096]));
    free(name(room.0.as_mut_ptr()), layout);
}

pub fn free_static() {
    static ROOM: Room = Room([0; 4096]);
    free(name(ROOM.0.as_ptr().cast_mut()), EXACT);
}

pub fn free_null() {
    free(name(ptr::null_mut()), EXACT);
}

/// An address in the arena of some block.
fn in_arena(offset: usize) -> *mut u8 {
    let block = new(EXACT);
    block.with_addr((block.addr() & !((1 << 20) - 1)) + offset)
}

pub fn free_in_arena(offset: usize) {
    free(name(in_arena(offset)), EXACT);
}

pub fn write_in_arena(offset: usize) {
    // Some have to be made before accesses to guards are heard of.
    many(10_000);
    // SAFETY: none: nobody may write there.
    unsafe { name(in_arena(offset)).write_volatile(1) };
}

pub fn resize_as() {
    let block = named(SPARE);
    // SAFETY: none: it is a block of another size.
    black_box(unsafe { realloc(block, layout(52, 8), 54) });
}

#[cfg(feature = "malloc")]
pub fn give_back_malloced() {
    // SAFETY: any size is allowed.
    let block = unsafe { libc::malloc(50) }.cast();
    free(name(black_box(block)), SPARE);
}

#[cfg(feature = "malloc")]
pub fn free_not_malloced() {
    // SAFETY: none: the block is another family's.
    unsafe { libc::free(named(SPARE).cast()) };
}

/// Takes blocks until every one that is free has been one of them.
fn use_all_free() {
    black_box(many(3 * IN_POOL));
}

pub fn clobber(offset: usize, value: u8) {
    // Not the only one on the list.
    let others = many(3);
    let block = named(EXACT);
    free(others[0], EXACT);
    free(block, EXACT);
    free(others[1], EXACT);
    // SAFETY: none: the block was freed.
    unsafe { block.add(offset).cast::<u64>().write_volatile(u64::from(value)) };
    use_all_free();
}

pub fn clobber_elsewhere() {
    let blocks = many(5 * IN_POOL);
    let block = name(blocks[IN_POOL]);
    free(block, EXACT);
    // SAFETY: none: the block was freed.
    unsafe { block.add(3).write_volatile(black_box(block.add(3).read_volatile() ^ 1)) };
    use_all_free();
}

pub fn clobber_remote() {
    let blocks = many(5 * IN_POOL);
    let block = name(blocks[IN_POOL]);
    free_elsewhere(block);
    // SAFETY: none: the block was freed.
    unsafe { block.write_volatile(block.read_volatile() ^ 0x80) };
    use_all_free();
}

pub fn overflow(layout: Layout, bytes: usize, value: u8) {
    let block = named(layout);
    // SAFETY: none: one byte too many, or more.
    unsafe { block.add(black_box(layout.size())).write_bytes(value, bytes) };
    free(block, layout);
}

/// Two blocks of which the second lies behind the first.
fn neighbours() -> (*mut u8, *mut u8) {
    let mut blocks = many(IN_POOL);
    blocks.sort();
    let pair = blocks.windows(2).find(|pair| pair[1].addr() - pair[0].addr() == 64);
    let pair = pair.expect("of a pool's blocks some are neighbours");
    (pair[0], pair[1])
}

pub fn overflow_into_next() {
    let (block, next) = neighbours();
    name(block);
    // SAFETY: none: seal and all, and some of the next block.
    unsafe { block.add(56).write_bytes(0x41, 8 + 16) };
    free(next, EXACT);
    free(block, EXACT);
}

pub fn overflow_into_free() {
    let (block, next) = neighbours();
    free(name(next), EXACT);
    // SAFETY: none: seal and all, and the next block's link.
    unsafe { block.add(56).write_bytes(0x41, 8 + 8) };
    use_all_free();
}

pub fn overflow_and_resize() {
    let block = named(EXACT);
    // SAFETY: none: one byte too many.
    unsafe { block.add(black_box(56)).write(0) };
    // SAFETY: a block with its layout.
    black_box(unsafe { realloc(block, EXACT, 5000) });
}

pub fn write_at(layout: Layout, offset: isize) {
    let block = new(layout);
    // SAFETY: none: before the block, or far behind it.
    unsafe { name(block.offset(black_box(offset))).write_volatile(1) };
}

pub fn read_at(layout: Layout, offset: isize) {
    let block = new(layout);
    // SAFETY: none: before the block, or far behind it.
    black_box(unsafe { name(block.offset(black_box(offset))).read_volatile() });
}

/// Byte by byte, over the seal, until something stops it.
pub fn run_beyond_large() {
    let block = new(LARGE);
    name(block.wrapping_add(2_002_944));
    for offset in 2_000_000..2_100_000 {
        // SAFETY: none: behind the block.
        unsafe { block.add(black_box(offset)).write_volatile(0) };
    }
}

pub fn beyond_resized() {
    let block = new(LARGE);
    // SAFETY: a block with its layout.
    let block = unsafe { realloc(block, LARGE, 5_000_000) };
    // SAFETY: all its bytes.
    unsafe { block.write_bytes(1, 5_000_000) };
    // SAFETY: none: far behind it.
    unsafe { name(block.add(black_box(5_000_000 + 4096))).write_volatile(1) };
}

/// Until the stack has no room; with blocks made on the way, so that accesses to guards are heard of.
#[allow(unconditional_recursion, reason = "it is to end so")]
pub fn go_deeper(depth: usize) -> usize {
    let room = black_box([depth; 64]);
    drop(black_box(vec![1u8; if depth == 100 { LARGE.size() } else { 100 }]));
    go_deeper(depth + 1) + room[depth % 64]
}

pub fn write_to_null() {
    drop(black_box(vec![1u8; LARGE.size()]));
    // SAFETY: none: nothing is there.
    unsafe { black_box(ptr::without_provenance_mut::<u8>(16)).write_volatile(1) };
}

/// What is no bug: the same calls as above, rightly made.
pub fn none() {
    for layout in [EXACT, SPARE, MEDIUM, BIG, SPAN, LARGE, layout(2_000_000, 1 << 16)] {
        for filled in [0, 1, 0xFF] {
            let block = new(layout);
            // SAFETY: all its bytes.
            unsafe { block.write_bytes(filled, layout.size()) };
            // SAFETY: a block with its layout.
            let block = unsafe { realloc(block, layout, layout.size() - 1) };
            // SAFETY: as above.
            let block =
                unsafe { realloc(block, self::layout(layout.size() - 1, layout.align()), 4000) };
            // SAFETY: a block of at least so many bytes.
            assert!((0..49).all(|byte| unsafe { block.add(byte).read() } == filled));
            free(block, self::layout(4000, layout.align()));
        }
    }
    let blocks = many(5 * IN_POOL);
    blocks.iter().step_by(3).for_each(|&block| free_elsewhere(block));
    for (number, &block) in blocks.iter().enumerate() {
        if number % 3 != 0 {
            free(block, EXACT);
        }
    }
    use_all_free();
    highwater::trim();
    highwater::check();
}
