//! `latency.svg`: how often timers are how late, and how late they are by share: both pictures that reviewers know.
//!
//! Drawn with `plotters` on a canvas of eight units a pixel, because its coordinates are integers: at one unit a pixel
//! slopes become stairs. Text is not measured: it stands where it has room.

use crate::latency::Histogram;
use crate::num::{grouped, us};
use crate::scale::{LOG2_10, ONE, log2, powers, ticks};
use plotters::coord::types::RangedCoordf64;
use plotters::coord::{Shift, cartesian::Cartesian2d};
use plotters::prelude::{
    DrawingArea, IntoDrawingArea, PathElement, Polygon, RGBColor, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, TextStyle};

/// Canvas units a pixel.
const FINE: i32 = 8;
const WIDTH: i32 = 1280;
const HEIGHT: i32 = 560;
/// Left, right, top, bottom of the two plots, in pixels.
const LEFT: [i32; 4] = [92, 612, 122, 456];
const RIGHT: [i32; 4] = [712, 1150, 122, 456];
/// log2(0.7): the floor of the axis of counts, below 1 so that a single sample can be seen.
const FLOOR: i64 = -33_723;

/// Where axes of time begin at the earliest, in nanoseconds: a logarithm has no zero.
const LEAST_NS: u64 = 100;
/// Width of a bin: an eighth of an octave, the same for all lines.
const BIN: i64 = ONE / 8;
/// Under every picture of latencies.
const DISCLAIMER: &str = "Simulated cost model, not measured hardware.";

const SANS: &str = "Inter, Helvetica, Arial, sans-serif";
const MONO: &str = "DejaVu Sans Mono, monospace";
const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
const MUTED: RGBColor = RGBColor(0x5b, 0x66, 0x70);
const GRID: RGBColor = RGBColor(0xe6, 0xe9, 0xec);
const BUG: RGBColor = RGBColor(0xb3, 0x00, 0x1b);
/// Lines of the series: blue, orange, green, grey.
const LINES: [RGBColor; 4] =
    [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x68, 0x4a), MUTED];
/// Their names and numbers: small text in that orange would be too pale on white.
const NAMES: [RGBColor; 4] = [LINES[0], RGBColor(0xa1, 0x5c, 0x00), LINES[2], LINES[3]];

/// Most lines that a picture takes; more are left out and said so by [`latency_svg`]'s error.
pub const MAX_SERIES: usize = 4;

/// One line of the picture.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// What it is, in a word or two: `NET_RX busy`, `timers[0]`.
    pub name: String,
    /// Its samples.
    pub samples: &'a Histogram,
}

/// An expectation: a dashed line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The share that it is about: `(999, 1000)` for p99.9; `None`: the greatest sample.
    pub share: Option<(u64, u64)>,
    /// The limit in nanoseconds.
    pub ns: u64,
}

impl Limit {
    fn name(&self) -> String {
        match self.share {
            None => "max".to_string(),
            Some((of, out_of)) => {
                let tenths = of.saturating_mul(1000) / out_of.max(1);
                let (whole, rest) = (tenths / 10, tenths % 10);
                if rest == 0 { format!("p{whole}") } else { format!("p{whole}.{rest}") }
            }
        }
    }

    fn reached(&self, h: &Histogram) -> u64 {
        self.share.map_or(h.max_ns(), |(of, out_of)| h.percentile_ns(of, out_of))
    }
}

/// What the picture says.
#[derive(Clone, Debug)]
pub struct LatencyPlot<'a> {
    /// The finding in a sentence; empty: made from the limits, or from the first line's percentiles.
    pub title: String,
    /// What was run: `One bpf_timer, 100 us period, 4 CPUs`.
    pub about: String,
    /// The kernel.
    pub kernel: String,
    /// The seed.
    pub seed: u64,
    /// The command that makes the picture again.
    pub command: String,
    /// The lines, at most [`MAX_SERIES`].
    pub series: Vec<Series<'a>>,
    /// The limits.
    pub limits: Vec<Limit>,
}

