//! Latency samples: one row per expiry, as small programs on real machines record them.

use super::{Recording, Sample, Wrong, number};
use timerace_core::timed::costs::LONGEST_NS;

/// The columns. Times are nanoseconds, relative to any instant.
const HEADER: [&str; 7] =
    ["delay_ns", "armed_ns", "expected_ns", "actual_ns", "lateness_ns", "arm_cpu", "cb_cpu"];

pub(super) fn read(name: &str, text: &str) -> Result<Recording, Wrong> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, l)| l);
    check_header(header)?;
    let mut samples = Vec::new();
    let mut elsewhere = 0;
    for (i, line) in lines {
        let row = row(line).map_err(|(col, what)| (i + 1, col, what))?;
        match row {
            (s, true) => samples.push(s),
            (_, false) => elsewhere += 1,
        }
    }
    if samples.is_empty() {
        return Err((2, 1, "there are no samples below the header".to_string()));
    }
    let mut recording = Recording::new(name, "latency samples", samples);
    if elsewhere > 0 {
        recording.left_out.push((elsewhere, "callbacks ran on another CPU than their start"));
    }
    Ok(recording)
}

fn check_header(line: &str) -> Result<(), Wrong> {
    let columns: Vec<&str> = line.split(',').collect();
    let mut col = 1;
    for (i, want) in HEADER.iter().enumerate() {
        match columns.get(i) {
            Some(is) if is == want => col += is.chars().count() + 1,
            Some(is) => {
                let all = HEADER.join(",");
                let message =
                    format!("expected the column `{want}`, found `{is}`; columns are {all}");
                return Err((1, col, message));
            }
            None => return Err((1, col, format!("the column `{want}` is missing"))),
        }
    }
    match columns.get(HEADER.len()) {
        Some(more) => Err((1, col, format!("the column `{more}` is not known"))),
        None => Ok(()),
    }
}

/// A sample, and whether the callback ran where it was started.
fn row(line: &str) -> Result<(Sample, bool), (usize, String)> {
    let mut values = [0; HEADER.len()];
    let mut cols = [1; HEADER.len()];
    let mut col = 1;
    let mut fields = line.split(',');
    for (i, name) in HEADER.iter().enumerate() {
        let Some(field) = fields.next() else {
            return Err((col, format!("the row ends before `{name}`")));
        };
        cols[i] = col;
        values[i] = number(field, name).map_err(|what| (col, what))?;
        col += field.chars().count() + 1;
    }
    if fields.next().is_some() {
        return Err((col, "the row has more fields than the header".to_string()));
    }
    let [_, armed, expected, actual, late, arm_cpu, cb_cpu] = values;
    if actual < expected {
        let what =
            format!("actual_ns {actual} is before expected_ns {expected}: no timer is early");
        return Err((cols[3], what));
    }
    if actual - expected != late {
        let is = actual - expected;
        return Err((
            cols[4],
            format!("lateness_ns is {late}, but actual_ns - expected_ns is {is}"),
        ));
    }
    if late > LONGEST_NS {
        return Err((cols[4], format!("lateness_ns is {late}, more than 2^40 ns")));
    }
    Ok((Sample { armed, expected, actual, pass: None }, arm_cpu == cb_cpu))
}
