//! Blocks that pass between threads, and threads that end before their blocks do.
//!
//! The allocator is called by its trait; the test itself lives on the system's, so that what is
//! counted is what the test asked for.

#[path = "support/child.rs"]
mod child;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::sync::{Barrier, Mutex, PoisonError, mpsc};
use std::{ptr, thread};

use child::alone;
use highwater::{Highwater, Retention};

static HIGHWATER: Highwater = Highwater::new();

const DEBUG: bool = cfg!(debug_assertions);
const MIB: usize = 1 << 20;

/// Runs `work` while no other test does: counts are the process's. Begins and ends with nothing
/// live, and with a sound heap.
fn serially(rung: Retention, work: impl FnOnce() + Send) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = highwater::stats().live_bytes;
    highwater::set_retention(rung);
    let ended = thread::scope(|scope| scope.spawn(work).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(highwater::stats().live_bytes, before, "nothing stays live");
    assert_sound();
    highwater::trim();
}

#[track_caller]
fn assert_sound() {
    highwater::check();
    let explained = highwater::explain();
    assert_eq!(explained.sum(), explained.mapped, "{explained}");
}

/// Runs `work` for every part on a thread of its own, and waits until the threads are gone, which a
/// scope by itself does not: what they held back is counted then.
fn on_threads<T: Send, R: Send>(
    parts: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || work(part));
        let threads: Vec<_> = parts.into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A block that knows its size and verifies its bytes when it goes.
struct Block {
    at: *mut u8,
    size: usize,
}

// SAFETY: the block goes with its owner.
unsafe impl Send for Block {}

impl Block {
    /// From here on only the ends of a block are written and verified.
    const ENDS: usize = 64;

