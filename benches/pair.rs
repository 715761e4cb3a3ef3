//! The tight pair: `cargo bench --bench pair`.

mod common;

use std::alloc::GlobalAlloc;
use std::time::Instant;

use common::{HIGHWATER, MIMALLOC, pair};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

fn pairs(criterion: &mut Criterion) {
    beside::<16>(criterion);
    beside::<64>(criterion);
    beside::<256>(criterion);
    beside::<1024>(criterion);
}

fn beside<const SIZE: usize>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("pair/{SIZE}"));
    bench::<SIZE>(&mut group, "highwater", &HIGHWATER);
    bench::<SIZE>(&mut group, "mimalloc", &MIMALLOC);
    group.finish();
}

fn bench<const SIZE: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    allocator: &impl GlobalAlloc,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|turns| {
            let start = Instant::now();
            pair::<SIZE>(allocator, turns);
            start.elapsed()
        });
    });
}

criterion_group!(benches, pairs);
criterion_main!(benches);
