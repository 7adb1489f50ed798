//! How often callbacks are how late: log-log steps, the same bins for all series.

use super::paint::{Axes, Drawn, Face, Ink, Root, text, tick};
use super::{LatencyPlot, Range};
use crate::latency::Histogram;
use crate::num::grouped;
use crate::scale::{ONE, log2, powers, ticks};

/// log2(0.7): the floor of the axis of counts, below 1 so that a single sample can be seen.
const FLOOR: i64 = -33_723;
/// Width of a bin: an eighth of an octave, the same for all lines.
pub const BIN: i64 = ONE / 8;

/// Samples per bin, from the first bin to the last.
pub fn binned(h: &Histogram, bins: (i64, i64)) -> Vec<u64> {
    let mut counts = vec![0; (bins.1 - bins.0).max(1) as usize];
    let last = counts.len() - 1;
    for (low, _, n) in h.buckets() {
        let bin = (log2(low) / BIN - bins.0).max(0) as usize;
        counts[bin.min(last)] += n;
    }
    counts
}

pub fn draw(root: &Root<'_>, ink: &Ink, p: &LatencyPlot<'_>, range: &Range, at: [i32; 4]) -> Drawn {
    let x = (range.bins.0 * BIN, range.bins.1 * BIN);
    let y = (FLOOR, log2(range.most) + ONE);
    let axes = Axes { at, x, y };
    let [left, right, _, bottom] = at;
    let small = Face::plain(11, ink.muted);
    for t in powers(range.most.saturating_mul(2), 7).into_iter().filter(|t| log2(*t) <= y.1) {
        axes.line(root, &[(x.0, log2(t)), (x.1, log2(t))], ink.grid, 10)?;
        let (_, py) = axes.place((x.0, log2(t)));
        text(root, (left - 10, py + 4), &grouped(t), small.right())?;
    }
    for t in ticks(range.low, range.high, 9) {
        axes.line(root, &[(log2(t), y.0), (log2(t), y.1)], ink.grid, 10)?;
        let (px, _) = axes.place((log2(t), y.0));
        text(root, (px, bottom + 20), &tick(t), small.middle())?;
    }
    text(root, ((left + right) / 2, bottom + 42), "latency, \u{b5}s (log)", small.middle())?;
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        let mut points = vec![(x.0, y.0)];
        for (b, n) in binned(s.samples, range.bins).into_iter().enumerate() {
            let from = x.0 + b as i64 * BIN;
            let height = if n == 0 { FLOOR } else { log2(n) };
            points.extend([(from, height), (from + BIN, height)]);
        }
        points.push((x.1, y.0));
        axes.fill(root, &points, ink.lines[i])?;
        axes.line(root, &points, ink.lines[i], 18)?;
    }
    axes.line(root, &[(x.0, y.0), (x.1, y.0)], ink.grid, 10)
}
