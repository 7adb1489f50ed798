//! `--format timehist`: a line per expiry with three intervals, as `perf sched timehist` has for every event of the
//! scheduler. The first two add up to the lateness.

use std::io::{self, Write};
use timerace_core::result::Expiry;

/// Writes lines as they come.
pub struct Timehist<W: Write> {
    out: W,
}

/// Nanoseconds as microseconds with three decimals.
fn us(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

impl<W: Write> Timehist<W> {
    /// A table with its head.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut out: W) -> io::Result<Timehist<W>> {
        writeln!(
            out,
            "{:>15} {:>6}  {:<24} {:>10} {:>14} {:>10}",
            "time", "cpu", "timer", "irq delay", "softirq delay", "run time"
        )?;
        writeln!(
            out,
            "{:>15} {:>6}  {:<24} {:>10} {:>14} {:>10}",
            "", "", "", "(usec)", "(usec)", "(usec)"
        )?;
        let rule = |n| "-".repeat(n);
        writeln!(
            out,
            "{} {}  {} {} {} {}",
            rule(15),
            rule(6),
            rule(24),
            rule(10),
            rule(14),
            rule(10)
        )?;
        Ok(Timehist { out })
    }

    /// The next expiry: its programmed time; from there to the interrupt; from there to the callback; how long that ran.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn line(&mut self, e: &Expiry, timer: &str) -> io::Result<()> {
        // An interrupt that came for an earlier timer found this one too.
        let irq = e.irq.map_or(e.programmed.0, |i| {
            i.0.clamp(e.programmed.0, e.callback.0.max(e.programmed.0))
        });
        let at = e.programmed.0;
        let time = format!("{}.{:06}", at / 1_000_000_000, at % 1_000_000_000 / 1000);
        let cpu = format!("[{:04}]", e.cpu.0);
        writeln!(
            self.out,
            "{time:>15} {cpu:>6}  {timer:<24} {:>10} {:>14} {:>10}",
            us(irq - at),
            us(e.callback.0.saturating_sub(irq)),
            us(e.exit.since(e.callback))
        )
    }

    /// The writer, with everything written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
