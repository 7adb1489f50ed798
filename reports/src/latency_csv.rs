//! `latency.csv`: one row per expiry.
//!
//! A header, LF, integers only, the unit in the name of the column; an empty field means that it did not happen. No
//! comment lines: they break readers, and what they would say is in `result.json`.

use ::csv::{Terminator, Writer, WriterBuilder};
use std::io::{self, Write};
use timerace_core::result::Expiry;

/// The columns.
pub const HEADER: [&str; 12] = [
    "expiry",
    "timer",
    "key",
    "cpu",
    "armed_ns",
    "programmed_ns",
    "irq_ns",
    "softirq_ns",
    "callback_ns",
    "exit_ns",
    "late_ns",
    "cause",
];

/// What a timer is called.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TimerName {
    /// The map that holds it.
    pub map: String,
    /// The key of its element.
    pub key: String,
}

/// Writes rows as they come; holds none of them.
pub struct LatencyCsv<'a, W: Write> {
    out: Writer<W>,
    names: &'a [TimerName],
    rows: u64,
}

impl<'a, W: Write> LatencyCsv<'a, W> {
    /// A file with its header. `names`: the run's table, by [`Expiry::timer`].
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(out: W, names: &'a [TimerName]) -> io::Result<LatencyCsv<'a, W>> {
        let mut out = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(out);
        out.write_record(HEADER).map_err(io::Error::from)?;
        Ok(LatencyCsv { out, names, rows: 0 })
    }

    /// The next expiry, numbered from 1; to be called in the order of the run. `cause`: what made most of the delay.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn row(&mut self, e: &Expiry, cause: Option<&str>) -> io::Result<()> {
        self.rows += 1;
        let unnamed = TimerName { map: e.timer.to_string(), key: String::new() };
        let name = self.names.get(e.timer as usize).unwrap_or(&unnamed);
        let irq = e.irq.map_or_else(String::new, |t| t.0.to_string());
        let record = [
            self.rows.to_string(),
            name.map.clone(),
            name.key.clone(),
            e.cpu.0.to_string(),
            e.armed.0.to_string(),
            e.programmed.0.to_string(),
            irq,
            e.softirq.0.to_string(),
            e.callback.0.to_string(),
            e.exit.0.to_string(),
            e.late_ns().to_string(),
            cause.unwrap_or_default().to_string(),
        ];
        self.out.write_record(&record).map_err(io::Error::from)
    }

    /// The writer, with everything written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(|e| io::Error::other(e.to_string()))
    }
}
