//! What the kernel's tracepoints, and kprobes at the helpers, say in a traced run: their names and the text of their
//! fields, as in `events/*/format`. When and where they say it is the engine's business ([`timerace_core::timed::trace`]).
//!
//! Interrupts and softirqs of the modelled devices say so too. The numbers of vectors are those of x86-64.

use crate::hrtimer::{Expiry, expiry};
use crate::kernel::Kernel;
use crate::objects::{Elem, Timer};
use crate::source::SourceVars;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::{CtxKind, Cx, Word};

/// `LOCAL_TIMER_VECTOR` of x86.
const LOCAL_TIMER: &str = "vector=236";
/// The softirqs in the order of their numbers (`softirq_to_name`).
const SOFTIRQS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];
/// Numbers of device interrupts begin here: those below belong to the platform.
const FIRST_IRQ: usize = 16;

/// A pointer as `%p` shows it, hashed to 32 bits; different pointers stay different.
fn hashed(p: Ptr) -> String {
    let n = (p.to_word() as u32).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
    format!("{n:016x}")
}

/// A pointer as `%px` shows it.
fn plain(p: Ptr) -> String {
    format!("0xffff8881{:08x}", (p.to_word() as u32) << 3)
}

/// `decode_hrtimer_mode()`
fn mode(e: Expiry) -> &'static str {
    match (e.abs, e.pinned) {
        (false, false) => "REL|SOFT",
        (false, true) => "REL|PINNED|SOFT",
        (true, false) => "ABS|SOFT",
        (true, true) => "ABS|PINNED|SOFT",
    }
}

const HRTIMER: usize = 8;

/// What `softirq_raise`, `softirq_entry` and `softirq_exit` say.
fn softirq(vec: usize) -> String {
    format!("vec={vec} [action={}]", SOFTIRQS[vec])
}

/// The number of a softirq, by the name of a context that is one: `net-rx0`.
pub(crate) fn softirq_vec(context: &str) -> usize {
    let name = context.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = name.to_uppercase().replace('-', "_");
    SOFTIRQS.iter().position(|n| *n == name).unwrap_or(0)
}

/// `trace_hrtimer_start`: with the base locked. `outer`: locks around that.
pub(crate) fn hrtimer_start(
    m: &mut Mem,
    t: Timer,
    e: Expiry,
    now: i64,
    (was_armed, outer): (bool, u8),
) {
    m.trace("hrtimer_start", 1 + outer, || {
        let (soft, hard) = expiry(e, now);
        format!(
            "hrtimer={} function=bpf_timer_cb expires={} softexpires={} mode={} was_armed={}",
            hashed(t.0),
            hard as u64,
            soft as u64,
            mode(e),
            u8::from(was_armed)
        )
    });
}

/// `trace_hrtimer_cancel`: with the base locked.
pub(crate) fn hrtimer_cancel(m: &mut Mem, t: Timer) {
    m.trace("hrtimer_cancel", 1, || format!("hrtimer={}", hashed(t.0)));
}

/// `trace_hrtimer_init`
pub(crate) fn hrtimer_init(m: &mut Mem, t: Timer, boottime: bool, locks: u8) {
    m.trace("hrtimer_init", locks, || {
        let clock = if boottime { "CLOCK_BOOTTIME" } else { "CLOCK_MONOTONIC" };
        format!("hrtimer={} clockid={clock} mode=REL|SOFT", hashed(t.0))
    });
}

/// `trace_softirq_entry` of a pass that begins with this step.
pub(crate) fn hrtimer_softirq_entry(m: &mut Mem) {
    m.trace("softirq_entry", 0, || softirq(HRTIMER));
}

/// `trace_softirq_exit`
pub(crate) fn hrtimer_softirq_exit(cx: Cx<'_>) {
    cx.trace("softirq_exit", 0, || softirq(HRTIMER));
}

/// The interrupt of the local timer that has found an expired bpf timer.
pub(crate) fn hrtimer_interrupt(cx: Cx<'_>) {
    cx.trace("local_timer_entry", 0, || LOCAL_TIMER.to_string());
    cx.trace("softirq_raise", 1, || softirq(HRTIMER));
    cx.trace("local_timer_exit", 0, || LOCAL_TIMER.to_string());
}

