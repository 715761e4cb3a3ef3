//! A list of boxed integers, deep-copied: the essay's first experiment.

use crate::Result;
use crate::lines;
use crate::stage::Stage;

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(1_000_000);
    lines! { stage;
        let numbers: Vec<Box<u64>> = (0..count).map(Box::new).collect();
        let copy = numbers.clone();
        drop(numbers);
        drop(copy);
    }
    stage.idle(0);
    Ok(())
}
