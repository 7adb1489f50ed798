//! How late timers are: counts of samples as they come, never the samples themselves.
//!
//! Times are integers of nanoseconds. Below 2048 ns a histogram is exact; above, its buckets are 1/1024 of an octave
//! wide, so a percentile is at most 0.1 % above the sample that it stands for. Count, least, greatest and sum are exact
//! always. Two histograms merge into that of both sets of samples, in any order.

use crate::counts::Counts;
use crate::num::{grouped, us};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use timerace_core::CpuId;
use timerace_core::result::Expiry;

/// Buckets per octave, as a power of two.
const FINE: u32 = 10;
/// Widest bar of the histogram in the terminal, in characters.
const BAR: u64 = 40;
/// Lines of `hist.txt`; what is later is counted in `over:`.
const INDEX_LINES: usize = 256;

/// A histogram of times in nanoseconds: small for a timer with few samples, and never more than the range of times has
/// buckets, however many samples there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Counts,
    /// By power of two of microseconds, up to the greatest sample.
    octaves: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

/// What is said of a set of samples, in nanoseconds. All zero if there are none.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many samples.
    pub count: u64,
    /// The least.
    pub min_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// 99 % are no later.
    pub p99_ns: u64,
    /// 99.9 % are no later.
    pub p999_ns: u64,
    /// The greatest.
    pub max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let (counts, octaves) = (Counts::default(), Vec::new());
        Histogram { counts, octaves, count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

fn bucket(ns: u64) -> usize {
    let octave = (63 - (ns | 1).leading_zeros()).saturating_sub(FINE);
    ((octave as usize) << FINE) + (ns >> octave) as usize
}

/// The least and the greatest value of a bucket.
fn bounds(bucket: usize) -> (u64, u64) {
    let per = 1usize << FINE;
    let octave = (bucket / per).saturating_sub(1) as u32;
    let low = ((bucket - ((octave as usize) << FINE)) as u64) << octave;
    (low, low + ((1u64 << octave) - 1))
}

impl Histogram {
    /// Counts a sample.
    pub fn record(&mut self, ns: u64) {
        self.counts.add(bucket(ns) as u32, 1);
        let us = ns / 1000;
        let octave = 64 - us.leading_zeros() as usize;
        if self.octaves.len() <= octave {
            self.octaves.resize(octave + 1, 0);
        }
        self.octaves[octave] += 1;
        self.count += 1;
        self.sum += u128::from(ns);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    /// Adds the samples of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        other.counts.iter().for_each(|(i, n)| self.counts.add(i, n));
        self.octaves.resize(self.octaves.len().max(other.octaves.len()), 0);
        for (c, o) in self.octaves.iter_mut().zip(&other.octaves) {
            *c += o;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The least sample in nanoseconds; 0 if there is none.
    pub fn min_ns(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The greatest sample in nanoseconds; 0 if there is none.
    pub fn max_ns(&self) -> u64 {
        self.max
    }

    /// The sum of the samples in nanoseconds, as far as 64 bits go.
    pub fn sum_ns(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    /// The mean in nanoseconds, rounded down; 0 without samples.
    pub fn mean_ns(&self) -> u64 {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// The time within which `of` of `out_of` samples lie (99 of 100, 999 of 1000): that of the sample with this rank,
    /// counted from the least, or at most 0.1 % more. 0 without samples.
    pub fn percentile_ns(&self, of: u64, out_of: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(of)).div_ceil(u128::from(out_of.max(1)));
        let rank = rank.max(1);
        let mut seen = 0u128;
        for (_, high, n) in self.buckets() {
            seen += u128::from(n);
            if seen >= rank {
                return high.clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// What is said of the samples.
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            min_ns: self.min_ns(),
            p50_ns: self.percentile_ns(50, 100),
            p99_ns: self.percentile_ns(99, 100),
            p999_ns: self.percentile_ns(999, 1000),
            max_ns: self.max,
        }
    }

    /// The buckets that are not empty, in order: least value, greatest value, samples.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.counts.iter().map(|(i, n)| {
            let (low, high) = bounds(i as usize);
            (low, high, n)
        })
    }

    /// The histogram as the terminal shows it: powers of two, bars, and a line of percentiles.
    pub fn terminal(&self) -> String {
        let mut out = String::from("  late by                count\n");
        let first = self.octaves.iter().position(|n| *n > 0).unwrap_or(0);
        let last = self.octaves.iter().rposition(|n| *n > 0).unwrap_or(0);
        let most = self.octaves.iter().copied().max().unwrap_or(0).max(1);
        for (i, n) in self.octaves.iter().enumerate().take(last + 1).skip(first) {
            let low = if i == 0 { 0 } else { 1u64 << (i - 1) };
            let label = format!("[{low}us, {}us)", 1u64 << i);
            let filled = (u128::from(*n) * u128::from(BAR) / u128::from(most)) as usize;
            let bar = format!("{}{}", "@".repeat(filled), " ".repeat(BAR as usize - filled));
            let _ = writeln!(out, "  {label:<16} {:>11} |{bar}|", grouped(*n));
        }
        let s = self.summary();
        let _ = writeln!(
            out,
            "\n  min {}  p50 {}  p99 {}  p99.9 {}  max {} us",
            us(s.min_ns),
            us(s.p50_ns),
            us(s.p99_ns),
            us(s.p999_ns),
            us(s.max_ns)
        );
        out
    }
}

#[derive(Clone, Debug, Default)]
struct PerCpu {
    all: Histogram,
    /// Samples per microsecond, for `hist.txt`.
    index: Vec<u64>,
    over: u64,
}

/// How far a periodic timer falls behind its raster: the times at which it would expire if each period were exact.
///
/// A timer whose callback arms it again with a relative start counts each period from that start: what the callback was
/// late, and what it did before, is lost for ever, and adds up. With `BPF_F_TIMER_ABS` the program names the next time
/// of the raster itself: the timer is behind only as far as that time is over when it is armed, and this does not add up.
/// A timer that is armed anywhere else begins anew.
#[derive(Clone, Debug, Default)]
struct Drift {
    /// When the last callback began and ended.
    last: Option<(u64, u64)>,
    /// The time of the raster that the last expiry stands for.
    raster: u64,
    most: Option<u64>,
}

impl Drift {
    fn record(&mut self, e: &Expiry) {
        let (armed, programmed) = (e.armed.0, e.programmed.0);
        let own = self.last.is_some_and(|(from, to)| (from..=to).contains(&armed));
        // A relative start with 0 has no period.
        self.raster = match own && !e.abs && programmed > armed {
            true => self.raster.saturating_add(programmed - armed),
            false => programmed,
        };
        if own && (e.abs || programmed > armed) {
            let behind = programmed.max(armed).saturating_sub(self.raster);
            self.most = self.most.max(Some(behind));
        }
        self.last = Some((e.callback.0, e.exit.0));
    }
}

/// The lateness of the expiries of a run: overall, per timer and per CPU.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    all: Histogram,
    /// By index into the run's table of names, which has no gaps.
    timers: Vec<Histogram>,
    /// The same. Apart, because every expiry needs them.
    drifts: Vec<Drift>,
    cpus: BTreeMap<CpuId, PerCpu>,
}

/// Counts the expiries of a run as they come.
///
/// Many thousands of timers have more buckets than a cache holds, and an expiry of one is seldom followed by another of
/// the same. So samples wait until there are many, and are counted timer by timer.
#[derive(Clone, Debug, Default)]
pub struct LatencyRecorder {
    counted: Latencies,
    /// Of those that wait: the timer, and below it 32 bits of lateness in nanoseconds.
    waiting: Vec<u64>,
}

/// So many wait before they are counted: 512 KiB.
const WAITING: usize = 1 << 16;

impl LatencyRecorder {
    /// Counts an expiry.
    pub fn record(&mut self, expiry: &Expiry) {
        let ns = expiry.late_ns();
        let counted = &mut self.counted;
        of_timer(&mut counted.drifts, expiry.timer).record(expiry);
        let cpu = counted.cpus.entry(expiry.cpu).or_default();
        cpu.all.record(ns);
        let us = usize::try_from(ns / 1000).unwrap_or(usize::MAX);
        if us < INDEX_LINES {
            cpu.index.resize(cpu.index.len().max(us + 1), 0);
            cpu.index[us] += 1;
        } else {
            cpu.over += 1;
        }
        // No-op but for the first.
        self.waiting.reserve_exact(WAITING - self.waiting.len());
        match u32::try_from(ns) {
            Ok(ns) => self.waiting.push(u64::from(expiry.timer) << 32 | u64::from(ns)),
            Err(_) => of_timer(&mut counted.timers, expiry.timer).record(ns),
        }
        if self.waiting.len() == WAITING {
            self.settle();
        }
    }

    /// What was counted.
    pub fn finish(mut self) -> Latencies {
        self.settle();
        let Latencies { all, cpus, .. } = &mut self.counted;
        cpus.values().for_each(|c| all.merge(&c.all));
        self.counted
    }

    fn settle(&mut self) {
        self.waiting.sort_unstable();
        for of_one in self.waiting.chunk_by(|a, b| a >> 32 == b >> 32) {
            let late = of_timer(&mut self.counted.timers, (of_one[0] >> 32) as u32);
            of_one.iter().for_each(|w| late.record(w & u64::from(u32::MAX)));
        }
        self.waiting.clear();
    }
}

/// What is kept of a timer.
fn of_timer<T: Default>(timers: &mut Vec<T>, timer: u32) -> &mut T {
    let at = timer as usize;
    if timers.len() <= at {
        timers.resize_with(at + 1, T::default);
    }
    &mut timers[at]
}

impl Latencies {
    /// All expiries.
    pub fn overall(&self) -> &Histogram {
        &self.all
    }

    /// How far a timer fell behind, in nanoseconds: the most over the run. `None`: no callback of it armed it again.
    pub fn drift_ns(&self, timer: u32) -> Option<u64> {
        self.drifts.get(timer as usize).and_then(|d| d.most)
    }

    /// The expiries of each timer that had any, by its index into the run's table of names.
    pub fn timers(&self) -> impl Iterator<Item = (u32, &Histogram)> {
        let all = self.timers.iter().enumerate().map(|(t, late)| (t as u32, late));
        all.filter(|(_, h)| h.count() > 0)
    }

    /// The expiries of each CPU.
    pub fn cpus(&self) -> impl Iterator<Item = (CpuId, &Histogram)> {
        self.cpus.iter().map(|(c, p)| (*c, &p.all))
    }

    /// Adds the expiries to those of other runs, by name: the index of a timer is the order of first expiries, and no two
    /// runs need to have the same. A timer without a name is called by its number.
    pub fn add_to(&self, by_name: &mut BTreeMap<String, Histogram>, names: &[String]) {
        let name = |t: u32| names.get(t as usize).cloned().unwrap_or_else(|| format!("timer {t}"));
        for (t, h) in self.timers() {
            by_name.entry(name(t)).or_default().merge(h);
        }
    }

    /// The summaries by name, for results.
    pub fn summaries(&self, names: &[String]) -> BTreeMap<String, Summary> {
        let mut by_name = BTreeMap::new();
        self.add_to(&mut by_name, names);
        by_name.into_iter().map(|(n, h)| (n, h.summary())).collect()
    }

    /// `hist.txt`: the shape that `rtla timerlat hist` prints, a column per CPU, whole microseconds rounded down. Lines
    /// without samples are left out, as there.
    pub fn hist_txt(&self) -> String {
        let mut out = String::from("# timerace: lateness of bpf_timer callbacks\n");
        out.push_str("# Time unit is microseconds (us)\n");
        let line = |head: &str, cell: &dyn Fn(&PerCpu) -> String| {
            let cells: String = self.cpus.values().map(|c| format!("{:>10}", cell(c))).collect();
            format!("{head:<6}{cells}\n")
        };
        let heads: String = self.cpus.keys().map(|c| format!("   CPU-{:03}", c.0)).collect();
        let _ = writeln!(out, "Index {heads}");
        let longest = self.cpus.values().map(|c| c.index.len()).max().unwrap_or(0);
        let at = |c: &PerCpu, us: usize| c.index.get(us).copied().unwrap_or(0);
        for us in (0..longest).filter(|us| self.cpus.values().any(|c| at(c, *us) > 0)) {
            out.push_str(&line(&us.to_string(), &|c| at(c, us).to_string()));
        }
        out.push_str(&line("over:", &|c| c.over.to_string()));
        out.push_str(&line("count:", &|c| c.all.count().to_string()));
        out.push_str(&line("min:", &|c| (c.all.min_ns() / 1000).to_string()));
        out.push_str(&line("avg:", &|c| (c.all.mean_ns() / 1000).to_string()));
        out.push_str(&line("max:", &|c| (c.all.max_ns() / 1000).to_string()));
        out
    }
}
