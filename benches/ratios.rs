//! Highwater's time over mimalloc's, row by row: `cargo bench --bench ratios [-- --rounds N]`.
//!
//! Criterion times one allocator after the other; on a machine with other work the two then meet
//! different weather. Here they take turns, each round is one ratio, and the median round counts.
//! The spread beside it tells how far a single round may be trusted.

mod common;

use std::alloc::GlobalAlloc;
use std::time::Instant;

use common::{Batch, HIGHWATER, MIMALLOC, Order, Sizes, exchange, pair};

/// One kind of work, done once under either allocator. Answers with nanoseconds an operation.
struct Row {
    name: String,
    highwater: Box<dyn FnMut() -> f64>,
    mimalloc: Box<dyn FnMut() -> f64>,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    // `cargo test` runs benches too, without `--bench`: one round then, only to see that it works.
    let short = !args.iter().any(|arg| arg == "--bench") || args.iter().any(|arg| arg == "--test");
    let rounds = match rounds_asked_for(&args) {
        _ if short => 1,
        Ok(rounds) => rounds,
        Err(value) => {
            eprintln!("--rounds takes a number above 0, not {value:?}");
            std::process::exit(2);
        }
    };
    println!(
        "| row | highwater, ns | mimalloc v3, ns | ratio | least to most of {rounds} rounds |"
    );
    println!("|---|---|---|---|---|");
    let scale = if short { 100 } else { 1 };
    let mut logs = Vec::new();
    for mut row in rows(scale) {
        logs.push(row.measure(rounds).ln());
    }
    let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    println!("| geometric mean | | | {mean:.2} | |");
}

fn rounds_asked_for(args: &[String]) -> Result<usize, &str> {
    let Some(at) = args.iter().position(|arg| arg == "--rounds") else {
        return Ok(11);
    };
    let value = args.get(at + 1).map_or("", String::as_str);
    value.parse().ok().filter(|&rounds| rounds > 0).ok_or(value)
}

/// Every row, a `scale`th as long as for measuring.
fn rows(scale: usize) -> Vec<Row> {
    let mut rows =
        vec![pairs::<16>(scale), pairs::<64>(scale), pairs::<256>(scale), pairs::<1024>(scale)];
    for (sizes_name, sizes) in Sizes::ALL {
        for (order_name, order) in Order::ALL {
            let batch = || Batch::new(sizes, order);
            rows.push(Row {
                name: format!("batch/{sizes_name}/{order_name}"),
                highwater: batch_time(&HIGHWATER, batch(), scale),
                mimalloc: batch_time(&MIMALLOC, batch(), scale),
            });
        }
    }
    let blocks = 200_000 / scale;
    let per_block = move |time: std::time::Duration| time.as_secs_f64() * 1e9 / blocks as f64;
    rows.push(Row {
        name: "exchange".into(),
        highwater: Box::new(move || per_block(exchange(&HIGHWATER, blocks))),
        mimalloc: Box::new(move || per_block(exchange(&MIMALLOC, blocks))),
    });
    rows
}

fn pairs<const SIZE: usize>(scale: usize) -> Row {
    let turns = 4_000_000 / scale as u64;
    Row {
        name: format!("pair/{SIZE}"),
        highwater: time(turns, move || pair::<SIZE>(&HIGHWATER, turns)),
        mimalloc: time(turns, move || pair::<SIZE>(&MIMALLOC, turns)),
    }
}

fn batch_time(
    allocator: &'static impl GlobalAlloc,
    mut batch: Batch,
    scale: usize,
) -> Box<dyn FnMut() -> f64> {
    let turns = 100 / scale;
    let blocks = (turns * Batch::BLOCKS) as u64;
    time(blocks, move || (0..turns).for_each(|_| batch.run(allocator)))
}

fn time(operations: u64, mut work: impl FnMut() + 'static) -> Box<dyn FnMut() -> f64> {
    Box::new(move || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9 / operations as f64
    })
}

impl Row {
    /// Prints the row, and returns its ratio.
    fn measure(&mut self, rounds: usize) -> f64 {
        (self.highwater)();
        (self.mimalloc)();
        let mut samples: Vec<(f64, f64)> = (0..rounds).map(|round| self.round(round)).collect();
        samples.sort_unstable_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let ratio = |(highwater, mimalloc): (f64, f64)| highwater / mimalloc;
        let median = samples[rounds / 2];
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} to {:.2} |",
            self.name,
            median.0,
            median.1,
            ratio(median),
            ratio(samples[0]),
            ratio(samples[rounds - 1]),
        );
        ratio(median)
    }

    /// Both in turn; who begins alternates.
    fn round(&mut self, round: usize) -> (f64, f64) {
        if round.is_multiple_of(2) {
            let highwater = (self.highwater)();
            (highwater, (self.mimalloc)())
        } else {
            let mimalloc = (self.mimalloc)();
            ((self.highwater)(), mimalloc)
        }
    }
}
