//! `latency.svg`: how often timers are how late, and how late they are by share: both pictures that reviewers know.
//!
//! Drawn with `plotters`. Up to [`MAX_LINES`] series share the two plots; of more, each has a small plot of its own.

mod histogram;
mod paint;
mod panels;
mod percentiles;

use crate::latency::Histogram;
use crate::num::{grouped, us};
use crate::scale::log2;
use crate::theme::Theme;
use paint::{Drawn, FINE, Face, Ink, Root, block, finished, fit, text, with_unit};
use plotters::prelude::{IntoDrawingArea, SVGBackend};

const WIDTH: i32 = 1280;
const HEIGHT: i32 = 560;
/// Left, right, top, bottom of the two plots, in pixels.
const LEFT: [i32; 4] = [92, 612, 122, 456];
const RIGHT: [i32; 4] = [712, 1130, 122, 456];

/// Where axes of time begin at the earliest, in nanoseconds: a logarithm has no zero.
const LEAST_NS: u64 = 100;
/// Under every picture of latencies.
const DISCLAIMER: &str = "Simulated cost model, not measured hardware.";

/// Most lines that share a plot.
pub const MAX_LINES: usize = 6;

/// One line of the picture.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// What it is, in a word or two: `NET_RX busy`, `timers[0]`.
    pub name: String,
    /// Its samples.
    pub samples: &'a Histogram,
}

/// An expectation: a dashed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is a limit of: the name of a series, or of a map with all of its elements. Empty: of all series.
    pub of: String,
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

    fn is_on(&self, series: &str) -> bool {
        let element = |rest: &str| rest.is_empty() || rest.starts_with('[');
        self.of.is_empty() || series.strip_prefix(&self.of).is_some_and(element)
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
    /// The lines.
    pub series: Vec<Series<'a>>,
    /// The limits.
    pub limits: Vec<Limit>,
}

/// The picture. The same data gives the same bytes.
///
/// # Errors
/// If the drawing library fails.
pub fn latency_svg(p: &LatencyPlot<'_>, theme: Theme) -> Result<String, String> {
    let mut svg = String::new();
    let many = p.series.len() > MAX_LINES;
    let height = if many { panels::height(p.series.len()) } else { HEIGHT };
    let size = ((WIDTH * FINE) as u32, (height * FINE) as u32);
    let ink = Ink::of(theme);
    let title = if p.title.is_empty() { made_title(p) } else { p.title.clone() };
    let about = subtitle(p);
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&root, &ink, p, height, &title, &about).map_err(|e| e.to_string())?;
    }
    let about = format!("{about} {DISCLAIMER}");
    Ok(finished(&svg, (WIDTH, height), &ink, &title, &about))
}

fn draw(
    root: &Root<'_>,
    ink: &Ink,
    p: &LatencyPlot<'_>,
    height: i32,
    title: &str,
    about: &str,
) -> Drawn {
    block(root, [0, WIDTH, 0, height], ink.page)?;
    text(root, (28, 36), &fit(title, WIDTH - 56, 20), Face::bold(20, ink.ink))?;
    for (y, part) in [(57, about), (74, DISCLAIMER)] {
        text(root, (28, y), &fit(part, WIDTH - 56, 13), Face::plain(13, ink.muted))?;
    }
    text(root, (28, height - 18), &fit(&p.command, WIDTH - 56, 12), Face::mono(12, ink.muted))?;
    let Some(range) = Range::of(p) else {
        text(root, (LEFT[0], height / 2), "no expiries", Face::plain(13, ink.muted))?;
        root.present()?;
        return Ok(());
    };
    if p.series.len() > MAX_LINES {
        let heading = "How late: latency by percentile, the same axes in every plot";
        text(root, (28, 104), heading, Face::bold(13, ink.ink))?;
        panels::draw(root, ink, p, &range)?;
    } else {
        text(root, (LEFT[0], 108), "How often: samples per bin", Face::bold(13, ink.ink))?;
        text(root, (RIGHT[0], 108), "How late: latency by percentile", Face::bold(13, ink.ink))?;
        histogram::draw(root, ink, p, &range, LEFT)?;
        percentiles::draw(root, ink, p, &range, RIGHT)?;
    }
    root.present()?;
    Ok(())
}

/// Ends of the axes; times in nanoseconds, places in units of [`crate::scale::ONE`].
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
        let bins = (log2(low) / histogram::BIN, log2(high) / histogram::BIN + 1);
        let most = all().flat_map(|h| histogram::binned(h, bins)).max()?.max(10);
        let nines = all().map(|h| percentiles::nines(h.count())).max()?;
        Some(Range { low, high, bins, most, nines })
    }
}

fn made_title(p: &LatencyPlot<'_>) -> String {
    let mut worst: Option<(u64, String)> = None;
    for s in p.series.iter().filter(|s| s.samples.count() > 0) {
        for l in p.limits.iter().filter(|l| l.is_on(&s.name)) {
            let value = l.reached(s.samples);
            let over = value.saturating_sub(l.ns);
            if over > worst.as_ref().map_or(0, |w| w.0) {
                let (name, value, limit) = (l.name(), us(value), with_unit(l.ns));
                let text =
                    format!("{}: {name} is {value} \u{b5}s, over the limit of {limit}", s.name);
                worst = Some((over, text));
            }
        }
    }
    let latest = p.series.iter().filter(|s| s.samples.count() > 0).rev();
    let latest = latest.max_by_key(|s| s.samples.max_ns());
    match (worst, latest) {
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