type Root<'b> = DrawingArea<SVGBackend<'b>, Shift>;
type Plot<'b> = DrawingArea<SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The picture. The same data gives the same bytes.
///
/// # Errors
/// With more than [`MAX_SERIES`] lines, and if the drawing library fails.
pub fn latency_svg(p: &LatencyPlot<'_>) -> Result<String, String> {
    if p.series.len() > MAX_SERIES {
        return Err(format!("{} lines are too many for one picture", p.series.len()));
    }
    let mut svg = String::new();
    let size = ((WIDTH * FINE) as u32, (HEIGHT * FINE) as u32);
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    draw(&root, p).map_err(|e| e.to_string())?;
    drop(root);
    Ok(finished(&svg))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(root: &Root<'_>, p: &LatencyPlot<'_>) -> Drawn {
    let page = [(0, 0), (WIDTH * FINE, HEIGHT * FINE)];
    root.draw(&Rectangle::new(page, RGBColor(255, 255, 255).filled()))?;
    let title = if p.title.is_empty() { made_title(p) } else { p.title.clone() };
    text(root, (28, 36), &fit(&title, WIDTH - 56, 20), Face::bold(20))?;
    for (y, part) in [(57, subtitle(p).as_str()), (74, DISCLAIMER)] {
        text(root, (28, y), &fit(part, WIDTH - 56, 13), Face::plain(13).color(MUTED))?;
    }
    text(root, (LEFT[0], 108), "How often: samples per bin", Face::bold(13))?;
    text(root, (RIGHT[0], 108), "How late: latency by percentile", Face::bold(13))?;
    text(root, (28, 542), &fit(&p.command, WIDTH - 56, 12), Face::mono(12))?;
    let Some(range) = Range::of(p) else {
        return text(root, (LEFT[0], 280), "no expiries", Face::plain(13).color(MUTED));
    };
    histogram(root, p, &range)?;
    percentiles(root, p, &range)?;
    root.present()?;
    Ok(())
}

/// Ends of the axes; times in nanoseconds, places in units of [`ONE`].
struct Range {
    low: u64,
    high: u64,
    /// First and last bin of the histogram.
    bins: (i64, i64),
    most: u64,
    nines: i64,
}

impl Range {
    fn of(p: &LatencyPlot<'_>) -> Option<Range> {
        let all = || p.series.iter().map(|s| s.samples).filter(|h| h.count() > 0);
        let top = p.limits.iter().map(|l| l.ns);
        let low = all().map(Histogram::min_ns).min()?;
        let low = p.limits.iter().map(|l| l.ns).fold(low, u64::min).max(LEAST_NS);
        let high = all().map(Histogram::max_ns).chain(top).max()?.max(low + 1);
        let bins = (log2(low) / BIN, log2(high) / BIN + 1);
        let most = all().flat_map(|h| binned(h, bins)).max()?.max(10);
        let nines = all().map(|h| nines(h.count())).max()?;
        Some(Range { low, high, bins, most, nines })
    }
}

/// The last nine that has at least ten samples beyond it.
fn nines(count: u64) -> i64 {
    let tens = std::iter::successors(Some(count / 10), |n| (*n >= 10).then_some(n / 10));
    (tens.count() as i64 - 1).max(1)
}

/// Samples per bin, from the first bin to the last.
fn binned(h: &Histogram, bins: (i64, i64)) -> Vec<u64> {
    let mut counts = vec![0; (bins.1 - bins.0).max(1) as usize];
    let last = counts.len() - 1;
    for (low, _, n) in h.buckets() {
        let bin = (log2(low) / BIN - bins.0).max(0) as usize;
        counts[bin.min(last)] += n;
    }
    counts
}

fn plot<'b>(root: &Root<'b>, at: [i32; 4], x: (i64, i64), y: (i64, i64)) -> Plot<'b> {
    let px = |v: i32| v * FINE;
    root.clone().apply_coord_spec(Cartesian2d::new(
        x.0 as f64..x.1 as f64,
        y.0 as f64..y.1 as f64,
        // The second range is upside down: values grow upwards, pixels downwards.
        (px(at[0])..px(at[1]), px(at[3])..px(at[2])),
    ))
}

fn line(points: Vec<(i64, i64)>, color: RGBColor, tenths: u32) -> PathElement<(f64, f64)> {
    let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x as f64, *y as f64)).collect();
    PathElement::new(points, color.stroke_width(tenths * FINE as u32 / 10))
}

