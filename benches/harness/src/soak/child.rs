//! The child's side: rounds of everything at once, and after each the sums, until the time is over.
//!
//! A round: some settings change, threads work on blocks of their own and each other's, short threads come
//! and go, children are forked, one of the harness's own workloads runs; then all threads have ended, a few
//! survivors are left, and every sum must close. What a round does follows from the seed; how its threads
//! interleave does not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use highwater::{Retention, SoftLimit};

use super::blocks::{self, Blocks, Done};
use super::forks;
use super::{Order, Soaked};
use crate::Result;
use crate::contenders::Accounts;
use crate::kernel::Memory;
use crate::report::Task;
use crate::stage::Stage;
use crate::workloads;

const MIB: u64 = 1 << 20;
/// Actions of one thread in one round.
const ACTIONS: u32 = 40_000;
/// After so many actions a thread grows or shrinks anew.
const PHASE: u32 = 4_000;
/// Blocks that stay from round to round, and bytes of the largest of them: what they hold on to, an OS page
/// each at the most, is reached within a few rounds.
const SURVIVORS_MAX: usize = 1_000;
const SURVIVOR_BYTES_MAX: usize = 4 << 10;
/// By how much the harness's workloads are made smaller.
const SCALE: u64 = 100;

#[derive(Default)]
struct Counts {
    forks: AtomicU64,
    threads: AtomicU64,
    trims: AtomicU64,
    settings: AtomicU64,
}

