//! Programs with one bug each: what it does, and how the process must end.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::hint::black_box;
use std::ptr;
use std::thread;

/// How a process with a bug ends.
pub enum End {
    /// It is aborted, having said this and nothing else. `{}` stands for the address that the program names.
    Line(&'static str),
    /// As above, of a wrong layout: bytes of the block, what was asked for, and what it was given back as.
    #[cfg_attr(not(feature = "hardened"), allow(dead_code, reason = "nobody looks at it"))]
    Layouts { block: usize, asked: Layout, given: Layout },
    /// The system stops it where it writes.
    Stopped,
}
use End::{Layouts, Line, Stopped};

/// One bug.
pub struct Bug {
    pub name: &'static str,
    pub end: End,
    pub program: Program,
}

/// What the process does.
pub enum Program {
    Own(fn()),
    /// Allocates a block of one layout and gives it back as one of another.
    GiveBackAs(Layout, Layout),
}

const fn bug(name: &'static str, end: End, program: fn()) -> Bug {
    Bug { name, end, program: Program::Own(program) }
}

const fn wrong(name: &'static str, block: usize, asked: Layout, given: Layout) -> Bug {
    let end = Layouts { block, asked, given };
    Bug { name, end, program: Program::GiveBackAs(asked, given) }
}

impl Bug {
    /// Does what is wrong.
    pub fn run(&self) {
        match self.program {
            Program::Own(program) => program(),
            // SAFETY: none: the layouts differ.
            Program::GiveBackAs(asked, given) => unsafe { dealloc(named(asked), given) },
        }
    }

    /// The line that is to be said of `address`; `None` if there is none.
    #[cfg(feature = "hardened")]
    pub fn line(&self, address: &str) -> Option<String> {
        let text =
            |layout: Layout| format!("{} bytes aligned to {}", layout.size(), layout.align());
        match self.end {
            Line(line) => Some(line.replace("{}", address)),
            Layouts { block, asked, given } => Some(format!(
                "wrong layout: {address}, a block of {block} bytes, asked for as {}, given back as {}",
                text(asked),
                text(given)
            )),
            Stopped => None,
        }
    }
}

const NO_BLOCK: &str = "free of no block: {}, no block's start, or one freed before";
const FOREIGN: &str = "free of a foreign address: {}, in no block, or one freed before";

/// A block of a pool of 64-byte blocks without a byte to spare: eight are the seal's.
const EXACT: Layout = layout(56, 8);
/// As above, with six bytes to spare.
const SPARE: Layout = layout(50, 8);
const MEDIUM: Layout = layout(5000, 8);
const BIG: Layout = layout(30_000, 8);
const SPAN: Layout = layout(100_000, 8);
const LARGE: Layout = layout(2_000_000, 8);

const fn layout(size: usize, align: usize) -> Layout {
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("a layout"),
    }
}

