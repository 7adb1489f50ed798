//! `trace.pftrace`: a timed run for the Perfetto viewer, as TrackEvents.
//!
//! A track per CPU, below it one for each level (hardirq, softirq, task) with what ran as slices, and flows from where a timer
//! is armed to its callback. Only the few messages that this needs are encoded; field numbers are those of Perfetto's
//! `trace_packet.proto`, `track_descriptor.proto`, `track_event.proto` and `debug_annotation.proto`.

use crate::slices::{Level, Slice, slices};
use timerace_core::CpuId;
use timerace_core::record::Record;
use timerace_core::result::Expiry;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

const LEVELS: [(Level, &str); 3] =
    [(Level::Hardirq, "hardirq"), (Level::Softirq, "softirq"), (Level::Task, "task")];

/// `ChildTracksOrdering.EXPLICIT`
const EXPLICIT: u64 = 3;
/// `TrackEvent.Type`
const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;

/// A message of protobuf in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    fn number(mut self, field: u64, v: u64) -> Message {
        self.varint(field << 3 | VARINT);
        self.varint(v);
        self
    }

    fn fixed(mut self, field: u64, v: u64) -> Message {
        self.varint(field << 3 | FIXED64);
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, v: &[u8]) -> Message {
        self.varint(field << 3 | BYTES);
        self.varint(v.len() as u64);
        self.0.extend_from_slice(v);
        self
    }
}

/// The file: `Trace`, with virtual nanoseconds as time stamps.
pub fn pftrace(rec: &Record, expiries: &[Expiry]) -> Vec<u8> {
    let slices = slices(rec);
    let mut out = Message::default();
    let mut cpus: Vec<CpuId> = slices.iter().map(|s| s.cpu).collect();
    cpus.sort();
    cpus.dedup();
    for cpu in cpus {
        for d in tracks(cpu) {
            out = out.bytes(1, &packet().bytes(60, &d.0).0);
        }
    }
    // A flow joins the slice that armed a timer and that of its callback.
    let flows = flows(rec, &slices, expiries);
    // Ends come before begins of the same moment: slices of a track touch, but never overlap.
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (i, s) in slices.iter().enumerate() {
        events.push((s.from, true, i));
        events.push((s.to, false, i));
    }
    events.sort();
    for (at, begins, i) in events {
        let s = &slices[i];
        let mut e = Message::default();
        e = e.number(9, if begins { SLICE_BEGIN } else { SLICE_END });
        e = e.number(11, track(s.cpu, s.level));
        if begins {
            e = begin(e, s);
            for (flow, from, to) in &flows {
                e = match (i == *from, i == *to) {
                    (true, _) => e.fixed(47, *flow),
                    (_, true) => e.fixed(48, *flow),
                    _ => e,
                };
            }
        }
        out = out.bytes(1, &packet().number(8, at).bytes(11, &e.0).0);
    }
    out.0
}

/// `TracePacket` of the only sequence.
fn packet() -> Message {
    Message::default().number(10, 1)
}

fn cpu_track(cpu: CpuId) -> u64 {
    16 * (u64::from(cpu.0) + 1)
}

fn track(cpu: CpuId, level: Level) -> u64 {
    let n = LEVELS.iter().position(|(l, _)| *l == level).unwrap_or(0);
    cpu_track(cpu) + 1 + n as u64
}

/// `TrackDescriptor`s of a CPU, in the order in which they are shown.
fn tracks(cpu: CpuId) -> Vec<Message> {
    let parent = cpu_track(cpu);
    let top = Message::default().number(1, parent).bytes(2, cpu.to_string().as_bytes());
    let mut all = vec![top.number(11, EXPLICIT)];
    for (rank, (level, name)) in LEVELS.iter().enumerate() {
        let d = Message::default().number(1, track(cpu, *level)).bytes(2, name.as_bytes());
        all.push(d.number(5, parent).number(12, rank as u64));
    }
    all
}

fn begin(e: Message, s: &Slice) -> Message {
    let kind = match (s.spins, s.callback) {
        (true, _) => "spins",
        (_, true) => "callback",
        _ => "runs",
    };
    let name = if s.spins { format!("{} spins", s.name) } else { s.name.clone() };
    let note =
        |name: &str, v: u32| Message::default().bytes(10, name.as_bytes()).number(3, v.into());
    e.bytes(22, kind.as_bytes())
        .bytes(23, name.as_bytes())
        .bytes(4, &note("first step", s.steps.0).0)
        .bytes(4, &note("last step", s.steps.1).0)
}

/// Number of the flow, slice of the arming, slice of the callback.
fn flows(rec: &Record, slices: &[Slice], expiries: &[Expiry]) -> Vec<(u64, usize, usize)> {
    let mut out = Vec::new();
    for (n, e) in (1u64..).zip(expiries) {
        let arms = |t: &str| t.contains("hrtimer_start") || t.contains("enqueue");
        let step = rec.steps.iter().find(|s| s.at == e.armed && arms(&s.text));
        let from = step.and_then(|step| {
            let inside = |s: &Slice| s.ctx == step.ctx && (s.from..=s.to).contains(&e.armed.0);
            slices.iter().position(inside)
        });
        let runs = |s: &Slice| s.cpu == e.cpu && s.callback && s.to > e.callback.0;
        let to = slices.iter().position(|s| runs(s) && s.from <= e.callback.0);
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            out.push((n, from, to));
        }
    }
    out
}