impl Counts {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Soaks as ordered; what there is to tell. Any fault ends the process with a message.
pub fn soak(order: &Order, accounts: &'static dyn Accounts) -> Result<Soaked> {
    let own_rung = highwater::retention();
    let until = Instant::now() + Duration::from_secs_f64(order.seconds);
    let counts = Counts::default();
    let memory = Memory::open();
    let mut rng = Rng::with_seed(order.seed);
    let mut survivors = Blocks::default();
    let mut done = Done::default();
    let mut soaked = Soaked::default();
    while Instant::now() < until || soaked.rounds == 0 {
        change_settings(&mut rng, own_rung, &counts);
        let threads: Vec<u64> = (0..order.threads).map(|_| rng.u64(..)).collect();
        for left in round(&threads, &counts, order.forks) {
            add(&mut done, left.done);
            survivors.absorb(left, SURVIVORS_MAX, SURVIVOR_BYTES_MAX);
        }
        workload(&mut rng, order, accounts)?;
        survivors.verify();
        blocks::clear_handed_over();
        highwater::set_retention(own_rung);
        highwater::set_soft_limit(SoftLimit::NONE);
        assert_sums_close();
        let given = highwater::trim();
        assert!(
            own_rung >= Retention::ReturnArenas || given == 0,
            "{own_rung:?} gave {given} bytes"
        );
        assert_sums_close();
        soaked.rounds += 1;
        soaked.resident_bytes.push(memory.resident_bytes().unwrap_or(0));
    }
    soaked.blocks_made = done.made;
    soaked.blocks_resized = done.resized;
    soaked.blocks_freed = done.freed;
    soaked.blocks_handed_over = done.handed_over;
    soaked.forks = counts.forks.into_inner();
    soaked.threads = counts.threads.into_inner();
    soaked.trims = counts.trims.into_inner() + soaked.rounds;
    soaked.settings = counts.settings.into_inner();
    Ok(soaked)
}

fn add(sum: &mut Done, more: Done) {
    sum.made += more.made;
    sum.resized += more.resized;
    sum.freed += more.freed;
    sum.handed_over += more.handed_over;
}

/// One round in four on another rung, one in three under a soft limit.
fn change_settings(rng: &mut Rng, own_rung: Retention, counts: &Counts) {
    if rng.u8(..4) == 0 {
        let rung = rng.choice(Retention::ALL).unwrap_or(own_rung);
        highwater::set_retention(rung);
        Counts::count(&counts.settings);
    }
    if rng.u8(..3) == 0 {
        highwater::set_soft_limit(SoftLimit::bytes(rng.usize(8..200) << 20));
        Counts::count(&counts.settings);
    }
}

/// One round of the threads; what each leaves.
fn round(seeds: &[u64], counts: &Counts, forks: bool) -> Vec<Blocks> {
    thread::scope(|scope| {
        let spawn = |&seed: &u64| {
            Counts::count(&counts.threads);
            scope.spawn(move || work(Rng::with_seed(seed), counts, forks))
        };
        let threads: Vec<_> = seeds.iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

/// What one thread does in a round. It leaves one block in a hundred.
fn work(mut rng: Rng, counts: &Counts, forks: bool) -> Blocks {
    let mut blocks = Blocks::default();
    let mut growing = 60;
    for action in 0..ACTIONS {
        if action % PHASE == 0 {
            growing = rng.u8(10..75);
            seldom(&mut rng, &mut blocks, counts, forks);
        }
        blocks.act(&mut rng, growing);
    }
    blocks.verify();
    blocks.thin_out(&mut rng, 100);
    blocks
}

/// What happens between two phases of a thread.
fn seldom(rng: &mut Rng, blocks: &mut Blocks, counts: &Counts, forks: bool) {
    match rng.u8(..10) {
        0 => {
            let one_in = rng.usize(2..1000);
            blocks.thin_out(rng, one_in);
        }
        1 => {
            highwater::trim();
            Counts::count(&counts.trims);
        }
        2 if forks => {
            forks::verify_in_a_child(blocks, rng.u64(..));
            Counts::count(&counts.forks);
        }
        3 => {
            let seed = rng.u64(..);
            Counts::count(&counts.threads);
            thread::spawn(move || short_life(seed)).join().expect("no thread panics");
        }
        4 => {
            highwater::set_soft_limit(SoftLimit::bytes(rng.usize(8..200) << 20));
            Counts::count(&counts.settings);
        }
        5 => {
            // Read while others work: what is told must make sense, though it need not be exact.
            let stats = highwater::stats();
            assert!(stats.mapped_bytes_peak >= stats.arenas, "more bytes than arenas");
            let _ = highwater::explain().sum();
            highwater::reset_peaks();
        }
        6 => thread::sleep(Duration::from_millis(rng.u64(..20))),
        _ => {}
    }
}

/// A thread that makes some blocks and leaves a few to others.
fn short_life(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut blocks = Blocks::default();
    (0..2_000).for_each(|_| blocks.act(&mut rng, 60));
    blocks.verify();
}

/// One of the harness's own workloads, small.
fn workload(rng: &mut Rng, order: &Order, accounts: &'static dyn Accounts) -> Result<()> {
    let known = workloads::ALL.iter().filter(|workload| order.forks || workload.name != "fork");
    let workload = rng.choice(known.collect::<Vec<_>>()).ok_or("no workload")?;
    let folder = tempfile::tempdir()?;
    let task = Task {
        workload: workload.name.to_owned(),
        scale: SCALE,
        scratch: folder.path().to_path_buf(),
        prepared: folder.path().to_path_buf(),
        inputs: vec![order.input.clone()],
        turn: None,
        maps: false,
        second_ms: 1,
    };
    (workload.prepare)(&task)?;
    let mut stage = Stage::new(task, accounts)?;
    (workload.run)(&mut stage).map_err(|error| format!("{}: {error}", workload.name).into())
}

/// Asserts what must be true when no other thread of the program runs.
fn assert_sums_close() {
    highwater::check();
    // A workload's thread that was waited for in a scope may still be at its very end.
    let patience = Instant::now() + Duration::from_secs(10);
    while let Err(fault) = sums_close() {
        assert!(Instant::now() < patience, "{fault}\n{}", highwater::explain());
        thread::sleep(Duration::from_millis(5));
    }
}

fn sums_close() -> std::result::Result<(), String> {
    let explained = highwater::explain();
    let stats = highwater::stats();
    let small: usize = stats.classes().map(|class| class.blocks_live * class.block_size).sum();
    for (what, one, other) in [
        ("what is explained and what is mapped", explained.sum(), explained.mapped),
        ("live bytes, by class and in all", small + stats.large_bytes, stats.live_bytes),
        ("large bytes, by record and counted", explained.large, stats.large_bytes),
        ("small bytes, by record and counted", explained.live, small),
    ] {
        if one != other {
            return Err(format!("{what}: {one} and {other}"));
        }
    }
    Ok(())
}

/// Rounds in a quarter of a soak before two quarters are compared. Where only whole arenas return, survivors spread
/// for some twenty rounds before the process is as large as it will be (46 to 83 MiB, and 83 after 174 rounds).
const ROUNDS_IN_A_QUARTER_MIN: usize = 20;

/// Whether resident memory creeps: the least after a round of the last quarter beside that of the second
/// one. The first quarter is for what grows once. The least: what is lost is in every round's memory, while the most tells
/// how high the highest wave of a rung was that keeps what it has. `None` after too few rounds to say.
pub fn creep(resident_bytes: &[u64]) -> Option<(u64, u64)> {
    let quarter = resident_bytes.len() / 4;
    if quarter < ROUNDS_IN_A_QUARTER_MIN {
        return None;
    }
    let least = |part: &[u64]| part.iter().copied().min();
    let early = least(resident_bytes.get(quarter..2 * quarter)?)?;
    let late = least(resident_bytes.get(resident_bytes.len() - quarter..)?)?;
    Some((early, late))
}

/// How much more may be resident late than early: chance makes some rounds larger than others.
pub fn is_creeping((early, late): (u64, u64)) -> bool {
    late > early + early / 4 + 16 * MIB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_creeps_is_told_from_what_varies() {
        let steady: Vec<u64> = (0..80).map(|round| (100 + round % 7) * MIB).collect();
        assert!(!is_creeping(creep(&steady).expect("enough rounds")));
        let growing: Vec<u64> = (0..80).map(|round| (100 + 3 * round) * MIB).collect();
        assert!(is_creeping(creep(&growing).expect("enough rounds")));
        let wave = |round: u64| 10 + round * 37 % 100 + if round == 75 { 200 } else { 0 };
        let waves: Vec<u64> = (0..80).map(|round| wave(round) * MIB).collect();
        assert!(!is_creeping(creep(&waves).expect("enough rounds")));
        let rising: Vec<u64> = (0..80).map(|round| (wave(round) + round) * MIB).collect();
        assert!(is_creeping(creep(&rising).expect("enough rounds")));
        let early: Vec<u64> = (0..79).map(|round| 10 * round * MIB).collect();
        assert_eq!(creep(&early), None, "too few rounds to say");
    }
}