pub const BUGS: &[Bug] = &[
    // Freed twice.
    bug("twice", Line("double free: {}, a block of 64 bytes"), || twice(EXACT)),
    bug("twice-medium", Line("double free: {}, a block of 5120 bytes"), || twice(MEDIUM)),
    bug("twice-big", Line("double free: {}, a block of 30720 bytes"), || twice(BIG)),
    bug("twice-span", Line(NO_BLOCK), twice_span),
    bug("twice-large", Line(FOREIGN), || twice(LARGE)),
    bug("twice-later", Line("double free: {}, a block of 64 bytes"), twice_later),
    bug("twice-in-a-full-pool", Line("double free: {}, a block of 64 bytes"), twice_elsewhere),
    bug("twice-by-another", Line("double free: {}, a block of 64 bytes"), twice_by_another),
    bug("twice-both-by-others", Line("double free: {}, a block of 64 bytes"), twice_by_others),
    bug("twice-and-trimmed", Line("double free: {}, a block of 64 bytes"), twice_and_trimmed),
    bug("resized-after-free", Line("double free: {}, a block of 64 bytes"), resized_after_free),
    // What is no block.
    bug("inside", Line("free inside a block: {}, 16 bytes into one of 64 bytes"), || {
        free_at(EXACT, 16)
    }),
    bug("inside-odd", Line("free inside a block: {}, 1 bytes into one of 64 bytes"), || {
        free_at(EXACT, 1)
    }),
    bug("inside-big", Line("free inside a block: {}, 29000 bytes into one of 30720 bytes"), || {
        free_at(BIG, 29_000)
    }),
    bug("inside-span", Line("free inside a block: {}, 64 bytes into one of 100008 bytes"), || {
        free_at(SPAN, 64)
    }),
    bug("inside-span-far", Line(NO_BLOCK), || free_at(SPAN, 8192)),
    bug("inside-large", Line(FOREIGN), || free_at(LARGE, 64)),
    bug("inside-large-far", Line(FOREIGN), || free_at(LARGE, 8192)),
    bug(
        "never",
        Line("free of no block: {}, never handed out among blocks of 64 bytes"),
        free_never,
    ),
    bug("stack", Line(FOREIGN), || free_local(EXACT)),
    bug("stack-as-large", Line(FOREIGN), || free_local(LARGE)),
    bug("static", Line(FOREIGN), free_static),
    bug(
        "null",
        Line("free of a foreign address: 0x0, in no block, or one freed before"),
        free_null,
    ),
    bug("records", Line(NO_BLOCK), || free_in_arena(20 << 10)),
    bug("guard", Line(NO_BLOCK), || free_in_arena(0)),
    // Wrong layouts.
    wrong("size", 64, SPARE, layout(51, 8)),
    wrong("alignment", 64, EXACT, layout(56, 64)),
    wrong("class", 64, SPARE, layout(500, 8)),
    wrong("pool", 64, SPARE, MEDIUM),
    wrong("small-as-span", 64, SPARE, SPAN),
    wrong("small-as-large", 64, SPARE, LARGE),
    wrong("span-as-small", 100_008, SPAN, SPARE),
    wrong("span-size", 100_008, SPAN, layout(100_001, 8)),
    wrong("span-as-large", 100_008, SPAN, LARGE),
    wrong("large-as-small", 2_000_000, LARGE, SPARE),
    wrong("large-as-span", 2_000_000, LARGE, SPAN),
    wrong("large-size", 2_000_000, LARGE, layout(1_999_999, 8)),
    wrong("large-alignment", 2_000_000, LARGE, layout(2_000_000, 1 << 16)),
    bug("resized-as", Layouts { block: 64, asked: SPARE, given: layout(52, 8) }, resize_as),
    #[cfg(feature = "malloc")]
    bug(
        "malloced",
        Line(
            "wrong family: {}, a block of 64 bytes, asked of malloc as 50 bytes aligned to 16, given back \
             with a layout",
        ),
        give_back_malloced,
    ),
    #[cfg(feature = "malloc")]
    bug(
        "not-malloced",
        Line(
            "wrong family: {}, a block of 64 bytes, asked for as 50 bytes aligned to 8, given to free",
        ),
        free_not_malloced,
    ),
    // Written to after a free.
    bug("link", Line("write after free: {}, a free block of 64 bytes"), || clobber(0, 0x41)),
    bug("link-to-zero", Line("write after free: {}, a free block of 64 bytes"), || clobber(0, 0)),
    bug("link-behind", Line("write after free: {}, a free block of 64 bytes"), || clobber(8, 0x41)),
    bug(
        "link-in-a-full-pool",
        Line("write after free: {}, a free block of 64 bytes"),
        clobber_elsewhere,
    ),
    bug("link-of-another", Line("write after free: {}, a free block of 64 bytes"), clobber_remote),
    bug(
        "link-by-overflow",
        Line("write after free: {}, a free block of 64 bytes"),
        overflow_into_free,
    ),
    // Written to behind the end.
    bug("byte", Line("write past the end: {}, a block of 64 bytes"), || overflow(EXACT, 1, 0x41)),
    bug("zero", Line("write past the end: {}, a block of 64 bytes"), || overflow(EXACT, 1, 0)),
    bug("byte-to-spare", Line("write past the end: {}, a block of 64 bytes"), || {
        overflow(SPARE, 1, 0x41)
    }),
    bug("zero-to-spare", Line("write past the end: {}, a block of 64 bytes"), || {
        overflow(SPARE, 1, 0)
    }),
    bug("into-the-next", Line("write past the end: {}, a block of 64 bytes"), overflow_into_next),
    bug("byte-of-none", Line("write past the end: {}, a block of 16 bytes"), || {
        overflow(layout(1, 1), 1, 0x41)
    }),
    bug("byte-medium", Line("write past the end: {}, a block of 5120 bytes"), || {
        overflow(MEDIUM, 1, 0x41)
    }),
    bug("byte-span", Line("write past the end: {}, a block of 100008 bytes"), || {
        overflow(SPAN, 1, 0)
    }),
    bug("byte-large", Line("write past the end: {}, a block of 2000000 bytes"), || {
        overflow(LARGE, 1, 0x41)
    }),
    bug("byte-resized", Line("write past the end: {}, a block of 64 bytes"), overflow_and_resize),
    bug("beyond-large", Stopped, || write_at(LARGE, 2_000_000 + 4096)),
    bug("before-large", Stopped, || write_at(LARGE, -1)),
    bug("beyond-resized-large", Stopped, beyond_resized),
    bug("into-records", Stopped, || write_in_arena((16 << 10) - 1)),
    bug("out-of-records", Stopped, || write_in_arena(32 << 10)),
    bug("beyond-an-arena", Stopped, || write_in_arena((1 << 20) - (16 << 10))),
];

