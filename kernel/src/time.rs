//! Clocks and lengths of time.

use crate::kernel::Kernel;
use crate::world::Ns;
use timerace_core::mix::mix;
use timerace_core::{Cx, Mem, Nanos, site};

/// Bits that follow from the seed, who asks, and when.
fn word(cx: Cx<'_>) -> u64 {
    mix(mix(cx.now().0 ^ mix(cx.seed())) ^ u64::from(cx.id().0))
}

/// A length from a range. Explored runs take the shortest one. Timed runs take one that follows from the seed, who asks
/// and when: a function of the run, so the same in each repetition.
pub(crate) fn draw(cx: Cx<'_>, ns: Ns) -> u64 {
    if ns.min >= ns.max || !cx.machine().is_timed() {
        return ns.min;
    }
    let word = word(cx);
    match (ns.max - ns.min).checked_add(1) {
        Some(n) => ns.min + word % n,
        None => word,
    }
}

/// `CLOCK_REALTIME` at the start of a run: some instant long after the monotonic clock began.
pub(crate) const REALTIME_START_NS: u64 = 1_700_000_000_000_000_000;

impl Kernel {
    /// `bpf_ktime_get_ns()`: one step. Explored runs have the time of this CPU, from which relative starts count: that of its
    /// last expiry.
    pub(crate) async fn bpf_ktime_get_ns(&self, cx: Cx<'_>) -> i64 {
        let f = cx.enter("bpf_ktime_get_ns");
        let step = cx.step(site!("ktime_get_mono_fast_ns()", Memory));
        if self.timed {
            return f.ret(step.run(|m: &mut Mem| m.now().0 as i64).await);
        }
        let now = self.cpu(cx).now;
        f.ret(step.reads(now.obj()).run(move |m: &mut Mem| m.load(now)).await)
    }

    /// The time of a clock of UAPI; in explored runs that of this CPU's last expiry.
    pub(crate) fn clock_now(&self, cx: Cx<'_>, clock: u32) -> u64 {
        let Nanos(now) = cx.now();
        match clock {
            0 => REALTIME_START_NS.saturating_add(now),
            _ => now,
        }
    }
}

/// An exponentially distributed length with this mean, in integers only.
pub(crate) fn exponential(cx: Cx<'_>, mean: Ns) -> u64 {
    let word = mix(word(cx) ^ 0x5eed);
    // -ln(u) = (64 - log2(word)) * ln(2), with log2 in 1/65536.
    let bits = (64 << 16) - log2_q16(word | 1);
    let mean = u128::from(mean.min.midpoint(mean.max));
    let ln2_q32 = 2_977_044_472u128;
    ((mean * u128::from(bits) * ln2_q32) >> 48) as u64
}

/// The binary logarithm in 1/65536, by squaring.
fn log2_q16(x: u64) -> u64 {
    let whole = 63 - u64::from(x.leading_zeros());
    let mut y = u128::from(x) << (63 - whole); // 1.0 is 2^63
    let mut fraction = 0u64;
    for _ in 0..16 {
        y = (y * y) >> 63;
        fraction <<= 1;
        if y >= 1 << 64 {
            y >>= 1;
            fraction |= 1;
        }
    }
    whole << 16 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms() {
        assert_eq!(log2_q16(1), 0);
        assert_eq!(log2_q16(1 << 40), 40 << 16);
        // log2(3) = 1.58496, times 65536.
        assert_eq!(log2_q16(3), 103_872);
    }
}
