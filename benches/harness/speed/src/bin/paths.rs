//! Takes one path through highwater so many times: `speed-paths PATH TIMES`. For a tool that counts instructions.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::env;
use std::hint::black_box;
use std::mem::{self, MaybeUninit};
use std::process::ExitCode;
use std::ptr::NonNull;
use std::thread;

use highwater::Highwater;
use highwater_speed::random::Random;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

type Block = Box<MaybeUninit<[u64; 8]>>;

/// Blocks for a part of one pool, and for several pools.
const IN_POOL: usize = 200;
const IN_POOLS: usize = 1_024;
const MANY: usize = 8_192;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((path, times)) = arguments
        .first()
        .and_then(|name| path(name))
        .zip(arguments.get(1).and_then(|times| times.parse().ok()))
    else {
        eprintln!("usage: speed-paths PATH TIMES");
        return ExitCode::FAILURE;
    };
    path(times);
    ExitCode::SUCCESS
}

fn path(name: &str) -> Option<fn(usize)> {
    Some(match name {
        "pair" => pair,
        "pair-dynamic" => pair_dynamic,
        "pop" => pop,
        "push" => push,
        "push-elsewhere" => push_elsewhere,
        "refill" => refill,
        "remote-free" => remote_free,
        "remote-return" => remote_return,
        "span" => held::<{ 64 << 10 }>,
        "large" => held::<{ 1 << 20 }>,
        "realloc" => realloc_in_place,
        "steady" => steady,
        _ => return None,
    })
}

fn blocks(count: usize) -> Vec<Block> {
    let mut blocks = Vec::with_capacity(MANY);
    blocks.extend((0..count).map(|_| black_box(Box::new_uninit())));
    blocks
}

fn pair(times: usize) {
    for _ in 0..times {
        drop(black_box(Box::<[u64; 8]>::new_uninit()));
    }
}

fn pair_dynamic(times: usize) {
    for _ in 0..times {
        drop(black_box(Box::<[u64]>::new_uninit_slice(black_box(8))));
    }
}

fn pop(times: usize) {
    let mut popped = blocks(IN_POOL);
    popped.clear();
    popped.extend((0..times).map(|_| black_box(Box::new_uninit())));
    mem::forget(popped);
}

fn push(times: usize) {
    let mut blocks = blocks(IN_POOL);
    blocks.truncate(IN_POOL - times);
    mem::forget(blocks);
}

/// Every other block of the earlier ones is freed, so that no pool becomes empty.
fn push_elsewhere(times: usize) {
    let mut kept = Vec::with_capacity(IN_POOLS);
    let mut freed = Vec::with_capacity(IN_POOLS);
    for (index, block) in blocks(IN_POOLS).into_iter().enumerate() {
        let list = if index < IN_POOLS / 2 && index % 2 == 0 { &mut freed } else { &mut kept };
        list.push(block);
    }
    freed.truncate(freed.len() - times);
    mem::forget((kept, freed));
}

fn refill(times: usize) {
    mem::forget(blocks(times));
}

fn remote_free(times: usize) {
    let mut blocks = blocks(MANY);
    let other = thread::spawn(move || {
        blocks.truncate(MANY - times);
        mem::forget(blocks);
    });
    other.join().expect("the other thread ends");
}

fn remote_return(times: usize) {
    let mut returned = blocks(0);
    let sent = blocks(MANY);
    thread::spawn(move || drop(sent)).join().expect("the other thread ends");
    returned.extend((0..times).map(|_| black_box(Box::new_uninit())));
    mem::forget(returned);
}

/// A block that is too large for a pool.
fn held<const BYTES: usize>(times: usize) {
    for _ in 0..times {
        drop(black_box(Box::<[u8; BYTES]>::new_uninit()));
    }
}

/// Sizes are not known to the compiler, as they are not when a vector grows: it would leave nothing to count.
fn realloc_in_place(times: usize) {
    let layout = |bytes| black_box(Layout::from_size_align(bytes, 8).expect("a layout"));
    let (less, more) = (layout(1_000), layout(1_020));
    // SAFETY: the size is not 0.
    let block = NonNull::new(unsafe { alloc(less) });
    let mut block = block.unwrap_or_else(|| handle_alloc_error(less)).as_ptr();
    for turn in 0..times {
        let (old, new) = if turn % 2 == 0 { (less, more) } else { (more, less) };
        // SAFETY: `block` has the layout `old`, and the new size is not 0. There is memory: the block stays in place.
        block = black_box(unsafe { realloc(block, old, new.size()) });
    }
    // SAFETY: `block` has this layout, since the turns are even, and nobody uses it any more.
    unsafe { dealloc(block, less) };
}

fn steady(times: usize) {
    const BLOCKS: usize = 10_000;
    let mut random = Random::seeded(0);
    let mut block = || {
        let index = random.below(BLOCKS);
        let block: Box<[MaybeUninit<u64>]> = Box::new_uninit_slice(2 + random.below(127));
        (index, black_box(block))
    };
    let mut blocks: Vec<_> = (0..BLOCKS).map(|_| block().1).collect();
    for _ in 0..times {
        let (index, block) = block();
        blocks[index] = block;
    }
    black_box(blocks);
}
