//! `latency.hlog`: the histograms as an interval log of HdrHistogram, format V2, that its tools and libraries read, merge
//! and plot. One interval, the run: all expiries without a tag, then those of each CPU with the tag `CPU-000` and so on.
//!
//! Values are nanoseconds with three significant digits; of each bucket the greatest value is recorded.

use crate::latency::{Histogram, Latencies};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::time::Duration;

/// Significant digits: the relative error is below 1/1000.
const DIGITS: u8 = 3;

/// The log of a run of this length.
///
/// # Errors
///
/// What the encoder says; values up to 2^63 ns are no reason.
pub fn hdr_log(latencies: &Latencies, virtual_ns: u64) -> Result<Vec<u8>, String> {
    let fail = |e: &dyn std::fmt::Debug| format!("latency.hlog: {e:?}");
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("timerace: lateness of bpf_timer callbacks in nanoseconds, simulated")
        .begin_log_with(&mut out, &mut serializer)
        .map_err(|e| fail(&e))?;
    let length = Duration::from_nanos(virtual_ns);
    let all = encoded(latencies.overall())?;
    log.write_histogram(&all, Duration::ZERO, length, None).map_err(|e| fail(&e))?;
    for (cpu, h) in latencies.cpus() {
        let name = format!("CPU-{:03}", cpu.0);
        let tag = Tag::new(&name);
        log.write_histogram(&encoded(h)?, Duration::ZERO, length, tag).map_err(|e| fail(&e))?;
    }
    Ok(out)
}

fn encoded(h: &Histogram) -> Result<hdrhistogram::Histogram<u64>, String> {
    let fail = |e: &dyn std::fmt::Debug| format!("latency.hlog: {e:?}");
    let mut out = hdrhistogram::Histogram::<u64>::new(DIGITS).map_err(|e| fail(&e))?;
    for (_, high, n) in h.buckets() {
        let value = high.clamp(h.min_ns(), h.max_ns()).min(i64::MAX as u64);
        out.record_n(value, n).map_err(|e| fail(&e))?;
    }
    Ok(out)
}
