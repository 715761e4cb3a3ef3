//! A process that holds 2 GiB, frees 99.9% of it, and sleeps. Is it small then, and quick when it wakes?

use crate::Result;
use crate::lines;
use crate::population::{Object, keep_scattered, object};
use crate::stage::Stage;

const MIB: f64 = (1 << 20) as f64;

pub fn run(stage: &mut Stage) -> Result<()> {
    let count = stage.count(12_500_000);
    stage.work();
    let before = stage.work();
    let start = stage.book.proportional_bytes();
    lines! { stage;
        let mut objects: Vec<Object> = (0..count).map(object).collect();
        keep_scattered(&mut objects, 1);
        objects.shrink_to_fit();
    }
    let rest = stage.rest(&objects);
    let asleep = rest.proportional_bytes.zip(start);
    stage.figure(
        "proportional set size after 5 s, over the start, MiB",
        asleep.map(|(asleep, start)| (asleep as f64 - start as f64) / MIB),
    );
    let [first, second] = rest.work;
    for (name, time) in [
        ("a fixed piece of work before, ms", before),
        ("the same right after waking, ms", first),
        ("the same once more, ms", second),
    ] {
        stage.figure(name, Some(time.as_secs_f64() * 1e3));
    }
    Ok(())
}
