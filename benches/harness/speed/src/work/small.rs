//! Little but allocating and freeing.

use std::hint::black_box;
use std::mem::MaybeUninit;

use crate::meter::Meter;
use crate::random::Random;

/// Blocks in a batch.
const BATCH: usize = 10_000;
/// Bytes in an OS page; where they are larger, some are touched more than once.
const OS_PAGE: usize = 4 << 10; // 4 KiB
/// Bytes of zeroed blocks in a repetition.
const ZEROED: usize = 128 << 20; // 128 MiB

/// One block at a time, its layout known to the compiler.
pub fn pair<const WORDS: usize>(meter: &mut Meter) {
    let pairs = meter.count(3_000_000);
    meter.time(pairs, || {
        for _ in 0..pairs {
            drop(black_box(Box::<[u64; WORDS]>::new_uninit()));
        }
    });
}

/// A block whose content does not matter.
type Words = Box<[MaybeUninit<u64>]>;

pub fn batch_in_order(meter: &mut Meter) {
    batch(meter, &in_order());
}

pub fn batch_in_reverse(meter: &mut Meter) {
    batch(meter, &in_reverse());
}

pub fn batch_at_random(meter: &mut Meter) {
    batch(meter, &at_random());
}

pub fn mixed_batch_in_order(meter: &mut Meter) {
    mixed_batch(meter, &in_order());
}

pub fn mixed_batch_in_reverse(meter: &mut Meter) {
    mixed_batch(meter, &in_reverse());
}

pub fn mixed_batch_at_random(meter: &mut Meter) {
    mixed_batch(meter, &at_random());
}

fn in_order() -> Vec<u32> {
    (0..BATCH as u32).collect()
}

fn in_reverse() -> Vec<u32> {
    (0..BATCH as u32).rev().collect()
}

fn at_random() -> Vec<u32> {
    let mut order = in_order();
    Random::seeded(0).shuffle(&mut order);
    order
}

/// Blocks of one size, known to the compiler, all allocated, then freed in this order.
fn batch(meter: &mut Meter, order: &[u32]) {
    rounds(meter, order, |_| {
        let mut block = Box::<[u64; 8]>::new_uninit();
        black_box(block.as_mut_ptr());
        block
    });
}

/// Blocks of 16 to 1,024 bytes. Their sizes stand beside them, as in any vector of boxed slices.
fn mixed_batch(meter: &mut Meter, order: &[u32]) {
    let mut random = Random::seeded(0);
    let words: Vec<u8> = (0..BATCH).map(|_| 2 + random.below(127) as u8).collect();
    rounds(meter, order, |index| {
        let mut block: Words = Box::new_uninit_slice(words[index].into());
        block[0].write(1);
        black_box(block)
    });
}

fn rounds<T>(meter: &mut Meter, order: &[u32], mut block: impl FnMut(usize) -> T) {
    let rounds = meter.count(60);
    let mut blocks: Vec<Option<T>> = Vec::with_capacity(BATCH);
    meter.time(rounds * BATCH, || {
        for _ in 0..rounds {
            blocks.clear();
            for index in 0..BATCH {
                blocks.push(Some(block(index)));
            }
            for &index in order {
                drop(blocks[index as usize].take());
            }
        }
    });
}

/// Vectors that grow element by element and stay small.
pub fn vec_small(meter: &mut Meter) {
    let vectors = meter.count(60_000);
    let mut random = Random::seeded(0);
    let lengths: Vec<u8> = (0..1_024).map(|_| 1 + random.below(64) as u8).collect();
    meter.time(vectors, || {
        for index in 0..vectors {
            drop(black_box(grown(lengths[index % lengths.len()].into())));
        }
    });
}

/// Vectors that grow element by element to 1 MiB.
pub fn vec_1m(meter: &mut Meter) {
    let vectors = meter.count(60);
    meter.time(vectors, || {
        for _ in 0..vectors {
            drop(black_box(grown((1 << 20) / size_of::<u64>())));
        }
    });
}

fn grown(length: usize) -> Vec<u64> {
    let mut vector = Vec::new();
    for element in 0..length as u64 {
        vector.push(black_box(element));
    }
    vector
}

/// Strings made as log lines and keys are.
pub fn string_format(meter: &mut Meter) {
    const NAMES: [&str; 5] = ["index", "accounts", "a", "statistics-of-the-day", "users"];
    let strings = meter.count(100_000);
    meter.time(strings, || {
        for index in 0..strings {
            let name = NAMES[index % NAMES.len()];
            drop(black_box(format!("/{name}/{index}/{:08x}/{}", index * 31, index % 7 == 0)));
        }
    });
}

/// Zeroed blocks, of which something is written to each OS page.
pub fn zeroed<const BYTES: usize>(meter: &mut Meter) {
    let blocks = meter.count(ZEROED / BYTES);
    meter.time(blocks, || {
        for _ in 0..blocks {
            let mut block = black_box(vec![0_u8; BYTES]);
            for os_page in block.chunks_mut(OS_PAGE) {
                os_page[0] = 1;
            }
            drop(black_box(block));
        }
    });
}
