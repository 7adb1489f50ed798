//! Latency samples: one row per expiry, as small programs on real machines record them, or as a run writes them.

use super::{Recording, Sample, Wrong, number};
use timerace_core::timed::costs::LONGEST_NS;

/// The columns. Times are nanoseconds, relative to any instant.
const HEADER: [&str; 7] =
    ["delay_ns", "armed_ns", "expected_ns", "actual_ns", "lateness_ns", "arm_cpu", "cb_cpu"];
/// Those of `latency.csv`, as `run -o` writes it.
const OF_RUN: [&str; 12] = [
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

/// Where a kind of file has what a sample needs.
struct Columns {
    header: &'static [&'static str],
    armed: usize,
    expected: usize,
    actual: usize,
    late: usize,
    /// The CPU that started the timer and the one that ran the callback.
    cpus: (usize, usize),
}

const RECORDED: Columns =
    Columns { header: &HEADER, armed: 1, expected: 2, actual: 3, late: 4, cpus: (5, 6) };
const SIMULATED: Columns =
    Columns { header: &OF_RUN, armed: 4, expected: 5, actual: 8, late: 10, cpus: (3, 3) };

/// A row that can be read.
enum Row {
    Sample(Sample),
    /// The callback ran on another CPU than the start.
    Elsewhere,
    /// It was due before it was started.
    Past,
}

pub(super) fn read(name: &str, text: &str) -> Result<Recording, Wrong> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, l)| l);
    let columns = if header.starts_with(OF_RUN[0]) { SIMULATED } else { RECORDED };
    columns.check_header(header)?;
    let mut samples = Vec::new();
    let (mut elsewhere, mut past) = (0, 0);
    for (i, line) in lines {
        match columns.row(line).map_err(|(col, what)| (i + 1, col, what))? {
            Row::Sample(s) => samples.push(s),
            Row::Elsewhere => elsewhere += 1,
            Row::Past => past += 1,
        }
    }
    if samples.is_empty() {
        return Err((2, 1, "there are no samples below the header".to_string()));
    }
    let mut recording = Recording::new(name, "latency samples", samples);
    let mut left_out = |n, why| {
        if n > 0 {
            recording.left_out.push((n, why));
        }
    };
    left_out(elsewhere, "callbacks ran on another CPU than their start");
    left_out(past, "timers were due before they were started");
    Ok(recording)
}

impl Columns {
    fn check_header(&self, line: &str) -> Result<(), Wrong> {
        let columns: Vec<&str> = line.split(',').collect();
        let mut col = 1;
        for (i, want) in self.header.iter().enumerate() {
            match columns.get(i) {
                Some(is) if is == want => col += is.chars().count() + 1,
                Some(is) => {
                    let all = self.header.join(",");
                    let message =
                        format!("expected the column `{want}`, found `{is}`; columns are {all}");
                    return Err((1, col, message));
                }
                None => return Err((1, col, format!("the column `{want}` is missing"))),
            }
        }
        match columns.get(self.header.len()) {
            Some(more) => Err((1, col, format!("the column `{more}` is not known"))),
            None => Ok(()),
        }
    }

    fn row(&self, line: &str) -> Result<Row, (usize, String)> {
        let fields = fields(line);
        if let Some(missing) = self.header.get(fields.len()) {
            return Err((line.chars().count() + 2, format!("the row ends before `{missing}`")));
        }
        if let Some((col, _)) = fields.get(self.header.len()) {
            return Err((*col, "the row has more fields than the header".to_string()));
        }
        let value = |i: usize| {
            let (col, field) = fields[i];
            number(field, self.header[i]).map_err(|what| (col, what))
        };
        let (armed, expected) = (value(self.armed)?, value(self.expected)?);
        let (actual, late) = (value(self.actual)?, value(self.late)?);
        let (arm_cpu, cb_cpu) = (value(self.cpus.0)?, value(self.cpus.1)?);
        let names = |i: usize| self.header[i];
        let (a, e, l) = (names(self.actual), names(self.expected), names(self.late));
        if actual < expected {
            let what = format!("{a} {actual} is before {e} {expected}: no timer is early");
            return Err((fields[self.actual].0, what));
        }
        if actual - expected != late {
            let is = actual - expected;
            return Err((fields[self.late].0, format!("{l} is {late}, but {a} - {e} is {is}")));
        }
        if late > LONGEST_NS {
            return Err((fields[self.late].0, format!("{l} is {late}, more than 2^40 ns")));
        }
        let cpu = u32::try_from(arm_cpu)
            .map_err(|_| (fields[self.cpus.0].0, format!("{arm_cpu} is no number of a CPU")))?;
        if arm_cpu != cb_cpu {
            return Ok(Row::Elsewhere);
        }
        if armed > expected {
            return Ok(Row::Past);
        }
        Ok(Row::Sample(Sample { cpu, armed, expected, actual, pass: None }))
    }
}

/// The fields of a row, each with its column. Quotes keep commas together.
fn fields(line: &str) -> Vec<(usize, &str)> {
    let mut all = Vec::new();
    let (mut from, mut from_col, mut quoted) = (0, 1, false);
    for (col, (at, c)) in line.char_indices().enumerate() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                all.push((from_col, &line[from..at]));
                (from, from_col) = (at + 1, col + 2);
            }
            _ => {}
        }
    }
    all.push((from_col, &line[from..]));
    all
}
