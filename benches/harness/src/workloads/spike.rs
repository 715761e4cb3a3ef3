//! A spike: many small objects are made and all freed, by one thread.

use crate::Result;
use crate::lines;
use crate::population::{Object, object};
use crate::stage::Stage;

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(5_000_000);
    lines! { stage;
        let objects: Vec<Object> = (0..count).map(object).collect();
        drop(objects);
    }
    stage.rest(&());
    Ok(())
}
