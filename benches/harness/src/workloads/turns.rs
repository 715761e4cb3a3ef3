//! Phases in turns: each makes objects of a size of its own and frees them all, round after round.
//!
//! What one phase leaves, the next may use, and a phase that comes again should not find its memory gone.

use crate::Result;
use crate::kernel;
use crate::lines;
use crate::population::{Object, object_of};
use crate::stage::Stage;

/// Bytes that a phase asks for.
const PHASE_BYTES: u64 = 32 << 20;

const ROUNDS: u64 = 16;

/// The size of each phase's objects.
const PHASES: [(&[usize], &str); 4] = [
    (&[300, 100], "minor faults of two phases in turns, % of their OS pages"),
    (&[300, 100, 800], "minor faults of three phases in turns, % of their OS pages"),
    (&[300, 100, 800, 50, 1500, 200], "minor faults of six phases in turns, % of their OS pages"),
    (&[300], "minor faults of one phase that comes again, % of its OS pages"),
];

pub fn run(stage: &mut Stage) -> Result<()> {
    let bytes = stage.count(PHASE_BYTES);
    lines! { stage;
        for (sizes, name) in PHASES {
            let faults = take_turns(sizes, bytes);
            stage.figure(name, Some(faults));
        };
    }
    stage.rest(&Vec::<Object>::new());
    Ok(())
}

/// The minor faults of all rounds, in percent of the OS pages that their objects fill.
fn take_turns(sizes: &[usize], bytes: u64) -> f64 {
    let before = kernel::minor_faults();
    for _ in 0..ROUNDS {
        for &size in sizes {
            let count = bytes / (size + size_of::<Object>()) as u64;
            drop((0..count).map(|index| object_of(size, index)).collect::<Vec<Object>>());
        }
    }
    let faults = kernel::minor_faults() - before;
    let pages = ROUNDS * sizes.len() as u64 * bytes / kernel::os_page_bytes();
    faults as f64 / pages as f64 * 100.0
}
