//! What grows, and what starts as zeros: `cargo bench --bench growth`.

mod common;

use common::{HIGHWATER, MIMALLOC, format, grow, zeroed};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use highwater::Highwater;
use mimalloc::MiMalloc;

/// Ends of growth: of a vector that stays small, and of a large one.
const GROWN: [(&str, usize); 2] = [("small", 256), ("1m", 1 << 20)];
const ZEROED: [(&str, usize); 3] = [("4k", 4 << 10), ("256k", 256 << 10), ("1m", 1 << 20)];

fn growth(criterion: &mut Criterion) {
    for (name, bytes) in GROWN {
        let mut group = criterion.benchmark_group(format!("vec/{name}"));
        beside(&mut group, |allocator| grow(allocator, bytes), |allocator| grow(allocator, bytes));
        group.finish();
    }
}

fn formatting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("string/format");
    beside(&mut group, |allocator| format(allocator, 4711), |allocator| format(allocator, 4711));
    group.finish();
}

fn zeroes(criterion: &mut Criterion) {
    for (name, bytes) in ZEROED {
        let mut group = criterion.benchmark_group(format!("zeroed/{name}"));
        beside(
            &mut group,
            |allocator| zeroed(allocator, bytes),
            |allocator| zeroed(allocator, bytes),
        );
        group.finish();
    }
}

fn beside(
    group: &mut BenchmarkGroup<'_, WallTime>,
    highwater: impl Fn(&Highwater),
    mimalloc: impl Fn(&MiMalloc),
) {
    group.bench_function("highwater", |bencher| bencher.iter(|| highwater(&HIGHWATER)));
    group.bench_function("mimalloc", |bencher| bencher.iter(|| mimalloc(&MIMALLOC)));
}

criterion_group!(benches, growth, formatting, zeroes);
criterion_main!(benches);