/// Blocks of 64 bytes in a pool of them.
const IN_POOL: usize = 256;

fn new(layout: Layout) -> *mut u8 {
    // SAFETY: not of size 0.
    let block = unsafe { alloc(layout) };
    assert!(!block.is_null());
    black_box(block)
}

/// A block whose address the line is to name.
fn named(layout: Layout) -> *mut u8 {
    name(new(layout))
}

/// Tells the parent which address the line is to name.
fn name(block: *mut u8) -> *mut u8 {
    println!("{}{block:p}", super::NAMED);
    block
}

/// SAFETY: none is promised; that is what this file is about.
fn free(block: *mut u8, layout: Layout) {
    // SAFETY: see above.
    unsafe { dealloc(black_box(block), layout) };
}

fn twice(layout: Layout) {
    let block = named(layout);
    free(block, layout);
    free(block, layout);
}

fn twice_span() {
    // Another one in the arena, so that it stays.
    let other = new(SPAN);
    twice(SPAN);
    free(other, SPAN);
}

fn twice_later() {
    let blocks = many(100);
    name(blocks[40]);
    blocks.iter().for_each(|&block| free(block, EXACT));
    free(blocks[40], EXACT);
}

/// So many blocks that each of them lies in a pool that others have been taken from since.
fn many(count: usize) -> Vec<*mut u8> {
    (0..count).map(|_| new(EXACT)).collect()
}

fn twice_elsewhere() {
    let blocks = many(5 * IN_POOL);
    name(blocks[IN_POOL]);
    free(blocks[IN_POOL], EXACT);
    free(blocks[IN_POOL], EXACT);
}

/// Frees on a thread of its own.
fn free_elsewhere(block: *mut u8) {
    let address = block.expose_provenance();
    let freed = move || free(ptr::with_exposed_provenance_mut(address), EXACT);
    thread::spawn(freed).join().unwrap();
}

fn twice_by_another() {
    let block = named(EXACT);
    free_elsewhere(block);
    free(block, EXACT);
}

fn twice_by_others() {
    let block = named(EXACT);
    free_elsewhere(block);
    free_elsewhere(block);
}