/// `trace_hrtimer_expire_entry`, and a kprobe at the timer's function. `pass`: when the softirq read the clock.
pub(crate) fn expire_entry(cx: Cx<'_>, t: Ptr, pass: impl FnOnce(&Mem) -> i64) {
    cx.trace_with("hrtimer_expire_entry", 0, |m| {
        format!("hrtimer={} function=bpf_timer_cb now={}", hashed(t), pass(m))
    });
    cx.trace("bpf_timer_cb", 0, || format!("(bpf_timer_cb+0x4/0xc0) hrtimer={}", plain(t)));
}

/// `trace_hrtimer_expire_exit`
pub(crate) fn expire_exit(cx: Cx<'_>, t: Ptr) {
    cx.trace("hrtimer_expire_exit", 0, || format!("hrtimer={}", hashed(t)));
}

impl SourceVars {
    fn is_tick(&self) -> bool {
        self.name.starts_with("tick")
    }

    /// In the step with which it comes.
    pub(crate) fn trace_softirq(m: &mut Mem, vec: usize) {
        m.trace("softirq_entry", 0, || softirq(vec));
    }

    /// The interrupt's entry is over, its handler begins; `no`: which source of its CPU.
    pub(crate) fn trace_entry(&self, cx: Cx<'_>, no: usize) {
        if self.kind == CtxKind::Hardirq && self.is_tick() {
            cx.trace("local_timer_entry", 0, || LOCAL_TIMER.to_string());
        } else if self.kind == CtxKind::Hardirq {
            let name = &self.name;
            cx.trace("irq_handler_entry", 0, || format!("irq={} name={name}", FIRST_IRQ + no));
        }
    }

    /// Its handler ends.
    pub(crate) fn trace_exit(&self, cx: Cx<'_>, no: usize) {
        match self.kind {
            CtxKind::Softirq => cx.trace("softirq_exit", 0, || softirq(self.vec)),
            CtxKind::Hardirq if self.is_tick() => {
                cx.trace("local_timer_exit", 0, || LOCAL_TIMER.to_string());
            }
            CtxKind::Hardirq => {
                cx.trace("irq_handler_exit", 0, || format!("irq={} ret=handled", FIRST_IRQ + no));
            }
            _ => {}
        }
    }
}

impl Kernel {
    /// Locks that a helper holds while it is at its timer: `timer->lock` up to v6.19.
    pub(crate) fn timer_locks(&self) -> u8 {
        u8::from(!self.flags.lock_free)
    }

    /// A kprobe at a helper: the timer, and its second and third argument.
    pub(crate) fn probe(&self, cx: Cx<'_>, helper: Helper, e: Elem, a: u64, b: u64) {
        let (name, size) = helper.probe();
        cx.trace(name, 0, || {
            format!("({name}+0x4/{size:#x}) timer={} a={a:#x} b={b:#x}", plain(e.0))
        });
    }

    /// Its kretprobe. The address is that of some program.
    pub(crate) fn probe_ret(&self, cx: Cx<'_>, helper: Helper, ret: i64) {
        let (name, _) = helper.probe();
        cx.trace(helper.ret(), 0, || format!("(0xffffffffc0000000 <- {name}) ret={ret}"));
    }
}

/// A helper with probes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Helper {
    Init,
    SetCallback,
    Start,
    Cancel,
    CancelAsync,
}

impl Helper {
    /// The name of its probe, and about how many bytes of code it has.
    fn probe(self) -> (&'static str, u32) {
        match self {
            Helper::Init => ("bpf_timer_init", 0x180),
            Helper::SetCallback => ("bpf_timer_set_callback", 0xc0),
            Helper::Start => ("bpf_timer_start", 0xa0),
            Helper::Cancel => ("bpf_timer_cancel", 0x110),
            Helper::CancelAsync => ("bpf_timer_cancel_async", 0xa0),
        }
    }

    fn ret(self) -> &'static str {
        match self {
            Helper::Init => "bpf_timer_init_ret",
            Helper::SetCallback => "bpf_timer_set_callback_ret",
            Helper::Start => "bpf_timer_start_ret",
            Helper::Cancel => "bpf_timer_cancel_ret",
            Helper::CancelAsync => "bpf_timer_cancel_async_ret",
        }
    }
}
