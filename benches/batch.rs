//! Batches of 10,000 blocks, freed in three orders: `cargo bench --bench batch`.

mod common;

use common::{Batch, HIGHWATER, MIMALLOC, Order, Sizes};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn batches(criterion: &mut Criterion) {
    for (sizes_name, sizes) in Sizes::ALL {
        for (order_name, order) in Order::ALL {
            let mut batch = Batch::new(sizes, order);
            let mut group = criterion.benchmark_group(format!("batch/{sizes_name}/{order_name}"));
            group.throughput(Throughput::Elements(Batch::BLOCKS as u64));
            group.bench_function("highwater", |bencher| bencher.iter(|| batch.run(&HIGHWATER)));
            group.bench_function("mimalloc", |bencher| bencher.iter(|| batch.run(&MIMALLOC)));
            group.finish();
        }
    }
}

criterion_group!(benches, batches);
criterion_main!(benches);
