//! A sawtooth: a fifth of a steady working set is freed and made again, cycle after cycle, at three speeds.
//!
//! Memory that is wanted again a moment later should not be given back.

use std::thread;
use std::time::Duration;

use crate::Result;
use crate::kernel;
use crate::lines;
use crate::population::{Object, object};
use crate::stage::Stage;

/// Milliseconds of a cycle, and how many there are: half of it without the fifth, half with it.
const SPEEDS: [(u32, u32, &str); 3] = [
    (10, 100, "minor faults a cycle of 10 ms, % of its OS pages"),
    (200, 15, "minor faults a cycle of 200 ms, % of its OS pages"),
    (1_500, 4, "minor faults a cycle of 1.5 s, % of its OS pages"),
];

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(400_000);
    let steady = count - count / 5;
    lines! { stage;
        let mut objects: Vec<Object> = (0..count).map(object).collect();
        for (milliseconds, cycles, name) in SPEEDS {
            let half = stage.task().second() * milliseconds / 2_000;
            let faults = cycle_often(&mut objects, steady, half, cycles);
            stage.figure(name, Some(faults));
        };
        objects.truncate(steady as usize);
    }
    stage.rest(&objects);
    Ok(())
}

/// The minor faults of one cycle, in percent of the OS pages that its objects fill.
fn cycle_often(objects: &mut Vec<Object>, steady: u64, half: Duration, cycles: u32) -> f64 {
    let count = objects.len() as u64;
    let fifth = &objects[steady as usize..];
    let bytes: usize = fifth.iter().map(|object| object.len()).sum();
    let pages = bytes as f64 / kernel::os_page_bytes() as f64;
    let before = kernel::minor_faults();
    for _ in 0..cycles {
        objects.truncate(steady as usize);
        thread::sleep(half);
        objects.extend((steady..count).map(object));
        thread::sleep(half);
    }
    let faults = kernel::minor_faults() - before;
    faults as f64 / f64::from(cycles) / pages * 100.0
}
