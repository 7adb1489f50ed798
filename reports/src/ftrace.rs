//! `trace.txt`: a timed run as the text of ftrace, that `grep`, `awk` and importers of such text know how to read.
//!
//! A line is that of the kernel's `trace` file (`trace_print_context()`), with nine digits of a second as `trace-cmd
//! report -t` has them; the clock is `mono`. The line with the numbers of entries in the header is left out: it can be
//! written only when all is known, and the text is written as the run goes on.

use std::io::{self, Write};
use timerace_core::Machine;
use timerace_core::timed::trace::{TraceEvent, comm, pid};

/// What stands above the events.
const HEADER: &str = "\
# tracer: nop
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
";

/// Writes events as they come.
pub struct FtraceText<'m, W: Write> {
    out: W,
    machine: &'m Machine,
    failed: io::Result<()>,
}

impl<'m, W: Write> FtraceText<'m, W> {
    /// A text with its header.
    pub fn new(mut out: W, machine: &'m Machine) -> FtraceText<'m, W> {
        let failed = out.write_all(HEADER.as_bytes());
        FtraceText { out, machine, failed }
    }

    /// The next event. After an error nothing more is written; [`FtraceText::finish`] tells it.
    pub fn event(&mut self, e: &TraceEvent) {
        if self.failed.is_ok() {
            self.failed = self.line(e);
        }
    }

    fn line(&mut self, e: &TraceEvent) -> io::Result<()> {
        writeln!(
            self.out,
            "{:>16}-{:<7} [{:03}] {} {:>5}.{:09}: {}: {}",
            comm(self.machine, e.cpu.index(), e.task),
            pid(e.task),
            e.cpu.0,
            flags(e),
            e.at.0 / 1_000_000_000,
            e.at.0 % 1_000_000_000,
            e.name,
            e.args
        )
    }

    /// The writer, with everything written.
    ///
    /// # Errors
    /// The first one of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.failed?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The five flags (`trace_print_lat_fmt()`). Whether a task should be scheduled is not known here, and so never said.
fn flags(e: &TraceEvent) -> String {
    let irqs = match (e.irqs_off, e.bh_off) {
        (true, true) => 'D',
        (true, false) => 'd',
        (false, true) => 'b',
        (false, false) => '.',
    };
    let level = match (e.nmi, e.hardirq, e.softirq) {
        (true, true, _) => 'Z',
        (true, false, _) => 'z',
        (false, true, true) => 'H',
        (false, true, false) => 'h',
        (false, false, true) => 's',
        (false, false, false) => '.',
    };
    let depth = e.locks + u8::from(e.nmi || e.hardirq || e.softirq);
    let digit = |n: u8| char::from_digit(n.min(15).into(), 16).filter(|c| *c != '0').unwrap_or('.');
    [irqs, '.', level, digit(depth), digit(e.in_prog.into())].iter().collect()
}
