//! One thread allocates, another frees: `cargo bench --bench exchange`.

mod common;

use common::{HIGHWATER, MIMALLOC, exchange};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BLOCKS: usize = 50_000;

fn producer_consumer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    group.throughput(Throughput::Elements(BLOCKS as u64));
    group.bench_function("highwater", |bencher| {
        bencher.iter_custom(|turns| (0..turns).map(|_| exchange(&HIGHWATER, BLOCKS)).sum());
    });
    group.bench_function("mimalloc", |bencher| {
        bencher.iter_custom(|turns| (0..turns).map(|_| exchange(&MIMALLOC, BLOCKS)).sum());
    });
    group.finish();
}

criterion_group!(benches, producer_consumer);
criterion_main!(benches);
