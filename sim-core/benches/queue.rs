//! The bare event loop: timers that re-arm themselves, after random delays or all after the same one; three times in ten
//! another one is cancelled and armed anew. The machine's queue of timers beside what the standard library offers: a binary heap that skips what was cancelled, and an
//! ordered map. Each expiry is one element; the ratios are what counts.

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hint::black_box;
use timerace_core::mix::mix;
use timerace_core::queue::TimerQueue;

const EXPIRIES: u64 = 100_000;

trait Queue {
    fn arm(&mut self, timer: u32, at: u64);
    fn cancel(&mut self, timer: u32);
    fn pop(&mut self) -> Option<(u64, u32)>;
}

impl Queue for TimerQueue {
    fn arm(&mut self, timer: u32, at: u64) {
        self.insert(u64::from(timer), timer, at as i64, at as i64);
    }
    fn cancel(&mut self, timer: u32) {
        self.remove(timer);
    }
    fn pop(&mut self) -> Option<(u64, u32)> {
        TimerQueue::pop(self).map(|e| (e.expires as u64, e.index))
    }
}

/// Entries carry the number of the arming; one that is not the timer's last was cancelled.
#[derive(Default)]
struct Lazy {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    last: Vec<u64>,
    armed: u64,
}

impl Queue for Lazy {
    fn arm(&mut self, timer: u32, at: u64) {
        self.armed += 1;
        self.last.resize(self.last.len().max(timer as usize + 1), 0);
        self.last[timer as usize] = self.armed;
        self.heap.push(Reverse((at, self.armed, timer)));
    }
    fn cancel(&mut self, timer: u32) {
        self.last[timer as usize] = 0;
    }
    fn pop(&mut self) -> Option<(u64, u32)> {
        loop {
            let Reverse((at, armed, timer)) = self.heap.pop()?;
            if self.last[timer as usize] == armed {
                return Some((at, timer));
            }
        }
    }
}

#[derive(Default)]
struct Map {
    map: BTreeMap<(u64, u64), u32>,
    keys: Vec<(u64, u64)>,
    armed: u64,
}

impl Queue for Map {
    fn arm(&mut self, timer: u32, at: u64) {
        self.armed += 1;
        self.keys.resize(self.keys.len().max(timer as usize + 1), (0, 0));
        self.keys[timer as usize] = (at, self.armed);
        self.map.insert((at, self.armed), timer);
    }
    fn cancel(&mut self, timer: u32) {
        self.map.remove(&self.keys[timer as usize]);
    }
    fn pop(&mut self) -> Option<(u64, u32)> {
        self.map.pop_first().map(|((at, _), timer)| (at, timer))
    }
}

fn random(n: u64) -> u64 {
    500_000 + mix(n) % 1_000_000
}

fn equal(_: u64) -> u64 {
    1_000_000
}

fn armed<Q: Queue>(mut q: Q, timers: u32) -> Q {
    (0..timers).for_each(|t| q.arm(t, random(u64::from(t))));
    q
}

/// Expires timers; gives back the last instant, the same for every queue.
fn expire<Q: Queue>(q: &mut Q, timers: u32, delay: fn(u64) -> u64) -> u64 {
    let mut now = 0;
    for n in 0..EXPIRIES {
        let Some((at, timer)) = q.pop() else { break };
        now = at;
        q.arm(timer, now + delay(n));
        let draw = mix(!n);
        if draw % 10 < 3 {
            let other = ((draw >> 8) % u64::from(timers)) as u32;
            q.cancel(other);
            q.arm(other, now + delay(draw));
        }
    }
    now
}

fn bench<Q: Queue>(
    g: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    mut q: Q,
    timers: u32,
    delay: fn(u64) -> u64,
) {
    g.bench_function(id, |b| b.iter(|| black_box(expire(&mut q, timers, delay))));
}

fn queues(c: &mut Criterion) {
    for (delays, delay) in [("random", random as fn(u64) -> u64), ("equal", equal)] {
        for timers in [10_000u32, 1_000_000] {
            let ours = expire(&mut armed(TimerQueue::default(), timers), timers, delay);
            let theirs = expire(&mut armed(Lazy::default(), timers), timers, delay);
            assert_eq!(ours, theirs, "the same run");
            let q = armed(TimerQueue::default(), timers);
            println!("{timers} timers: {:.1} bytes each", q.bytes() as f64 / f64::from(timers));
            let mut g = c.benchmark_group(format!("event-loop-{delays}"));
            g.throughput(Throughput::Elements(EXPIRIES)).sample_size(10);
            let id = |name: &str| BenchmarkId::new(name, timers);
            bench(&mut g, id("timer-queue"), armed(TimerQueue::default(), timers), timers, delay);
            bench(&mut g, id("binary-heap"), armed(Lazy::default(), timers), timers, delay);
            bench(&mut g, id("ordered-map"), armed(Map::default(), timers), timers, delay);
            g.finish();
        }
    }
}

criterion_group!(benches, queues);
criterion_main!(benches);
