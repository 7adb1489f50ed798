//! Timed runs against queueing theory: with costs of nothing, what is left is who waits for whom.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use timerace_core::result::Expiry;
use timerace_core::timed::{Cause, Costs, TimedEnd, TimedOptions, Watch, run_timed};
use timerace_kernel::world::*;
use timerace_kernel::{World, boot};

#[derive(Default)]
struct Lates(Vec<u64>);

impl Watch for Lates {
    fn expiry(&mut self, e: &Expiry, _: &[(Cause, u64)]) {
        self.0.push(e.late_ns());
    }
}

/// Timers of one CPU, each with its expiry in nanoseconds, and a callback of a fixed length: how late each was.
fn lates(due: &[u64], length: u64) -> Vec<u64> {
    let mut w: World = world(kernel("v6.9"), 1, MapKind::Array, due.len() as u32);
    let work = op(OpKind::Work(Ns::fixed(length)));
    let cb = ProgId(prog(&mut w, "cb", ProgKind::TimerCb, vec![work]) as u32);
    let armed = |at: &u64| ElemInit::Armed { after: Ns::fixed(*at), callback: cb };
    w.maps[0].init = due.iter().enumerate().map(|(k, at)| (k as i64, armed(at))).collect();
    let (machine, kernel) = boot(&w, true).unwrap();
    let options =
        TimedOptions { costs: Costs::free(), max_steps: u64::MAX, ..TimedOptions::default() };
    let mut late = Lates::default();
    let (run, _) = run_timed(&machine, &kernel, &options, &mut late);
    assert_eq!((run.ended, run.expiries), (TimedEnd::Idle, due.len() as u64));
    late.0
}

#[test]
fn callbacks_that_are_due_at_once_wait_for_each_other() {
    let late = lates(&[1_000_000; 100], 7_000);
    let expected: Vec<u64> = (0..100).map(|k| k * 7_000).collect();
    assert_eq!(late, expected);
}

#[test]
fn poisson_arrivals_wait_as_long_as_in_an_m_d_1_queue() {
    const N: usize = 40_000;
    let length = 10_000.0;
    for load in [0.3, 0.5, 0.7] {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut at = 1_000_000.0;
        let due: Vec<u64> = (0..N)
            .map(|_| {
                let u = ((rng.next_u64() >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
                at -= u.ln() * length / load;
                at as u64
            })
            .collect();
        let late = lates(&due, length as u64);
        let mean = late.iter().sum::<u64>() as f64 / N as f64;
        // Pollaczek and Khinchine, for a service time that does not vary.
        let wait = load * length / (2.0 * (1.0 - load));
        assert!((mean / wait - 1.0).abs() < 0.02, "load {load}: mean wait {mean}, not {wait}");
    }
}