fn histogram(root: &Root<'_>, p: &LatencyPlot<'_>, range: &Range) -> Drawn {
    let x = (range.bins.0 * BIN, range.bins.1 * BIN);
    let y = (FLOOR, log2(range.most) + ONE);
    let area = plot(root, LEFT, x, y);
    for t in powers(range.most.saturating_mul(2), 7).into_iter().filter(|t| log2(*t) <= y.1) {
        area.draw(&line(vec![(x.0, log2(t)), (x.1, log2(t))], GRID, 10))?;
        let at = place(LEFT, x, y, (x.0, log2(t)));
        text(root, (LEFT[0] - 10, at.1 + 4), &grouped(t), Face::plain(11).color(MUTED).right())?;
    }
    for t in ticks(range.low, range.high, 9) {
        area.draw(&line(vec![(log2(t), y.0), (log2(t), y.1)], GRID, 10))?;
        let at = place(LEFT, x, y, (log2(t), y.0));
        text(root, (at.0, LEFT[3] + 20), &tick(t), Face::plain(11).color(MUTED).middle())?;
    }
    let middle = (LEFT[0] + LEFT[1]) / 2;
    let caption = Face::plain(11).color(MUTED).middle();
    text(root, (middle, LEFT[3] + 42), "latency, \u{b5}s (log)", caption)?;
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        let mut points = vec![(x.0, y.0)];
        for (b, n) in binned(s.samples, range.bins).into_iter().enumerate() {
            let from = x.0 + b as i64 * BIN;
            let height = if n == 0 { FLOOR } else { log2(n) };
            points.extend([(from, height), (from + BIN, height)]);
        }
        points.push((x.1, y.0));
        let filled: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x as f64, *y as f64)).collect();
        area.draw(&Polygon::new(filled, LINES[i].mix(0.14).filled()))?;
        area.draw(&line(points, LINES[i], 18))?;
    }
    area.draw(&line(vec![(x.0, y.0), (x.1, y.0)], GRID, 10))?;
    Ok(())
}

/// Where a share lies on the axis of nines: `count` samples, of which `up_to` are no later.
fn nines_at(count: u64, up_to: u64) -> i64 {
    (log2(count) - log2(count - up_to.min(count - 1))) * ONE / LOG2_10
}

fn percentiles(root: &Root<'_>, p: &LatencyPlot<'_>, range: &Range) -> Drawn {
    let x = (0, range.nines * ONE);
    let y = (log2(range.low) - ONE / 5, log2(range.high) + ONE / 2);
    let area = plot(root, RIGHT, x, y);
    for t in ticks(range.low - range.low / 8, range.high.saturating_add(range.high / 5 * 2), 9) {
        area.draw(&line(vec![(x.0, log2(t)), (x.1, log2(t))], GRID, 10))?;
        let at = place(RIGHT, x, y, (x.0, log2(t)));
        let label = format!("{} \u{b5}s", tick(t));
        text(root, (RIGHT[0] - 10, at.1 + 4), &label, Face::plain(11).color(MUTED).right())?;
    }
    let mut shares = vec![(0, "min".to_string()), (ONE * ONE / LOG2_10, "50%".to_string())];
    for n in 1..=range.nines {
        let nines = "9".repeat((n as usize).saturating_sub(2));
        let dot = if nines.is_empty() { "" } else { "." };
        let label = if n == 1 { "90%".to_string() } else { format!("99{dot}{nines}%") };
        shares.push((n * ONE, label));
    }
    for (at, label) in shares {
        area.draw(&line(vec![(at, y.0), (at, y.1)], GRID, 10))?;
        let at = place(RIGHT, x, y, (at, y.0));
        text(root, (at.0, RIGHT[3] + 20), &label, Face::plain(11).color(MUTED).middle())?;
    }
    let middle = (RIGHT[0] + RIGHT[1]) / 2;
    let caption = Face::plain(11).color(MUTED).middle();
    text(root, (middle, RIGHT[3] + 42), "share of expiries no later than", caption)?;
    area.draw(&line(vec![(x.0, y.0), (x.1, y.0)], GRID, 10))?;
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        area.draw(&line(steps(s.samples, x.1), LINES[i], 22))?;
    }
    for l in &p.limits {
        limit(root, &area, l, x, y)?;
    }
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        points(root, p, i, s.samples, (x, y))?;
    }
    end_labels(root, p, (x, y))
}

