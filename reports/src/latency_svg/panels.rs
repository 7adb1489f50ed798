//! Small multiples: more lines than one picture can tell apart get a plot each, all with the same axes.

use super::paint::{Drawn, Face, Ink, Root, fit, text, with_unit};
use super::percentiles::{Busy, area, axes, grid, limit_lines, steps};
use super::{LatencyPlot, Range, Series, WIDTH};
use crate::latency::Histogram;
use crate::num::us;

/// Panels beside each other.
const COLUMNS: usize = 3;
const TOP: i32 = 112;
const PANEL: (i32, i32) = (408, 196);
/// Most panels of a picture; what is left out is said.
pub const MOST: usize = 24;

/// Height of a picture with so many panels, in pixels.
pub fn height(series: usize) -> i32 {
    TOP + PANEL.1 * series.min(MOST).div_ceil(COLUMNS) as i32 + 48
}

/// The series that get a panel: of too many, those with the latest callbacks, in their order.
pub fn chosen<'p, 'a>(p: &'p LatencyPlot<'a>) -> Vec<&'p Series<'a>> {
    let mut all: Vec<usize> = (0..p.series.len()).collect();
    all.sort_by_key(|i| std::cmp::Reverse(p.series[*i].samples.max_ns()));
    all.truncate(MOST);
    all.sort_unstable();
    all.into_iter().map(|i| &p.series[i]).collect()
}

pub fn draw(root: &Root<'_>, ink: &Ink, p: &LatencyPlot<'_>, range: &Range) -> Drawn {
    let shown = chosen(p);
    for (n, s) in shown.iter().enumerate() {
        let (left, top) = (PANEL.0 * (n % COLUMNS) as i32, TOP + PANEL.1 * (n / COLUMNS) as i32);
        let at = [left + 80, left + 390, top + 34, top + 160];
        panel(root, ink, p, range, s, at)?;
    }
    let left_out = p.series.len() - shown.len();
    if left_out > 0 {
        let line = format!(
            "{left_out} more timers, whose latest callbacks come earlier, are in latency.csv"
        );
        text(
            root,
            (28, height(shown.len()) - 40),
            &fit(&line, WIDTH - 56, 12),
            Face::plain(12, ink.muted),
        )?;
    }
    Ok(())
}

fn panel(
    root: &Root<'_>,
    ink: &Ink,
    p: &LatencyPlot<'_>,
    range: &Range,
    s: &Series<'_>,
    at: [i32; 4],
) -> Drawn {
    let axes = axes(range, at);
    grid(root, ink, range, &axes, 5)?;
    text(root, (at[0], at[2] - 18), &fit(&s.name, 310, 12), Face::bold(12, ink.ink))?;
    if s.samples.count() == 0 {
        return text(root, (at[0], at[2] - 4), "no expiries", Face::plain(11, ink.muted));
    }
    let over = |l: &&super::Limit| l.is_on(&s.name) && l.reached(s.samples) > l.ns;
    let broken = p.limits.iter().any(|l| over(&l));
    let face = if broken { Face::bold(11, ink.bug) } else { Face::plain(11, ink.muted) };
    text(root, (at[0], at[2] - 4), &fit(&numbers(s.samples), 310, 11), face)?;
    axes.line(root, &steps(s.samples, axes.x.1), ink.lines[0], 22)?;
    let on = p.limits.iter().filter(|l| l.is_on(&s.name));
    let limits: Vec<_> = on.map(|l| (l, format!("{} <= {}", l.name(), with_unit(l.ns)))).collect();
    // The numbers above the plot, in letters that are not as wide as bold ones.
    let mut busy = Busy::default();
    let [left, _, top, bottom] = area("", (at[0], at[2] - 4), false);
    let wide = numbers(s.samples).chars().count() as i32 * 6;
    busy.texts.push([left, left + wide, top, bottom]);
    limit_lines(root, ink, &axes, &limits, &mut busy)
}

fn numbers(h: &Histogram) -> String {
    let p99 = h.percentile_ns(99, 100);
    format!("p50 {}, p99 {}, max {} \u{b5}s", us(h.percentile_ns(1, 2)), us(p99), us(h.max_ns()))
}
