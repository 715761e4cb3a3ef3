//! Many short threads come and go, and each leaves a few survivors behind.

use std::sync::Barrier;
use std::thread;

use crate::Result;
use crate::lines;
use crate::population::{Object, keep_scattered, object};
use crate::stage::Stage;

const ROUNDS: u64 = 25;

/// Threads of one round: all hold their objects at the same moment.
const THREADS: u64 = 40;

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(5_000);
    lines! { stage;
        let mut survivors: Vec<Object> = Vec::new();
        for round in 0..ROUNDS {
            survivors.extend(left_by_threads(round, count));
        };
        survivors.shrink_to_fit();
    }
    stage.rest(&survivors);
    Ok(())
}

/// What the threads of one round leave: one in a thousand of their objects.
fn left_by_threads(round: u64, count: u64) -> Vec<Object> {
    let full = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (full, first) = (&full, (round * THREADS + thread) * count);
                scope.spawn(move || {
                    let mut objects: Vec<Object> = (first..first + count).map(object).collect();
                    full.wait();
                    keep_scattered(&mut objects, 1);
                    objects.shrink_to_fit();
                    objects
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}
