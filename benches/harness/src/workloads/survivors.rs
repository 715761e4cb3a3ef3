//! Scattered survivors: many small objects are freed but for a few, at random places.

use crate::Result;
use crate::lines;
use crate::population::{Object, keep_scattered, object};
use crate::stage::Stage;

pub fn one_in_1000(stage: &mut Stage) -> Result<()> {
    run(stage, 1)
}

pub fn one_in_100(stage: &mut Stage) -> Result<()> {
    run(stage, 10)
}

pub fn one_in_20(stage: &mut Stage) -> Result<()> {
    run(stage, 50)
}

fn run(stage: &mut Stage, per_mille: u64) -> Result<()> {
    let count = stage.count(5_000_000);
    lines! { stage;
        let mut objects: Vec<Object> = (0..count).map(object).collect();
    }
    stage.map("before the drop");
    lines! { stage;
        keep_scattered(&mut objects, per_mille);
        objects.shrink_to_fit();
    }
    stage.rest(&objects);
    Ok(())
}
