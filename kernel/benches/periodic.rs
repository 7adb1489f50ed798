//! Timed runs of the full kernel model: 10,000 periodic timers on 8 CPUs, beside a bare binary heap that does nothing but
//! pop and push as many expiries. The ratio of the two is what the model costs.

mod world;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use world::{Size, model, world};

const TIMERS: u32 = 10_000;
const PERIOD_NS: u64 = 1_000_000;
const EXPIRIES: u64 = 1_000_000;

fn bare_heap() -> u64 {
    let mut heap: BinaryHeap<Reverse<(u64, u32)>> =
        (0..TIMERS).map(|t| Reverse((PERIOD_NS + u64::from(t) * 100, t))).collect();
    let mut last = 0;
    for _ in 0..EXPIRIES {
        if let Some(Reverse((at, t))) = heap.pop() {
            last = at;
            heap.push(Reverse((at + PERIOD_NS, t)));
        }
    }
    last
}

fn periodic(c: &mut Criterion) {
    let size = Size { timers: TIMERS, cpus: 8, period_ns: PERIOD_NS, expiries: EXPIRIES };
    let w = world(size);
    let mut g = c.benchmark_group("periodic-10000-timers-8-cpus");
    g.throughput(Throughput::Elements(EXPIRIES)).sample_size(10);
    g.bench_function("bare-binary-heap", |b| b.iter(|| black_box(bare_heap())));
    g.bench_function("kernel-model", |b| b.iter(|| black_box(model(&w, EXPIRIES))));
    g.finish();
}

criterion_group!(benches, periodic);
criterion_main!(benches);