    fn new(size: usize) -> Self {
        // SAFETY: not of size 0.
        let at = unsafe { HIGHWATER.alloc(Self::layout(size)) };
        assert!(!at.is_null());
        let mut block = Block { at, size };
        let mark = block.mark();
        block.ends().into_iter().for_each(|end| end.fill(mark));
        block
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// Differs between neighbours, so that one overwriting another shows.
    fn mark(&self) -> u8 {
        (self.at.addr() / 8) as u8 ^ self.size as u8
    }

    fn ends(&mut self) -> [&mut [u8]; 2] {
        let first = self.size.min(Self::ENDS);
        let last = (self.size - first).min(Self::ENDS);
        // SAFETY: two parts of the block that do not overlap.
        unsafe {
            let behind = self.at.add(self.size - last);
            [
                std::slice::from_raw_parts_mut(self.at, first),
                std::slice::from_raw_parts_mut(behind, last),
            ]
        }
    }

    fn assert_intact(&mut self) {
        let (mark, size) = (self.mark(), self.size);
        for end in self.ends() {
            assert!(end.iter().all(|&byte| byte == mark), "{size} bytes");
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.assert_intact();
        // SAFETY: a live block with its layout.
        unsafe { HIGHWATER.dealloc(self.at, Self::layout(self.size)) };
    }
}

/// A generator of its own for each thread, so that every run begins the same.
struct Random(u64);

impl Random {
    fn new(seed: usize) -> Self {
        Random(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(seed as u64 + 1))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }

    /// A chance of one in `of`.
    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

// ---------------------------------------------------------------------------------------------
// The stress test of mimalloc, in spirit: blocks are exchanged, threads end and survivors stay.
// ---------------------------------------------------------------------------------------------

const EXCHANGES: usize = 1000;

/// Where threads leave blocks for each other.
struct Exchange(Vec<AtomicPtr<Block>>);

impl Exchange {
    fn new() -> Self {
        Exchange((0..EXCHANGES).map(|_| AtomicPtr::new(ptr::null_mut())).collect())
    }

    fn swap(&self, index: usize, block: Option<Box<Block>>) -> Option<Box<Block>> {
        let given = block.map_or(ptr::null_mut(), Box::into_raw);
        let taken = self.0[index].swap(given, AcqRel);
        // SAFETY: what is not null was a box that whoever put it there gave up.
        (!taken.is_null()).then(|| unsafe { Box::from_raw(taken) })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        (0..EXCHANGES).for_each(|index| drop(self.swap(index, None)));
    }
}

/// Sizes by powers of two, small ones more often, now and then a very large one.
fn stress_size(random: &mut Random) -> usize {
    match random.below(2000) {
        0 => 600_000 + random.below(MIB),
        1..8 => 33_000 + random.below(200_000),
        _ => {
            let power = random.below(10).min(random.below(14));
            8 * (1 << power) + random.below(8 << power)
        }
    }
}

fn stress(seed: usize, turns: usize, exchange: &Exchange) {
    let mut random = Random::new(seed);
    let (mut held, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        if random.chance(2) {
            let block = Box::new(Block::new(stress_size(&mut random)));
            if random.chance(10) { kept.push(block) } else { held.push(block) }
        } else if !held.is_empty() {
            let index = random.below(held.len());
            held.swap_remove(index);
        }
        if random.chance(4) && !held.is_empty() {
            let index = random.below(held.len());
            let given = held.swap_remove(index);
            let taken = exchange.swap(random.below(EXCHANGES), Some(given));
            held.extend(taken);
        }
    }
}

fn stress_on(rung: Retention) {
    serially(rung, || {
        let (threads, rounds, turns) = if DEBUG { (8, 10, 8000) } else { (16, 50, 50_000) };
        let exchange = Exchange::new();
        for round in 0..rounds {
            let seeds = (0..threads).map(|thread| round * threads + thread);
            on_threads(seeds, |seed| stress(seed, turns, &exchange));
            // The survivors are in the exchange; from time to time half of them go.
            for index in 0..EXCHANGES {
                if round % 3 == 0 && index % 2 == 0 {
                    drop(exchange.swap(index, None));
                }
            }
        }
    });
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_return_arenas() {
    stress_on(Retention::ReturnArenas);
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_return_pages() {
    stress_on(Retention::ReturnPages);
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_keep_arenas() {
    stress_on(Retention::KeepArenas);
}

#[test]
fn exchanged_blocks_keep_their_bytes_under_never_shrink() {
    stress_on(Retention::NeverShrink);
}

// ---------------------------------------------------------------------------------------------
// Threads that end early.
// ---------------------------------------------------------------------------------------------

fn made_by_another_thread(count: usize, size: impl Fn(usize) -> usize + Sync) -> Vec<Block> {
    let make = |()| (0..count).map(|number| Block::new(size(number))).collect();
    on_threads([()], make).remove(0)
}

#[test]
fn blocks_outlive_the_thread_that_made_them() {
    for rung in Retention::ALL {
        serially(rung, || {
            let mut held = Vec::new();
            for round in 0..20 {
                held.extend(made_by_another_thread(500, |number| 1 + number * 37 % 40_000));
                held.iter_mut().for_each(Block::assert_intact);
                // Those that adopt a heap meet its used blocks.
                let random = &mut Random::new(round);
                (0..250).for_each(|_| drop(held.swap_remove(random.below(held.len()))));
            }
        });
    }
}

#[test]
fn what_the_last_thread_frees_of_a_dead_heap_makes_its_arenas_leave() {
    serially(Retention::ReturnArenas, || {
        let start = highwater::stats().mapped_bytes;
        for size in [16, 200, 5000] {
            let bytes = if DEBUG && size < 100 { 16 * MIB } else { 64 * MIB };
            let held = made_by_another_thread(bytes / size, |_| size);
            assert!(highwater::stats().mapped_bytes >= start + bytes / 2);
            drop(held);
            let left = highwater::stats().mapped_bytes.saturating_sub(start);
            assert!(left <= 4 * MIB, "{size} bytes: {left} left");
        }
    });
}

#[test]
fn what_several_threads_free_of_a_dead_heap_makes_its_arenas_leave() {
    let rounds = if DEBUG { 10 } else { 100 };
    for _ in 0..rounds {
        serially(Retention::ReturnArenas, || {
            highwater::trim();
            let start = highwater::stats().mapped_bytes;
            let mut held = made_by_another_thread(40_000, |_| 500);
            // Neighbours go to different threads: they race for the last block of every pool.
            let mut shares: [Vec<Block>; 4] = Default::default();
            held.drain(..).enumerate().for_each(|(number, block)| shares[number % 4].push(block));
            let together = Barrier::new(4);
            on_threads(shares, |share| {
                together.wait();
                drop(share);
            });
            let left = highwater::stats().mapped_bytes.saturating_sub(start);
            assert!(left <= 4 * MIB, "{left} of 20 MiB left");
        });
    }
}

#[test]
fn blocks_freed_while_their_thread_ends_make_its_arenas_leave() {
    let rounds = if DEBUG { 30 } else { 300 };
    serially(Retention::ReturnArenas, || {
        let start = highwater::stats().mapped_bytes;
        for _ in 0..rounds {
            let (give, take) = mpsc::channel();
            let maker = thread::spawn(move || {
                (0..20_000).for_each(|_| give.send(Block::new(500)).unwrap());
            });
            // The last blocks are freed while the maker goes.
            let freer = thread::spawn(move || take.into_iter().for_each(drop));
            maker.join().unwrap();
            freer.join().unwrap();
            let left = highwater::stats().mapped_bytes.saturating_sub(start);
            assert!(left <= 4 * MIB, "{left} left, nothing is live");
        }
    });
}

#[test]
fn a_producer_and_a_consumer_need_no_more_than_what_is_between_them() {
    for rung in Retention::ALL {
        serially(rung, || {
            let blocks = if DEBUG { 200_000 } else { 2_000_000 };
            let (send, receive) = mpsc::sync_channel(1000);
            let start = highwater::stats().mapped_bytes;
            highwater::reset_peaks();
            let producer = thread::spawn(move || {
                (0..blocks).for_each(|number| {
                    send.send(Block::new(16 + number % 400)).unwrap();
                });
            });
            let consumer = thread::spawn(move || receive.into_iter().for_each(drop));
            producer.join().unwrap();
            consumer.join().unwrap();
            // 1000 blocks are on the way, and of each of 50 classes some pools' worth is late.
            let stats = highwater::stats();
            let most = stats.mapped_bytes_peak.saturating_sub(start);
            assert!(most <= 16 * MIB, "{most} mapped for at most 1000 blocks");
        });
    }
}

#[test]
fn a_ring_of_threads_hands_every_block_on() {
    serially(Retention::ReturnArenas, || {
        let (threads, turns) = (4, if DEBUG { 20_000 } else { 200_000 });
        let (mut senders, receivers): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| mpsc::sync_channel::<Block>(64)).unzip();
        senders.rotate_left(1);
        let freed = AtomicUsize::new(0);
        let ring = senders.into_iter().zip(receivers).enumerate();
        on_threads(ring, |(thread, (send, receive))| {
            let mut random = Random::new(thread);
            for _ in 0..turns {
                let _ = send.try_send(Block::new(1 + random.below(3000)));
                while let Ok(mut block) = receive.try_recv() {
                    block.assert_intact();
                    freed.fetch_add(1, Relaxed);
                }
            }
        });
        assert!(freed.load(Relaxed) > 0, "blocks went round");
    });
}

// ---------------------------------------------------------------------------------------------
// Many threads, many rounds.
// ---------------------------------------------------------------------------------------------

#[test]
fn memory_grows_with_the_survivors_not_with_the_threads() {
    alone(|| survivors_of_many_threads(Retention::ReturnArenas));
}

fn survivors_of_many_threads(rung: Retention) {
    serially(rung, || {
        const ALIVE: usize = 100;
        let threads = if DEBUG { 3000 } else { 10_000 };
        let mut survivors = Vec::with_capacity(threads);
        let mut mapped = Vec::new();
        for _ in 0..threads / ALIVE {
            let together = Barrier::new(ALIVE);
            survivors.extend(on_threads(0..ALIVE, |number| {
                let mut own: Vec<_> = (0..40).map(|at| Block::new(8 + at * 50)).collect();
                together.wait();
                own.swap_remove(number % 40)
            }));
            mapped.push(highwater::stats().mapped_bytes);
        }
        assert_eq!(survivors.len(), threads);
        let bytes: usize = survivors.iter().map(|block| block.size).sum();
        // After the third hundred: the survivors of the first lie in some arenas only, and how many
        // is left to chance. From then on every hundred threads find the room of those before.
        let (third, last) = (mapped[2], *mapped.last().unwrap());
        let grown = last.saturating_sub(third);
        assert!(grown <= bytes + 2 * MIB, "{third} to {last} for {bytes} of survivors");
        assert_sound();
    });
}

/// Objects as programs have them: mostly tens of bytes, some hundreds, few thousands.
fn mixed_size(random: &mut Random) -> usize {
    match random.below(100) {
        0 => 1024 + random.below(4096),
        1..10 => 128 + random.below(896),
        _ => 8 + random.below(120),
    }
}

fn rounds_leave_nothing(rung: Retention) {
    serially(rung, || {
        const THREADS: usize = 4;
        const ROUNDS: usize = 20;
        let objects = if DEBUG { 400_000 } else { 5_000_000 };
        let live = highwater::stats().live_bytes;
        let mut peaks = Vec::new();
        let mut rests = Vec::new();
        for round in 0..ROUNDS {
            highwater::reset_peaks();
            // All are there before one begins, and until the last has ended: a heap for each.
            let together = Barrier::new(THREADS);
            let made = on_threads(0..THREADS, |thread| {
                together.wait();
                let mut random = Random::new(round * THREADS + thread);
                let blocks = std::iter::repeat_with(|| Block::new(mixed_size(&mut random)));
                let made = blocks.take(objects / THREADS).collect::<Vec<_>>();
                together.wait();
                made
            });
            // Others than their makers free them.
            on_threads(made, drop);
            let stats = highwater::stats();
            assert_eq!(stats.live_bytes, live, "round {round}");
            peaks.push(stats.mapped_bytes_peak);
            rests.push(stats.mapped_bytes);
        }
        for (what, bytes) in [("peak", peaks), ("rest", rests)] {
            let (second, last) = (bytes[1] as f64, bytes[ROUNDS - 1] as f64);
            // Of a rest of some arenas, 5% is less than one.
            let allowed = (second * 0.05).max(4.0 * MIB as f64);
            assert!((last - second).abs() <= allowed, "{what}: {bytes:?}");
        }
    });
}

#[test]
fn the_twentieth_round_needs_what_the_second_did_under_return_arenas() {
    alone(|| rounds_leave_nothing(Retention::ReturnArenas));
}

#[test]
fn the_twentieth_round_needs_what_the_second_did_under_return_pages() {
    alone(|| rounds_leave_nothing(Retention::ReturnPages));
}

#[test]
fn the_twentieth_round_needs_what_the_second_did_under_keep_arenas() {
    alone(|| rounds_leave_nothing(Retention::KeepArenas));
}

#[test]
fn the_twentieth_round_needs_what_the_second_did_under_never_shrink() {
    alone(|| rounds_leave_nothing(Retention::NeverShrink));
}
