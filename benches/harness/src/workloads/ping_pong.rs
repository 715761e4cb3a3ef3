//! Ping-pong at a boundary: one pool's worth of blocks is allocated and freed again and again.
//!
//! Wherever an allocator draws the line at which it takes memory or gives it back, some of the places tried
//! here lie on it: what is held grows by 16 KiB from one place to the next, over more than a whole MiB.

use crate::Result;
use crate::kernel;
use crate::lines;
use crate::population::{Object, object_of};
use crate::stage::Stage;

const BLOCK: usize = 512;
/// Blocks in 16 KiB.
const POOL_BLOCKS: u64 = 32;
/// Held at the first place, 8 MiB.
const HELD_BLOCKS: u64 = 16 << 10;
const PLACES: u64 = 70;
const TURNS: u64 = 10_000;

pub fn run(stage: &mut Stage) -> Result<()> {
    let turns = stage.count(TURNS);
    let blocks = (HELD_BLOCKS + PLACES * POOL_BLOCKS) as usize;
    let mut pool: Vec<Object> = Vec::with_capacity(POOL_BLOCKS as usize);
    let mut paid = Paid::default();
    lines! { stage;
        let mut held: Vec<Object> = Vec::with_capacity(blocks);
        held.extend(blocks_of(HELD_BLOCKS));
        for _ in 0..PLACES {
            turn(&mut pool);
            let before = Price::now(stage);
            for _ in 0..turns { turn(&mut pool); };
            paid.add(before, Price::now(stage));
            held.extend(blocks_of(POOL_BLOCKS));
        };
        drop(held);
    }
    stage.rest(&pool);
    paid.tell(stage);
    Ok(())
}

/// One pool's worth, there and back.
fn turn(pool: &mut Vec<Object>) {
    pool.extend(blocks_of(POOL_BLOCKS));
    pool.clear();
}

fn blocks_of(count: u64) -> impl Iterator<Item = Object> {
    (0..count).map(|index| object_of(BLOCK, index))
}

/// What the process had to pay up to a moment.
struct Price {
    system_calls: Option<u64>,
    minor_faults: u64,
}

impl Price {
    fn now(stage: &Stage) -> Price {
        Price { system_calls: stage.system_calls(), minor_faults: kernel::minor_faults() }
    }
}

/// What the turns cost, at all places and at the worst.
#[derive(Default)]
struct Paid {
    system_calls: Option<[u64; 2]>,
    minor_faults: [u64; 2],
}

impl Paid {
    fn add(&mut self, before: Price, after: Price) {
        let with = |[all, worst]: [u64; 2], cost: u64| [all + cost, worst.max(cost)];
        self.minor_faults = with(self.minor_faults, after.minor_faults - before.minor_faults);
        if let (Some(before), Some(after)) = (before.system_calls, after.system_calls) {
            let so_far = self.system_calls.unwrap_or_default();
            self.system_calls = Some(with(so_far, after - before));
        }
    }

    fn tell(&self, stage: &mut Stage) {
        let [all, worst] = self.minor_faults.map(|count| Some(count as f64));
        let [calls_all, calls_worst] = [0, 1].map(|of| Some(self.system_calls?[of] as f64));
        stage.figure("system calls in all turns", calls_all);
        stage.figure("system calls at the worst place", calls_worst);
        stage.figure("minor faults in all turns", all);
        stage.figure("minor faults at the worst place", worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_place_is_kept_beside_the_sum() {
        let price = |system_calls, minor_faults| Price { system_calls, minor_faults };
        let mut paid = Paid::default();
        paid.add(price(Some(1), 10), price(Some(4), 10));
        paid.add(price(Some(5), 20), price(Some(6), 27));
        assert_eq!(paid.system_calls, Some([4, 3]));
        assert_eq!(paid.minor_faults, [7, 7]);
        let mut silent = Paid::default();
        silent.add(price(None, 0), price(None, 1));
        assert_eq!(silent.system_calls, None);
    }
}
