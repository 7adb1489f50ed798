//! How late callbacks are by share, along an axis of nines, with the limits.

use super::paint::{Axes, Drawn, Face, Ink, Root, fit, mark, text, with_unit};
use super::{LEAST_NS, LatencyPlot, Limit, Range, Series, WIDTH};
use crate::latency::Histogram;
use crate::num::us;
use crate::scale::{LOG2_10, ONE, log2, ticks};

/// Shares whose values stand at their points, and where they are on the axis.
const NAMED: [(u64, u64, i64); 3] =
    [(1, 2, ONE * ONE / LOG2_10), (99, 100, 2 * ONE), (999, 1000, 3 * ONE)];

/// The last nine that has at least ten samples beyond it.
pub fn nines(count: u64) -> i64 {
    let tens = std::iter::successors(Some(count / 10), |n| (*n >= 10).then_some(n / 10));
    (tens.count() as i64 - 1).max(1)
}

pub fn axes(range: &Range, at: [i32; 4]) -> Axes {
    let y = (log2(range.low) - ONE / 5, log2(range.high) + ONE / 2);
    Axes { at, x: (0, range.nines * ONE), y }
}

pub fn draw(root: &Root<'_>, ink: &Ink, p: &LatencyPlot<'_>, range: &Range, at: [i32; 4]) -> Drawn {
    let axes = axes(range, at);
    let [left, right, _, bottom] = at;
    grid(root, ink, range, &axes, 9)?;
    let caption = Face::plain(11, ink.muted).middle();
    text(root, ((left + right) / 2, bottom + 42), "share of expiries no later than", caption)?;
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        axes.line(root, &steps(s.samples, axes.x.1), ink.lines[i], 22)?;
    }
    let mut busy = Busy::default();
    let limits: Vec<(&Limit, String)> = p
        .limits
        .iter()
        .map(|l| (l, format!("expect: {} <= {}", l.name(), with_unit(l.ns))))
        .collect();
    limit_lines(root, ink, &axes, &limits, &mut busy)?;
    for i in 0..p.series.len() {
        points(root, ink, p, i, &axes, &mut busy)?;
    }
    end_labels(root, ink, p, &axes)
}

/// Lines of limits, and their texts above them or, where there is no room, below them or farther to the right.
pub fn limit_lines(
    root: &Root<'_>,
    ink: &Ink,
    axes: &Axes,
    limits: &[(&Limit, String)],
    busy: &mut Busy,
) -> Drawn {
    let mut lines = Vec::new();
    for (l, _) in limits {
        lines.push(dashed(root, ink, axes, l)?);
    }
    busy.lines.extend(&lines);
    let [left, right, ..] = axes.at;
    for ((_, text_), y) in limits.iter().zip(lines) {
        let label = fit(text_, right - left - 40, 11);
        let next = left + 18 + label.chars().count() as i32 * 7;
        let columns = [(left + 8, false), (right - 8, true), (next, false)];
        let places =
            columns.map(|(x, ends_there)| [y - 6, y + 14].map(|y| Spot { at: (x, y), ends_there }));
        let spot = busy.place(&label, &places.concat());
        text(root, spot.at, &label, spot.face(Face::bold(11, ink.bug)))?;
    }
    Ok(())
}

/// Where no number can be read: lines of limits, and texts.
#[derive(Default)]
pub struct Busy {
    /// The pixel of each line.
    lines: Vec<i32>,
    /// Left, right, top, bottom.
    pub texts: Vec<[i32; 4]>,
}

impl Busy {
    fn is_off_texts(&self, [left, right, top, bottom]: [i32; 4]) -> bool {
        let apart = |t: &[i32; 4]| t[1] < left || right < t[0] || t[3] < top || bottom < t[2];
        self.texts.iter().all(apart)
    }

    fn is_off_lines(&self, [_, _, top, bottom]: [i32; 4]) -> bool {
        !self.lines.iter().any(|y| (top..=bottom).contains(y))
    }

    /// The first of these places at which a text is free; if none is, one where it lies on a line, but on no text.
    fn place(&mut self, text: &str, places: &[Spot]) -> Spot {
        let of = |p: &&Spot| area(text, p.at, p.ends_there);
        let readable = || places.iter().filter(|p| self.is_off_texts(of(p)));
        let free = readable().find(|p| self.is_off_lines(of(p))).or(readable().next());
        let spot = *free.unwrap_or(&places[0]);
        self.texts.push(of(&&spot));
        spot
    }
}

