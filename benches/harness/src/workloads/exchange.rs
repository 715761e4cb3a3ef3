//! Threads that churn and exchange: each makes batches of mixed objects and frees what others made.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Result;
use crate::kernel;
use crate::lines;
use crate::population::{Object, object};
use crate::stage::Stage;
use crate::workloads::scrambled;

const THREADS: u64 = 4;
/// Batches that wait for whoever takes them.
const SHELVES: u64 = 1_024;
/// Objects in one batch.
const BATCH: u64 = 64;

type Shelf = Mutex<Vec<Object>>;

pub fn run(stage: &mut Stage) -> Result<()> {
    let turns = stage.count(40_000);
    let shelves: Vec<Shelf> = (0..SHELVES).map(|_| Shelf::default()).collect();
    lines! { stage;
        let before = kernel::cpu_time();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let shelves = &shelves;
                scope.spawn(move || exchange(shelves, thread, turns));
            }
        });
        let spent = kernel::cpu_time() - before;
        for shelf in &shelves { drop(taken(shelf, Vec::new())); };
    }
    stage.rest(&());
    let objects = (THREADS * turns * BATCH) as f64;
    stage.figure("CPU time an object, ns", Some(spent.as_nanos() as f64 / objects));
    Ok(())
}

/// Puts fresh batches on random shelves, and frees what lay there.
fn exchange(shelves: &[Shelf], thread: u64, turns: u64) {
    for turn in thread * turns..(thread + 1) * turns {
        let batch = (turn * BATCH..(turn + 1) * BATCH).map(object).collect();
        let shelf = &shelves[(scrambled(turn) % SHELVES) as usize];
        drop(taken(shelf, batch));
    }
}

/// What lay on the shelf; `batch` lies there now.
fn taken(shelf: &Shelf, batch: Vec<Object>) -> Vec<Object> {
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    mem::replace(&mut shelf, batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_is_on_a_shelf_or_freed() {
        let shelves: Vec<Shelf> = (0..SHELVES).map(|_| Shelf::default()).collect();
        exchange(&shelves, 1, 10);
        let batches: Vec<usize> = shelves
            .iter()
            .map(|shelf| taken(shelf, Vec::new()).len())
            .filter(|&objects| objects > 0)
            .collect();
        assert!((1..=10).contains(&batches.len()));
        assert!(batches.iter().all(|&objects| objects == BATCH as usize));
    }
}
