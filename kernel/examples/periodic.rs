//! One timed run of periodic timers, for counting instructions:
//! `periodic TIMERS CPUS PERIOD_NS EXPIRIES`. The difference between two numbers of expiries is what they cost.

#[path = "../benches/world/mod.rs"]
mod world;

use world::{Size, model, world};

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [timers, cpus, period_ns, expiries] = args[..] else {
        eprintln!("usage: periodic TIMERS CPUS PERIOD_NS EXPIRIES");
        std::process::exit(2);
    };
    let size = Size { timers: timers as u32, cpus: cpus as u16, period_ns, expiries };
    let (virtual_ns, late) = model(&world(size), expiries);
    println!("{expiries} expiries in {virtual_ns} ns of virtual time");
    for (bits, n) in late.0.iter().enumerate().filter(|(_, n)| **n > 0) {
        println!("late by {:>12} ns and more: {n}", 1u64 << bits);
    }
}
