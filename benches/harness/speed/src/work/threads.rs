//! Blocks that one thread allocates and another frees. All rows use the standard library's bounded channel, which
//! allocates when it is made and not for a message.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::meter::Meter;
use crate::random::Random;

type Block = Box<[u64; 8]>;

/// Blocks that may be on their way to the other thread.
const ON_THE_WAY: usize = 1_000;

/// Sends what `message` makes to a thread that drops it.
fn send<T: Send>(messages: usize, places: usize, mut message: impl FnMut(u64) -> T) {
    let (sender, receiver) = sync_channel::<T>(places);
    thread::scope(|scope| {
        scope.spawn(move || receiver.into_iter().for_each(|message| drop(black_box(message))));
        for number in 0..messages as u64 {
            sender.send(message(number)).expect("the other thread receives until the end");
        }
        drop(sender);
    });
}

pub fn send_boxes(meter: &mut Meter) {
    let boxes = meter.count(200_000);
    meter.time(boxes, || send(boxes, ON_THE_WAY, |number| -> Block { Box::new([number; 8]) }));
}

pub fn send_batches(meter: &mut Meter) {
    const IN_BATCH: usize = 100;
    let batches = meter.count(8_000);
    meter.time(batches * IN_BATCH, || {
        send(batches, ON_THE_WAY / IN_BATCH, |number| -> Vec<Block> {
            (0..IN_BATCH).map(|_| Box::new([number; 8])).collect()
        });
    });
}

/// The inner vectors have 4 to 35 elements.
pub fn send_vecs(meter: &mut Meter) {
    const IN_MESSAGE: usize = 50;
    let messages = meter.count(8_000);
    meter.time(messages * IN_MESSAGE, || {
        send(messages, ON_THE_WAY / IN_MESSAGE, |number| -> Vec<Vec<u64>> {
            (0..IN_MESSAGE).map(|inner| vec![number; 4 + inner * 7 % 32]).collect()
        });
    });
}

/// A thread's blocks, which it hands on to the next thread.
type Blocks = Vec<Box<[MaybeUninit<u64>]>>;

/// As Larson's server: each thread frees a random one of its blocks and allocates another, for a while; then it
/// hands all its blocks on to the next thread.
pub fn larson<const THREADS: usize>(meter: &mut Meter) {
    const BLOCKS: usize = 1_000;
    const TURNS: usize = 10;
    let in_turn = meter.count(80_000 / THREADS);
    meter.time(in_turn * TURNS * THREADS, || {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| sync_channel::<Blocks>(1)).unzip();
        thread::scope(|scope| {
            let next = senders.into_iter().cycle().skip(1);
            for (seed, (to, from)) in next.zip(receivers).enumerate() {
                scope.spawn(move || {
                    let mut random = Random::seeded(seed as u64);
                    let mut blocks: Blocks = (0..BLOCKS).map(|_| block(&mut random)).collect();
                    for _ in 0..TURNS {
                        replace(&mut blocks, in_turn, &mut random);
                        blocks = exchange(&to, &from, blocks);
                    }
                });
            }
        });
    });
}

/// 16 to 512 bytes.
fn block(random: &mut Random) -> Box<[MaybeUninit<u64>]> {
    let mut block = Box::new_uninit_slice(2 + random.below(63));
    block[0].write(1);
    block
}

fn replace(blocks: &mut Blocks, times: usize, random: &mut Random) {
    for _ in 0..times {
        let index = random.below(blocks.len());
        blocks[index] = block(random);
    }
}

fn exchange(to: &SyncSender<Blocks>, from: &Receiver<Blocks>, blocks: Blocks) -> Blocks {
    to.send(blocks).expect("the next thread takes as many turns");
    from.recv().expect("the thread before takes as many turns")
}
