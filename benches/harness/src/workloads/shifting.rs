//! Shifting sizes: in each cycle the program wants objects of other sizes than before, and keeps a few of them.
//!
//! The cycles follow each other faster than any delay. What one size leaves must serve the next.

use crate::Result;
use crate::population::{Object, keep_scattered, object_of};
use crate::stage::Stage;
use crate::workloads::scrambled;

const CYCLES: usize = 20;

/// The ten mixes: the largest object of each. The smallest has two thirds of it.
const MIXES: [u64; 10] = [24, 40, 64, 96, 144, 208, 304, 448, 656, 960];

/// Bytes that a cycle asks for. With what earlier cycles left, 133 MiB live at most.
const CYCLE_BYTES: u64 = 121 << 20;

/// How many in a thousand of a cycle's objects are kept to the end.
const KEPT_PER_MILLE: u64 = 5;

pub fn run(stage: &mut Stage) -> Result<()> {
    let cycle_bytes = stage.count(CYCLE_BYTES);
    stage.book.start();
    let mut survivors: Vec<Object> = Vec::new();
    for cycle in 0..CYCLES {
        let mut objects = filled(cycle, cycle_bytes);
        stage.book.record_held("peak", &(&survivors, &objects));
        keep_scattered(&mut objects, KEPT_PER_MILLE);
        survivors.append(&mut objects);
        drop(objects);
        stage.book.record_held("trough", &survivors);
    }
    stage.rest(&survivors);
    Ok(())
}

/// All objects of one cycle.
fn filled(cycle: usize, cycle_bytes: u64) -> Vec<Object> {
    // Three has no factor in common with ten: every mix comes, and neighbours differ much in size.
    let largest = MIXES[cycle * 3 % MIXES.len()];
    let smallest = largest * 2 / 3;
    let steps = largest - smallest + 1;
    let average = (smallest + largest) / 2 + size_of::<Object>() as u64;
    let first = (cycle as u64) << 32;
    (first..first + cycle_bytes / average)
        .map(|index| object_of((smallest + scrambled(index) % steps) as usize, index))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound;

    #[test]
    fn every_cycle_asks_for_the_same_bytes_in_its_own_sizes() {
        for (cycle, largest) in [(0, 24), (1, 96), (9, 448)] {
            let objects = filled(cycle, 1 << 20);
            let asked = bound::asked_bytes(&objects);
            assert!((980 << 10..=1044 << 10).contains(&asked), "{asked}");
            assert!(objects.iter().all(|object| object.len() <= largest));
            assert!(objects.iter().any(|object| object.len() == largest));
        }
    }
}
