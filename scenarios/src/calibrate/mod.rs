//! Fits the costs of timed runs to what a real machine did.
//!
//! [`read`] takes a file of latency samples (CSV; also the `latency.csv` of a run) or the text of ftrace or trace-cmd, and
//! gives a [`Recording`]: rounds of timers that were pending together on one CPU. [`calibrate`] fits the costs to one half of a recording and judges them by the other:
//! the same rounds are simulated with the fitted costs, and the distance of Kolmogorov and Smirnov between simulated and
//! recorded lateness must be small. There are two ways to take halves ([`Split`]), and costs must pass both:
//!
//! - Samples: runs of [`BLOCK`] samples of every round. This tells whether the model with the fitted costs gives the shape
//!   of the recording. It does not tell whether other rounds would be the same, for the timers of a round share its
//!   delays: a sample that was not fitted has neighbours that were. These are the costs that are given.
//! - Rounds: every second round. This tells how rounds come out that nothing of was fitted, as well as so many rounds can
//!   tell. Costs are fitted a second time for it.
//!
//! Of timers that were pending alone each is a round, and both are the same.
//!
//! What latency samples tell:
//!
//! - `irq_entry`: from the expiry to the beginning of the softirq's pass. It has all that delays the interrupt: its way to
//!   the CPU (on virtual machines most of it), the exit of the idle state, sections with interrupts off, other softirqs.
//!   These cannot be told apart from the outside, so `idle_exit` becomes 0.
//! - `softirq_entry`: from there to the first callback, where a pass ended before some timer of its round was due: the pass
//!   began between the expiries of the last timer in it and of the next.
//! - `call`: from one callback of a pass to the next.
//! - `hrtimer`: from one start of a program to the next.
//!
//! What a trace tells, each where it has the events:
//!
//! - `idle_exit`: from the expiry to the `cpu_idle` that leaves the idle state.
//! - `irq_entry`: from the expiry, the exit of the idle state or the end of the interrupt before to `local_timer_entry`, or
//!   to `softirq_raise`. Without `cpu_idle` it has the exit of the idle state too.
//! - `irq_exit`: from `softirq_raise` to `softirq_entry`, if nothing is in between.
//! - `softirq_entry`: from there to `hrtimer_expire_entry`. In a trace without softirqs these three are up to the `now` of
//!   `hrtimer_expire_entry`, and from there.
//! - `call`: from there to `hrtimer_expire_exit`; what the callback does is part of it.
//! - `softirq_exit`: from `softirq_exit` to the `cpu_idle` that follows.
//! - `hrtimer`: from `hrtimer_start` to the return of `bpf_timer_start` (a kretprobe).
//!
//! From each, what the model needs in between (measured by simulating with these costs at 0) is subtracted. Which
//! distribution is taken: [`families`]. Then, for latency samples, `irq_entry` is weighted so that the simulated lateness
//! is that of the half that is fitted (`refine`): parts that hang together in a recording are drawn one by one here.
//! In the two recordings of many timers in `tests/recordings` rounds are slow or fast as a whole, interrupts and callbacks
//! alike; that is most of what is left of their distance.
//!
//! # Under a load
//!
//! With a [`Load`] the rounds are simulated under it, and `irq_entry` is weighted until the lateness is the recorded one: what
//! is left for it is the entry of a machine without the load. All of what the load does comes from the simulation, none from
//! the recording, so the fit is as right as the load is: another one, with another entry, can lead to the same lateness, and
//! the distance does not tell which was there. Then
//!
//! - The load is that of one CPU, number 0, that of the timers. A longer entry than is true is longer for the load's interrupts
//!   too, and keeps the CPU: delays of a virtual machine's host, in which a CPU does nothing, are such.
//! - Latency samples tell no `softirq_entry`, for a load comes between passes as other timers do not; it is part of `irq_entry`.
//! - Of starts and callbacks that something came between the lengths are left out: where a trace says so, or by being eight
//!   times the usual and over 2 us. Shorter interrupts are taken for the start's or the callback's.
//! - From a trace with a load that has bpf timers, nothing: they look like those that are measured.

mod check;
pub mod families;
mod fit;
mod ftrace;
mod load;
mod measure;
mod parts;
mod refine;
mod report;
mod rounds;
mod samples;

pub use check::ks;
pub use fit::{Calibration, Checked, Distance, Fitted, calibrate};
pub use load::{Load, LoadError};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use timerace_core::step::CostClass;

/// Fewer samples than this are not fitted.
pub const LEAST_SAMPLES: usize = 20;
/// So many samples in a row are in the same half.
pub const BLOCK: usize = 10;
/// Each round begins so many samples further within two blocks, so that no place in a round is always in the same half.
const PHASE: usize = 7;

/// How a recording is divided into a half for fitting and one for the check.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// Blocks of samples alternate, also within a round.
    Samples,
    /// Rounds alternate as a whole; blocks of them where each has one timer.
    Rounds,
}

/// A timer's way from its start to its callback; all times in nanoseconds of one clock.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The CPU that it was started on and that ran its callback.
    pub cpu: u32,
    /// When it was started.
    pub armed: u64,
    /// Its expiry.
    pub expected: u64,
    /// When its callback began; not before the expiry.
    pub actual: u64,
    /// When the softirq's pass began, where known.
    pub pass: Option<u64>,
}

impl Sample {
    /// Nanoseconds from the expiry to the callback.
    pub fn late_ns(&self) -> u64 {
        self.actual - self.expected
    }
}

/// A length of time that a trace tells, in nanoseconds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// On which CPU.
    pub cpu: u32,
    /// When it began.
    pub at: u64,
    /// How long it was.
    pub ns: u64,
}