/// A place for a text, on its baseline.
#[derive(Copy, Clone)]
struct Spot {
    at: (i32, i32),
    ends_there: bool,
}

impl Spot {
    fn face(self, face: Face) -> Face {
        if self.ends_there { face.right() } else { face }
    }
}

/// The pixels of a small bold text.
pub fn area(text: &str, (x, y): (i32, i32), ends_there: bool) -> [i32; 4] {
    let wide = text.chars().count() as i32 * 7;
    let left = if ends_there { x - wide } else { x };
    [left, left + wide, y - 10, y + 3]
}

/// Lines and numbers of both axes, with so many times at most.
pub fn grid(root: &Root<'_>, ink: &Ink, range: &Range, axes: &Axes, most: usize) -> Drawn {
    let (x, y) = (axes.x, axes.y);
    let small = Face::plain(11, ink.muted);
    for t in ticks(range.low - range.low / 8, range.high.saturating_add(range.high / 5 * 2), most) {
        axes.line(root, &[(x.0, log2(t)), (x.1, log2(t))], ink.grid, 10)?;
        let (_, py) = axes.place((x.0, log2(t)));
        let label = fit(&with_unit(t), 72, 11);
        text(root, (axes.at[0] - 10, py + 4), &label, small.right())?;
    }
    let mut shares = vec![(0, "min".to_string()), (ONE * ONE / LOG2_10, "50%".to_string())];
    for n in 1..=range.nines {
        let nines = "9".repeat((n as usize).saturating_sub(2));
        let dot = if nines.is_empty() { "" } else { "." };
        let label = if n == 1 { "90%".to_string() } else { format!("99{dot}{nines}%") };
        shares.push((n * ONE, label));
    }
    let mut free = i32::MIN;
    for (at, label) in shares {
        axes.line(root, &[(at, y.0), (at, y.1)], ink.grid, 10)?;
        let (px, _) = axes.place((at, y.0));
        let half = label.chars().count() as i32 * 4;
        if px - half >= free {
            text(root, (px, axes.at[3] + 20), &label, small.middle())?;
            free = px + half;
        }
    }
    axes.line(root, &[(x.0, y.0), (x.1, y.0)], ink.grid, 10)
}

/// Where a share lies on the axis of nines: `count` samples, of which `up_to` are no later.
fn nines_at(count: u64, up_to: u64) -> i64 {
    (log2(count) - log2(count - up_to.min(count - 1))) * ONE / LOG2_10
}

/// The steps of a line up to the end of the axis, without those that nobody could see.
pub fn steps(h: &Histogram, end: i64) -> Vec<(i64, i64)> {
    let count = h.count();
    let end = end.min(nines(count) * ONE);
    let (mut points, mut seen) = (vec![(0, log2(h.min_ns().max(LEAST_NS)))], 0);
    for (_, high, n) in h.buckets() {
        let high = high.clamp(h.min_ns(), h.max_ns()).max(LEAST_NS);
        let (from, y) = (nines_at(count, seen).min(end), log2(high));
        seen += n;
        let to = if seen == count { end } else { nines_at(count, seen).min(end) };
        let (last_x, last_y) = points[points.len() - 1];
        // A 500th of the range is about a pixel.
        if to - last_x > end / 500 || (y - last_y).abs() > ONE / 50 || seen == count {
            points.extend([(from.max(last_x), y), (to, y)]);
        }
        if from >= end {
            break;
        }
    }
    points
}

/// The line of a limit; its pixel.
fn dashed(
    root: &Root<'_>,
    ink: &Ink,
    axes: &Axes,
    l: &Limit,
) -> Result<i32, Box<dyn std::error::Error>> {
    let at = log2(l.ns.max(LEAST_NS));
    let dashes = i64::from((axes.at[1] - axes.at[0]) / 16).max(4);
    let (from, wide) = (axes.x.0, axes.x.1 - axes.x.0);
    for d in 0..dashes {
        let begin = from + wide * d / dashes;
        axes.line(root, &[(begin, at), (begin + wide * 2 / (dashes * 3), at)], ink.bug, 15)?;
    }
    Ok(axes.place((from, at)).1)
}