fn twice_and_trimmed() {
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

fn resized_after_free() {
    let block = named(EXACT);
    free(block, EXACT);
    // SAFETY: none: the block was freed.
    black_box(unsafe { realloc(block, EXACT, 40) });
}

fn free_at(layout: Layout, offset: usize) {
    let block = new(layout);
    free(name(block.wrapping_add(offset)), layout);
}

fn free_never() {
    // The first pool of a class is carved one OS page at a time.
    let block = new(EXACT);
    let last = (block.addr() & !((16 << 10) - 1)) + (16 << 10) - 64;
    free(name(block.with_addr(last)), EXACT);
}

#[repr(align(64))]
struct Room([u8; 4096]);

fn free_local(layout: Layout) {
    let mut room = black_box(Room([0; 4096]));
    free(name(room.0.as_mut_ptr()), layout);
}

fn free_static() {
    static ROOM: Room = Room([0; 4096]);
    free(name(ROOM.0.as_ptr().cast_mut()), EXACT);
}

fn free_null() {
    free(name(ptr::null_mut()), EXACT);
}

/// An address in the arena of some block.
fn in_arena(offset: usize) -> *mut u8 {
    let block = new(EXACT);
    block.with_addr((block.addr() & !((1 << 20) - 1)) + offset)
}

fn free_in_arena(offset: usize) {
    free(name(in_arena(offset)), EXACT);
}

fn write_in_arena(offset: usize) {
    // SAFETY: none: nobody may write there.
    unsafe { in_arena(offset).write_volatile(1) };
}

fn resize_as() {
    let block = named(SPARE);
    // SAFETY: none: it is a block of another size.
    black_box(unsafe { realloc(block, layout(52, 8), 54) });
}

#[cfg(feature = "malloc")]
fn give_back_malloced() {
    // SAFETY: any size is allowed.
    let block = unsafe { libc::malloc(50) }.cast();
    free(name(black_box(block)), SPARE);
}

#[cfg(feature = "malloc")]
fn free_not_malloced() {
    // SAFETY: none: the block is another family's.
    unsafe { libc::free(named(SPARE).cast()) };
}

/// Takes blocks until every one that is free has been one of them.
fn use_all_free() {
    black_box(many(3 * IN_POOL));
}

fn clobber(offset: usize, value: u8) {
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

fn clobber_elsewhere() {
    let blocks = many(5 * IN_POOL);
    let block = name(blocks[IN_POOL]);
    free(block, EXACT);
    // SAFETY: none: the block was freed.
    unsafe { block.add(3).write_volatile(black_box(block.add(3).read_volatile() ^ 1)) };
    use_all_free();
}

fn clobber_remote() {
    let blocks = many(5 * IN_POOL);
    let block = name(blocks[IN_POOL]);
    free_elsewhere(block);
    // SAFETY: none: the block was freed.
    unsafe { block.write_volatile(block.read_volatile() ^ 0x80) };
    use_all_free();
}

fn overflow(layout: Layout, bytes: usize, value: u8) {
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

fn overflow_into_next() {
    let (block, next) = neighbours();
    name(block);
    // SAFETY: none: seal and all, and some of the next block.
    unsafe { block.add(56).write_bytes(0x41, 8 + 16) };
    free(next, EXACT);
    free(block, EXACT);
}

fn overflow_into_free() {
    let (block, next) = neighbours();
    free(name(next), EXACT);
    // SAFETY: none: seal and all, and the next block's link.
    unsafe { block.add(56).write_bytes(0x41, 8 + 8) };
    use_all_free();
}

fn overflow_and_resize() {
    let block = named(EXACT);
    // SAFETY: none: one byte too many.
    unsafe { block.add(black_box(56)).write(0) };
    // SAFETY: a block with its layout.
    black_box(unsafe { realloc(block, EXACT, 5000) });
}

fn write_at(layout: Layout, offset: isize) {
    let block = new(layout);
    // SAFETY: none: before the block, or far behind it.
    unsafe { block.offset(black_box(offset)).write_volatile(1) };
}

fn beyond_resized() {
    let block = new(LARGE);
    // SAFETY: a block with its layout.
    let block = unsafe { realloc(block, LARGE, 5_000_000) };
    // SAFETY: all its bytes.
    unsafe { block.write_bytes(1, 5_000_000) };
    // SAFETY: none: far behind it.
    unsafe { block.add(black_box(5_000_000 + 4096)).write_volatile(1) };
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
