//! The bare event loop: timers that re-arm themselves, of which three in ten cancel another one and arm it anew.

use crate::Measured;
use nexosim::model::{Context, Model, schedulable};
use nexosim::simulation::{EventKey, Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use timerace_core::queue::TimerQueue;

/// A small generator (xorshift), the same for both.
#[derive(Serialize, Deserialize)]
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A delay in nanoseconds: 0.5 to 1.5 ms.
    fn delay(&mut self) -> u64 {
        500_000 + self.next() % 1_000_000
    }

    /// A timer to cancel and arm anew, three times in ten.
    fn victim(&mut self, timers: usize) -> Option<usize> {
        let x = self.next();
        (x % 10 < 3).then_some((x >> 8) as usize % timers)
    }
}

fn timerace(timers: usize, expiries: u64) {
    let mut draw = Draw(88_172_645_463_325_252);
    let mut queue = TimerQueue::default();
    let arm = |queue: &mut TimerQueue, draw: &mut Draw, i: usize, now: i64| {
        let at = now + draw.delay() as i64;
        queue.insert(i as u64, i as u32, at, at);
    };
    for i in 0..timers {
        arm(&mut queue, &mut draw, i, 0);
    }
    for _ in 0..expiries {
        let e = queue.pop().expect("timers re-arm themselves");
        let now = e.expires;
        arm(&mut queue, &mut draw, e.index as usize, now);
        if let Some(v) = draw.victim(timers) {
            queue.remove(v as u32);
            arm(&mut queue, &mut draw, v, now);
        }
    }
    std::hint::black_box(queue.len());
}

#[derive(Serialize, Deserialize)]
struct Timers {
    draw: Draw,
    keys: Vec<Option<EventKey>>,
    left: u64,
}

#[Model]
impl Timers {
    fn arm(&mut self, i: usize, cx: &Context<Self>) {
        let delay = Duration::from_nanos(self.draw.delay());
        let key = cx.schedule_keyed_event(delay, schedulable!(Self::expire), i);
        self.keys[i] = Some(key.expect("delays are in the future"));
    }

    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        for i in 0..self.keys.len() {
            self.arm(i, cx);
        }
    }

    #[nexosim(schedulable)]
    async fn expire(&mut self, i: usize, cx: &Context<Self>) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.arm(i, cx);
        if let Some(v) = self.draw.victim(self.keys.len()) {
            if let Some(key) = self.keys[v].take() {
                key.cancel();
            }
            self.arm(v, cx);
        }
    }
}

fn nexosim(timers: usize, expiries: u64) -> Option<()> {
    let keys = (0..timers).map(|_| None).collect();
    let model = Timers { draw: Draw(88_172_645_463_325_252), keys, left: expiries };
    let bench = SimInit::with_num_threads(1).add_model(model, Mailbox::new(), "timers");
    let mut simulation = bench.init(MonotonicTime::EPOCH).ok()?;
    // It ends when no timer re-arms itself any more.
    simulation.run().ok()
}

/// Plays `expiries` of `timers` timers.
pub fn play(tool: &str, timers: usize, expiries: u64) -> Option<Measured> {
    let begun = Instant::now();
    match tool {
        "timerace" => timerace(timers, expiries),
        "nexosim" => nexosim(timers, expiries)?,
        _ => return None,
    }
    let ns = begun.elapsed().as_nanos() as u64;
    Some(Measured { executions: expiries, complete: true, ns, ..Measured::default() })
}
