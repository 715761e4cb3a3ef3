//! Bursts under a soft limit: in each, the program fills most of the limit with blocks of other sizes than before,
//! and drops them all. Then the same bursts without the limit.
//!
//! The bursts follow each other faster than any delay. What one leaves must serve the next, or go.

use std::time::Instant;

use crate::Result;
use crate::kernel::Memory;
use crate::lines;
use crate::population::{Object, object_of};
use crate::stage::Stage;

/// The size of each burst's objects: neighbours come from different places of an allocator.
const SIZES: [usize; 9] = [64, 1_000, 200, 16 << 10, 48, 100 << 10, 3_000, 700 << 10, 400];

/// What a burst's objects and the list of them take.
const BURST_BYTES: u64 = 192 << 20;

/// The limit: a burst, and a sixth of it for rounding and for what the allocator keeps;
const LIMIT_BYTES: u64 = 224 << 20;

/// and the process's own code, stack and files, at any scale.
const PROCESS_BYTES: u64 = 32 << 20;

pub fn run(stage: &mut Stage) -> Result<()> {
    let memory = Memory::open();
    let bytes = stage.count(BURST_BYTES);
    let limit = stage.count(LIMIT_BYTES) + PROCESS_BYTES;
    lines! { stage;
        let limited = stage.soft_limit(Some(limit));
        let with = bursts(stage, &memory, bytes);
        let _ = stage.soft_limit(None);
        let without = bursts(stage, &memory, bytes);
    }
    stage.rest(&());
    stage.figure("the limit, MiB", limited.then_some(mib(limit)));
    for (price, [peak, calls, milliseconds]) in
        [(limited.then_some(with), WITH), (Some(without), WITHOUT)]
    {
        stage.figure(peak, price.as_ref().and_then(|price| price.peak_bytes).map(mib));
        stage.figure(calls, price.as_ref().and_then(|price| price.system_calls));
        stage.figure(milliseconds, price.map(|price| price.milliseconds));
    }
    Ok(())
}

const WITH: [&str; 3] =
    ["peak under the limit, MiB", "system calls under it", "milliseconds under it"];
const WITHOUT: [&str; 3] = ["peak without, MiB", "system calls without", "milliseconds without"];

/// What all bursts cost.
struct Price {
    /// The most that was resident since the process began: the bursts under the limit come first.
    peak_bytes: Option<u64>,
    system_calls: Option<f64>,
    milliseconds: f64,
}

fn bursts(stage: &Stage, memory: &Memory, bytes: u64) -> Price {
    let (calls, start) = (stage.system_calls(), Instant::now());
    for size in SIZES {
        drop(burst(bytes, size));
    }
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let made = |calls| Some((stage.system_calls()? - calls) as f64);
    Price {
        peak_bytes: memory.resident_bytes_peak(),
        system_calls: calls.and_then(made),
        milliseconds,
    }
}

/// Objects of one size that take `bytes` with the list of them.
fn burst(bytes: u64, size: usize) -> Vec<Object> {
    let count = bytes / (size + size_of::<Object>()) as u64;
    let mut objects = Vec::with_capacity(count as usize);
    objects.extend((0..count).map(|index| object_of(size, index)));
    objects
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound;

    #[test]
    fn a_burst_takes_what_it_is_given_in_every_size() {
        for size in SIZES {
            let objects = burst(8 << 20, size);
            let taken = bound::asked_bytes(&objects) + (objects.len() * size_of::<Object>()) as u64;
            assert!(taken <= 10 << 20 && taken + (1 << 20) > 8 << 20, "{taken}");
        }
    }
}
