//! The expiries of a run on their way into files: each is written as it comes, and none is kept.

use crate::causes;
use crate::latency_csv::{LatencyCsv, TimerName};
use crate::timehist::Timehist;
use std::collections::BTreeMap;
use std::io::{self, Write};
use timerace_core::Machine;
use timerace_core::result::Expiry;
use timerace_core::timed::Cause;

/// Somewhere to write to.
pub type Sink = Box<dyn Write>;

/// The files that get a row or line per expiry.
pub struct Rows<'m> {
    machine: &'m Machine,
    /// The name of a timer, such as `timers[7]`, by [`Expiry::timer`].
    name_of: Box<dyn Fn(u32) -> String + 'm>,
    names: Vec<(String, TimerName)>,
    words: BTreeMap<Cause, String>,
    csv: Option<LatencyCsv<Sink>>,
    timehist: Option<Timehist<Sink>>,
    failed: io::Result<()>,
}

impl<'m> Rows<'m> {
    /// Rows of `latency.csv` and lines of `timehist`, where somebody wants them.
    ///
    /// # Errors
    /// Those of the writers.
    pub fn new(
        machine: &'m Machine,
        name_of: impl Fn(u32) -> String + 'm,
        csv: Option<Sink>,
        timehist: Option<Sink>,
    ) -> io::Result<Rows<'m>> {
        Ok(Rows {
            machine,
            name_of: Box::new(name_of),
            names: Vec::new(),
            words: BTreeMap::new(),
            csv: csv.map(LatencyCsv::new).transpose()?,
            timehist: timehist.map(Timehist::new).transpose()?,
            failed: Ok(()),
        })
    }

    /// The next expiry with the parts of its lateness. After an error nothing more is written; [`Rows::finish`] tells it.
    pub fn expiry(&mut self, e: &Expiry, parts: &[(Cause, u64)]) {
        if self.failed.is_ok() && (self.csv.is_some() || self.timehist.is_some()) {
            self.failed = self.write(e, parts);
        }
    }

    fn write(&mut self, e: &Expiry, parts: &[(Cause, u64)]) -> io::Result<()> {
        for i in self.names.len()..=e.timer as usize {
            let name = (self.name_of)(i as u32);
            self.names.push((name.clone(), TimerName::of(&name)));
        }
        let (whole, name) = &self.names[e.timer as usize];
        if let Some(csv) = &mut self.csv {
            let machine = self.machine;
            let word = causes::main(parts)
                .map(|c| self.words.entry(c).or_insert_with(|| causes::words(c, machine)).as_str());
            csv.row(e, name, word.unwrap_or_default())?;
        }
        if let Some(t) = &mut self.timehist {
            t.line(e, whole)?;
        }
        Ok(())
    }

    /// All is written.
    ///
    /// # Errors
    /// The first one of the writers.
    pub fn finish(self) -> io::Result<()> {
        self.failed?;
        if let Some(csv) = self.csv {
            csv.finish()?.flush()?;
        }
        if let Some(t) = self.timehist {
            t.finish()?;
        }
        Ok(())
    }
}