/// What a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file's name, for reports.
    pub name: String,
    /// What kind of file: `latency samples` or `ftrace text`.
    pub kind: &'static str,
    /// Timers of one CPU that were pending together, in the order of their starts.
    pub rounds: Vec<Vec<Sample>>,
    /// All timers of a round have the same expiry.
    pub same_expiry: bool,
    /// How many timers a round has.
    timers: usize,
    /// What a trace tells, by cost.
    pub measured: BTreeMap<CostClass, Vec<Measure>>,
    /// What could not be used, in words; each with a count.
    pub left_out: Vec<(u64, &'static str)>,
}

impl Recording {
    fn new(name: &str, kind: &'static str, mut samples: Vec<Sample>) -> Recording {
        samples.sort_by_key(|s| (s.cpu, s.armed));
        let mut rounds: Vec<Vec<Sample>> = Vec::new();
        let mut first_callback = 0;
        for s in samples {
            match rounds.last_mut() {
                Some(round) if s.cpu == round[0].cpu && s.armed < first_callback => {
                    round.push(s);
                    first_callback = first_callback.min(s.actual);
                }
                _ => {
                    rounds.push(vec![s]);
                    first_callback = s.actual;
                }
            }
        }
        rounds.sort_by_key(|r| r[0].armed);
        let same = |r: &Vec<Sample>| r.iter().all(|s| s.expected == r[0].expected);
        let same_expiry = rounds.iter().all(same);
        let measured = BTreeMap::new();
        Recording {
            name: name.to_string(),
            kind,
            timers: usual_size(&rounds),
            rounds,
            same_expiry,
            measured,
            left_out: Vec::new(),
        }
    }

    /// Whether a sample is used for fitting, by its round and its place in it; the others are for the check. Single timers
    /// share the machine's moods, so blocks of [`BLOCK`] of them alternate.
    pub fn for_fitting(&self, split: Split, round: usize, place: usize) -> bool {
        let block = match split {
            _ if self.timers == 1 => round / BLOCK,
            Split::Samples => (round * PHASE + place) / BLOCK,
            Split::Rounds => round,
        };
        block.is_multiple_of(2)
    }

    /// The round that was going on on a CPU at a time.
    fn round_at(&self, cpu: u32, ns: u64) -> usize {
        let began = |r: &Vec<Sample>| r.first().is_some_and(|s| s.armed <= ns);
        let is_its = |i: &usize| self.rounds[*i].first().is_some_and(|s| s.cpu == cpu);
        (0..self.rounds.partition_point(began)).rev().find(is_its).unwrap_or(0)
    }

    /// Rounds in which some timer was due before the last one was started, for the starts took so long. Those that are
    /// simulated follow one another at once.
    pub fn outrun(&self) -> usize {
        let is = |r: &&Vec<Sample>| {
            let due = r.iter().map(|s| s.expected).min();
            due < r.iter().map(|s| s.armed).max()
        };
        self.rounds.iter().filter(is).count()
    }

    /// On how many CPUs its timers were. Each is taken for itself: what others do makes no difference.
    pub fn cpus(&self) -> usize {
        let all: BTreeSet<u32> = self.rounds.iter().flatten().map(|s| s.cpu).collect();
        all.len()
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }

    /// How many timers a round had when the file was read: the most frequent number, the smaller one of equals.
    pub fn timers(&self) -> usize {
        self.timers
    }
}

fn usual_size(rounds: &[Vec<Sample>]) -> usize {
    let mut sizes: Vec<usize> = rounds.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    let runs = sizes.chunk_by(|a, b| a == b);
    runs.rev().max_by_key(|r| r.len()).map_or(0, |r| r[0])
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub col: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InputError { file, line, col, message } = self;
        write!(f, "error: {file}:{line}:{col}: {message}")
    }
}

impl std::error::Error for InputError {}

/// A place in a file, and what is wrong there.
type Wrong = (usize, usize, String);

/// Reads a file: latency samples if its first line is a header of columns, otherwise the text of a trace.
///
/// # Errors
///
/// An empty file, other columns, numbers that do not fit, lost events, or fewer than [`LEAST_SAMPLES`] samples.
pub fn read(name: &str, text: &str) -> Result<Recording, InputError> {
    let fail = |(line, col, message)| InputError { file: name.to_string(), line, col, message };
    let first = text.lines().next().unwrap_or_default();
    if text.trim().is_empty() {
        return Err(fail((1, 1, "the file is empty".to_string())));
    }
    let is_trace = first.starts_with('#') || first.starts_with("cpus=") || first.contains("] ");
    let read = if is_trace { ftrace::read(name, text) } else { samples::read(name, text) };
    let recording = read.map_err(fail)?;
    let n = recording.samples();
    if n < LEAST_SAMPLES {
        let what = format!(
            "the file has {n} expiries of bpf timers that can be used; at least {LEAST_SAMPLES} are needed"
        );
        return Err(fail((text.lines().count(), 1, what)));
    }
    Ok(recording)
}

/// A whole number of nanoseconds that can be computed with.
fn number(text: &str, what: &str) -> Result<u64, String> {
    /// About 146 years.
    const MOST: u64 = 1 << 62;
    match text.parse::<u64>() {
        Ok(n) if n <= MOST => Ok(n),
        Ok(_) => Err(format!("{what} is {text}, more than 2^62 ns")),
        Err(e) if *e.kind() == std::num::IntErrorKind::PosOverflow => {
            Err(format!("{what} is {text}, more than 2^62 ns"))
        }
        Err(_) => Err(format!("{what} must be a whole number of nanoseconds, not `{text}`")),
    }
}