fn same_share((a, of_a): (u64, u64), (b, of_b): (u64, u64)) -> bool {
    u128::from(a) * u128::from(of_b) == u128::from(b) * u128::from(of_a)
}

/// Whether the series breaks a limit on this share.
pub fn is_broken(p: &LatencyPlot<'_>, s: &Series<'_>, share: (u64, u64)) -> bool {
    let value = s.samples.percentile_ns(share.0, share.1);
    p.limits
        .iter()
        .any(|l| l.is_on(&s.name) && l.share.is_some_and(|l| same_share(l, share)) && value > l.ns)
}

/// The median, p99 and p99.9 with their values; red where they are over their limit.
fn points(
    root: &Root<'_>,
    ink: &Ink,
    p: &LatencyPlot<'_>,
    i: usize,
    axes: &Axes,
    busy: &mut Busy,
) -> Drawn {
    let s = &p.series[i];
    let count = s.samples.count();
    let last = axes.x.1.min(nines(count) * ONE);
    for (of, out_of, at) in NAMED.into_iter().filter(|(.., at)| count > 0 && *at <= last) {
        let value = s.samples.percentile_ns(of, out_of);
        let broken = is_broken(p, s, (of, out_of));
        let (x, y) = axes.place((at, log2(value.max(LEAST_NS))));
        mark(root, i, (x, y), if broken { ink.bug } else { ink.lines[i] })?;
        let of_other = |h: &Histogram| h.percentile_ns(of, out_of);
        let others =
            || p.series.iter().enumerate().filter(|(j, s)| *j != i && s.samples.count() > 0);
        // Numbers of more than two lines would lie on each other: the highest and the lowest are the ones to know.
        let top = others().count() > 0 && others().all(|(_, s)| of_other(s.samples) <= value);
        let bottom = others().all(|(_, s)| of_other(s.samples) >= value);
        if others().any(|(j, s)| j < i && us(of_other(s.samples)) == us(value)) || !top && !bottom {
            continue;
        }
        // The upper line's values stand above it, those of the lower below; at the right end is the line's name.
        let left = top || at == axes.x.1;
        let beside = |dx: i32, dy: i32| Spot { at: (x + dx, y + dy), ends_there: dx < 0 };
        let above = [beside(-8, -10), beside(-8, -24), beside(-8, 20), beside(-8, 34)];
        // Right of a line that rises, there is room below it.
        let below = [beside(8, 20), beside(8, 34), above[0], above[1]];
        let places = match (left, at == axes.x.1) {
            (false, _) => below,
            (true, false) => [above[0], below[0], above[1], below[1]],
            (true, true) => above,
        };
        let number = us(value);
        let spot = busy.place(&number, &places);
        let face = Face::bold(11, if broken { ink.bug } else { ink.names[i] });
        text(root, spot.at, &number, spot.face(face))?;
    }
    Ok(())
}

/// Names at the ends of the lines, pushed apart where they would overlap.
fn end_labels(root: &Root<'_>, ink: &Ink, p: &LatencyPlot<'_>, axes: &Axes) -> Drawn {
    let (right, bottom) = (axes.at[1], axes.at[3]);
    let mut ends: Vec<(i32, usize)> = Vec::new();
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        let y = steps(s.samples, axes.x.1).last().map_or(axes.y.0, |e| e.1);
        ends.push((axes.place((axes.x.1, y)).1, i));
    }
    ends.sort_unstable();
    let (mut free, mut left) = (0, ends.len() as i32);
    for (y, i) in ends {
        let s = &p.series[i];
        left -= 1;
        let y = y.max(free).min(bottom - 16 - 32 * left);
        free = y + 32;
        mark(root, i, (right + 14, y - 1), ink.lines[i])?;
        let room = WIDTH - right - 28;
        text(root, (right + 24, y + 3), &fit(&s.name, room, 12), Face::bold(12, ink.names[i]))?;
        let max = format!("max {} \u{b5}s", us(s.samples.max_ns()));
        let over = p
            .limits
            .iter()
            .any(|l| l.is_on(&s.name) && l.share.is_none() && s.samples.max_ns() > l.ns);
        let face = if over { Face::bold(11, ink.bug) } else { Face::plain(11, ink.muted) };
        text(root, (right + 24, y + 18), &fit(&max, room, 11), face)?;
    }
    Ok(())
}
