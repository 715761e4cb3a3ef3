//! Batches of 10,000 blocks, freed in three orders: `cargo bench --bench batch`.

mod common;

use common::{Batch, HIGHWATER, MIMALLOC, Order};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn one_size(criterion: &mut Criterion) {
    beside(criterion, "64", Batch::of_one_size);
}

fn mixed_sizes(criterion: &mut Criterion) {
    beside(criterion, "mixed", Batch::of_mixed_sizes);
}

fn beside(criterion: &mut Criterion, sizes: &str, batch: fn(Order) -> Batch) {
    for (order_name, order) in Order::ALL {
        let mut batch = batch(order);
        let mut group = criterion.benchmark_group(format!("batch/{sizes}/{order_name}"));
        group.throughput(Throughput::Elements(Batch::BLOCKS as u64));
        group.bench_function("highwater", |bencher| {
            bencher.iter(|| batch.run(&HIGHWATER))
        });
        group.bench_function("mimalloc", |bencher| bencher.iter(|| batch.run(&MIMALLOC)));
        group.finish();
    }
}

criterion_group!(benches, one_size, mixed_sizes);
criterion_main!(benches);