/// The steps of a line up to the end of the axis, without those that nobody could see.
fn steps(h: &Histogram, end: i64) -> Vec<(i64, i64)> {
    let count = h.count();
    let end = end.min(nines(count) * ONE);
    let (mut points, mut seen) = (vec![(0, log2(h.min_ns()))], 0);
    for (_, high, n) in h.buckets() {
        let (from, y) = (nines_at(count, seen).min(end), log2(high.clamp(h.min_ns(), h.max_ns())));
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

fn limit(root: &Root<'_>, area: &Plot<'_>, l: &Limit, x: (i64, i64), y: (i64, i64)) -> Drawn {
    let (at, dashes) = (log2(l.ns.max(LEAST_NS)), 28);
    for d in 0..dashes {
        let from = x.0 + (x.1 - x.0) * d / dashes;
        let to = from + (x.1 - x.0) * 2 / (dashes * 3);
        area.draw(&line(vec![(from, at), (to, at)], BUG, 15))?;
    }
    let label = format!("expect: {} <= {} \u{b5}s", l.name(), tick(l.ns));
    let (_, py) = place(RIGHT, x, y, (x.0, at));
    text(root, (RIGHT[0] + 8, py - 6), &label, Face::bold(11).color(BUG))
}

/// The median, p99 and p99.9 with their values; red where they are over their limit.
fn points(
    root: &Root<'_>,
    p: &LatencyPlot<'_>,
    i: usize,
    h: &Histogram,
    axes: ((i64, i64), (i64, i64)),
) -> Drawn {
    let last = axes.0.1.min(nines(h.count()) * ONE);
    for (of, out_of, at) in [(1, 2, ONE * ONE / LOG2_10), (99, 100, 2 * ONE), (999, 1000, 3 * ONE)]
    {
        if at > last {
            continue;
        }
        let value = h.percentile_ns(of, out_of);
        let broken = p
            .limits
            .iter()
            .any(|l| l.share.is_some_and(|s| same_share(s, (of, out_of))) && value > l.ns);
        let color = if broken { BUG } else { LINES[i] };
        let (x, y) = place(RIGHT, axes.0, axes.1, (at, log2(value)));
        let r = 4;
        let corners = [((x - r) * FINE, (y - r) * FINE), ((x + r) * FINE, (y + r) * FINE)];
        if i.is_multiple_of(2) {
            let dot =
                plotters::prelude::Circle::new((x * FINE, y * FINE), r * FINE, color.filled());
            root.draw(&dot)?;
        } else {
            root.draw(&Rectangle::new(corners, color.filled()))?;
        }
        let others =
            || p.series.iter().enumerate().filter(|(j, s)| *j != i && s.samples.count() > 0);
        let of_other = |h: &Histogram| h.percentile_ns(of, out_of);
        if others().any(|(j, s)| j < i && us(of_other(s.samples)) == us(value)) {
            continue; // the same number stands there already
        }
        // The upper line's values stand above it, those of the others below; at the right end is the line's name.
        let top = others().count() > 0 && others().all(|(_, s)| of_other(s.samples) <= value);
        let left = top || at == axes.0.1;
        let (dx, dy) = if left { (-8, -10) } else { (8, 20) };
        let ink = if broken { BUG } else { NAMES[i] };
        let face = Face::bold(11).color(ink);
        let face = if left { face.right() } else { face };
        text(root, (x + dx, y + dy), &us(value), face)?;
    }
    Ok(())
}

fn same_share((a, of_a): (u64, u64), (b, of_b): (u64, u64)) -> bool {
    u128::from(a) * u128::from(of_b) == u128::from(b) * u128::from(of_a)
}

/// Names at the ends of the lines, pushed apart where they would overlap.
fn end_labels(root: &Root<'_>, p: &LatencyPlot<'_>, axes: ((i64, i64), (i64, i64))) -> Drawn {
    let mut ends: Vec<(i32, usize)> = Vec::new();
    for (i, s) in p.series.iter().enumerate().filter(|(_, s)| s.samples.count() > 0) {
        let y = steps(s.samples, axes.0.1).last().map_or(axes.1.0, |e| e.1);
        ends.push((place(RIGHT, axes.0, axes.1, (axes.0.1, y)).1, i));
    }
    ends.sort_unstable();
    let (mut free, mut left) = (0, ends.len() as i32);
    for (y, i) in ends {
        let s = &p.series[i];
        left -= 1;
        let y = y.max(free).min(RIGHT[3] - 16 - 32 * left);
        free = y + 32;
        let name = fit(&s.name, WIDTH - RIGHT[1] - 12, 12);
        text(root, (RIGHT[1] + 8, y + 3), &name, Face::bold(12).color(NAMES[i]))?;
        let max = format!("max {} \u{b5}s", us(s.samples.max_ns()));
        let max = fit(&max, WIDTH - RIGHT[1] - 12, 11);
        text(root, (RIGHT[1] + 8, y + 18), &max, Face::plain(11).color(MUTED))?;
    }
    Ok(())
}

/// The pixel of a point of a plot.
fn place(at: [i32; 4], x: (i64, i64), y: (i64, i64), point: (i64, i64)) -> (i32, i32) {
    let scale = |v: i64, from: (i64, i64), to: (i32, i32)| {
        let part = (v - from.0) * i64::from(to.1 - to.0) / (from.1 - from.0).max(1);
        to.0 + part as i32
    };
    (scale(point.0, x, (at[0], at[1])), scale(point.1, y, (at[3], at[2])))
}

/// A time in microseconds, without a decimal that says nothing.
fn tick(ns: u64) -> String {
    let text = us(ns);
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

fn made_title(p: &LatencyPlot<'_>) -> String {
    let mut worst: Option<(u64, String)> = None;
    for s in p.series.iter().filter(|s| s.samples.count() > 0) {
        for l in &p.limits {
            let value = l.reached(s.samples);
            let over = value.saturating_sub(l.ns);
            if over > worst.as_ref().map_or(0, |w| w.0) {
                let (name, value, limit) = (l.name(), us(value), tick(l.ns));
                let text = format!(
                    "{}: {name} is {value} \u{b5}s, over the {limit} \u{b5}s limit",
                    s.name
                );
                worst = Some((over, text));
            }
        }
    }
    match (worst, p.series.first()) {
        (Some((_, text)), _) => text,
        (None, Some(s)) => {
            let (p99, max) = (s.samples.percentile_ns(99, 100), s.samples.max_ns());
            let holds = if p.limits.is_empty() { "" } else { ", within every limit" };
            format!("{}: p99 is {} \u{b5}s, max {} \u{b5}s{holds}", s.name, us(p99), us(max))
        }
        (None, None) => "No expiries".to_string(),
    }
}

fn subtitle(p: &LatencyPlot<'_>) -> String {
    let counts: Vec<u64> = p.series.iter().map(|s| s.samples.count()).collect();
    let size = match counts.as_slice() {
        [n] => format!("{} expiries", grouped(*n)),
        [n, rest @ ..] if rest.iter().all(|m| m == n) => {
            format!("{} expiries per line", grouped(*n))
        }
        many => format!("{} expiries", grouped(many.iter().sum())),
    };
    let about = if p.about.is_empty() { String::new() } else { format!("{}, ", p.about) };
    format!(
        "Programmed expiry to callback entry. {about}kernel {}, {size}, seed {}.",
        p.kernel, p.seed
    )
}

/// The text cut so that it fits: a sans-serif letter is no wider than 0.6 of its size on the average, as a monospace one.
fn fit(text: &str, pixels: i32, size: i32) -> String {
    let most = (pixels * 1000 / (size * 602)).max(4) as usize;
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most - 3).chain("...".chars()).collect()
}

#[derive(Copy, Clone)]
struct Face {
    family: &'static str,
    size: i32,
    style: FontStyle,
    color: RGBColor,
    anchor: HPos,
}

impl Face {
    fn plain(size: i32) -> Face {
        Face { family: SANS, size, style: FontStyle::Normal, color: INK, anchor: HPos::Left }
    }
    fn bold(size: i32) -> Face {
        Face { style: FontStyle::Bold, ..Face::plain(size) }
    }
    fn mono(size: i32) -> Face {
        Face { family: MONO, color: MUTED, ..Face::plain(size) }
    }
    fn color(self, color: RGBColor) -> Face {
        Face { color, ..self }
    }
    fn right(self) -> Face {
        Face { anchor: HPos::Right, ..self }
    }
    fn middle(self) -> Face {
        Face { anchor: HPos::Center, ..self }
    }
}

/// Text whose baseline begins (ends, is centred) at a pixel.
fn text(root: &Root<'_>, (x, y): (i32, i32), text: &str, face: Face) -> Drawn {
    // The SVG back end divides sizes by 1.24; [`finished`] rounds what comes back.
    let size = f64::from(face.size * FINE) * 1.24;
    let font = (face.family, size).into_font().style(face.style);
    let style = TextStyle::from(font).color(&face.color).pos(Pos::new(face.anchor, VPos::Bottom));
    root.draw(&Text::new(text.to_string(), (x * FINE, y * FINE), style))?;
    Ok(())
}

/// Shows the large canvas at its real size, and puts text on its baseline in a size of whole units.
fn finished(svg: &str) -> String {
    let size = |w: i32, h: i32| format!("width=\"{w}\" height=\"{h}\"");
    let svg = svg.replacen(&size(WIDTH * FINE, HEIGHT * FINE), &size(WIDTH, HEIGHT), 1);
    // Letters get an edge in the colour of the page, so that they can be read on lines.
    let halo = " stroke=\"#FFFFFF\" stroke-width=\"28\" paint-order=\"stroke\"";
    let svg = svg.replace(" dy=\"-0.5ex\"", halo);
    let mut out = String::new();
    for (i, part) in svg.split("font-size=\"").enumerate() {
        let Some((number, rest)) = part.split_once('"').filter(|_| i > 0) else {
            out.push_str(part);
            continue;
        };
        let rounded = number.parse::<f64>().map_or(0, |n| n.round() as i64);
        out.push_str(&format!("font-size=\"{rounded}\"{rest}"));
    }
    out
}
