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

impl TimerName {
    /// `timers[7]` as map and key.
    pub fn of(name: &str) -> TimerName {
        match name.strip_suffix(']').and_then(|n| n.rsplit_once('[')) {
            Some((map, key)) => TimerName { map: map.to_string(), key: key.to_string() },
            None => TimerName { map: name.to_string(), key: String::new() },
        }
    }
}

/// Writes rows as they come; holds none of them.
pub struct LatencyCsv<W: Write> {
    out: Writer<W>,
    rows: u64,
}

impl<W: Write> LatencyCsv<W> {
    /// A file with its header.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(out: W) -> io::Result<LatencyCsv<W>> {
        let mut out = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(out);
        out.write_record(HEADER).map_err(io::Error::from)?;
        Ok(LatencyCsv { out, rows: 0 })
    }

    /// The next expiry, numbered from 1; to be called in the order of the run. `cause`: what made most of the delay.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn row(&mut self, e: &Expiry, name: &TimerName, cause: &str) -> io::Result<()> {
        self.rows += 1;
        let irq = e.irq.map(|t| t.0);
        let ns = [
            Some(e.armed.0),
            Some(e.programmed.0),
            irq,
            Some(e.softirq.0),
            Some(e.callback.0),
            Some(e.exit.0),
            Some(e.late_ns()),
        ];
        self.out.write_field(self.rows.to_string())?;
        self.out.write_field(&name.map)?;
        self.out.write_field(&name.key)?;
        self.out.write_field(e.cpu.0.to_string())?;
        for n in ns {
            self.out.write_field(n.map_or_else(String::new, |n| n.to_string()))?;
        }
        self.out.write_field(cause)?;
        self.out.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    /// The writer, with everything written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(|e| io::Error::other(e.to_string()))
    }
}
