//! From the events of a trace to lengths of time, by the cost that they are.

use super::ftrace::Event;
use super::{Measure, Recording, Sample, Wrong};
use std::collections::{BTreeMap, BTreeSet};
use timerace_core::step::CostClass;
use timerace_core::timed::costs::LONGEST_NS;

/// The number of HRTIMER_SOFTIRQ.
const HRTIMER: &str = "8";
/// `PWR_EVENT_EXIT` as an unsigned number.
const IDLE_EXIT: &str = "4294967295";

/// What a CPU did last, as far as the trace says it.
#[derive(Debug, Default)]
struct Cpu<'t> {
    /// In an idle state; since when it is not, otherwise.
    idle: bool,
    woke: u64,
    /// When something that keeps interrupts out was over.
    free: u64,
    timer_irq: Option<u64>,
    raised: Option<u64>,
    /// Nothing else came between the raise and now.
    undisturbed: bool,
    pass: Option<u64>,
    last_pass: u64,
    running: Option<(&'t str, u64)>,
    softirq_over: Option<u64>,
    starts: Option<u64>,
    /// The timers that were started here, by expiry.
    queue: BTreeSet<(u64, &'t str)>,
}

/// A timer that was started.
struct Started {
    armed: u64,
    expires: u64,
    cpu: u32,
}

#[derive(Default)]
struct Reader<'t> {
    cpus: BTreeMap<u32, Cpu<'t>>,
    started: BTreeMap<&'t str, Started>,
    measured: BTreeMap<CostClass, Vec<Measure>>,
    samples: Vec<Sample>,
    unknown: u64,
    early: u64,
    no_entry: u64,
    /// The trace has softirqs.
    softirqs: bool,
}

pub(super) fn read(name: &str, events: &[(usize, Event<'_>)]) -> Result<Recording, Wrong> {
    let softirq = |e: &Event<'_>| e.name == "softirq_entry" && e.field("vec") == Some(HRTIMER);
    let mut r = Reader { softirqs: events.iter().any(|(_, e)| softirq(e)), ..Reader::default() };
    for (line, e) in events {
        r.event(e).map_err(|(col, what)| (*line, col, what))?;
    }
    let mut recording = Recording::new(name, "ftrace text", r.samples);
    recording.measured = r.measured;
    let mut left_out = |n, why| {
        if n > 0 {
            recording.left_out.push((n, why));
        }
    };
    left_out(r.unknown, "expiries have no hrtimer_start in the trace");
    left_out(r.early, "expiries are not times of CLOCK_MONOTONIC");
    left_out(r.no_entry, "expiries have no softirq_entry (events lost?)");
    left_out(r.started.len() as u64, "timers were started and did not expire");
    Ok(recording)
}

impl<'t> Reader<'t> {
    fn event(&mut self, e: &Event<'t>) -> Result<(), (usize, String)> {
        let of_bpf = e.field("function") == Some("bpf_timer_cb");
        // A program runs: the interrupt is over, and softirqs are off.
        if e.name.starts_with("bpf_timer_") {
            self.cpu(e).undisturbed = false;
        }
        match e.name {
            "hrtimer_start" if of_bpf => {
                let timer = e.must("hrtimer")?;
                let expires = e.number("expires")?;
                self.dequeue(timer);
                self.started.insert(timer, Started { armed: e.ns, expires, cpu: e.cpu });
                let c = self.cpu(e);
                c.queue.insert((expires, timer));
                c.starts = Some(e.ns);
            }
            "bpf_timer_start_ret" => {
                if let Some(at) = self.cpu(e).starts.take() {
                    self.measure(e.cpu, CostClass::Hrtimer, at, e.ns);
                }
            }
            "hrtimer_cancel" => {
                self.dequeue(e.must("hrtimer")?);
            }
            "cpu_idle" => self.idle(e),
            "local_timer_entry" => self.timer_irq(e),
            "softirq_raise" if e.field("vec") == Some(HRTIMER) => self.raise(e),
            "softirq_entry" if e.field("vec") == Some(HRTIMER) => self.pass(e),
            "softirq_exit" if e.field("vec") == Some(HRTIMER) => {
                let c = self.cpu(e);
                (c.softirq_over, c.free, c.pass) = (Some(e.ns), e.ns, None);
            }
            "softirq_entry" => {
                self.comes_between(e);
                self.cpu(e).undisturbed = false;
            }
            "irq_handler_entry" => {
                self.comes_between(e);
                // It interrupts callbacks too.
                self.cpu(e).running = None;
            }
            "sched_switch" => self.comes_between(e),
            "softirq_exit" | "irq_handler_exit" | "local_timer_exit" => {
                let c = self.cpu(e);
                c.free = e.ns;
                if e.name != "local_timer_exit" {
                    c.undisturbed = false;
                }
            }
            "hrtimer_expire_entry" if of_bpf => self.expire(e)?,
            "hrtimer_expire_exit" => {
                let timer = e.must("hrtimer")?;
                let running = self.cpu(e).running.take();
                if let Some((_, at)) = running.filter(|r| r.0 == timer) {
                    self.measure(e.cpu, CostClass::Call, at, e.ns);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn cpu(&mut self, e: &Event<'_>) -> &mut Cpu<'t> {
        self.cpus.entry(e.cpu).or_default()
    }

    fn measure(&mut self, cpu: u32, class: CostClass, from: u64, to: u64) {
        let ns = to.saturating_sub(from);
        if ns <= LONGEST_NS {
            self.measured.entry(class).or_default().push(Measure { cpu, at: from, ns });
        }
    }

    /// Something else comes: what goes on is not measured to its end.
    fn comes_between(&mut self, e: &Event<'_>) {
        let c = self.cpu(e);
        (c.softirq_over, c.starts) = (None, None);
    }

    fn dequeue(&mut self, timer: &'t str) -> Option<Started> {
        let s = self.started.remove(timer)?;
        if let Some(c) = self.cpus.get_mut(&s.cpu) {
            c.queue.remove(&(s.expires, timer));
        }
        Some(s)
    }

    /// When the first timer of the CPU was due, if it was.
    fn due(&self, cpu: u32, now: u64) -> Option<u64> {
        let (expires, timer) = self.cpus.get(&cpu)?.queue.first()?;
        (*expires <= now)
            .then(|| self.started.get(timer).map_or(*expires, |s| s.armed.max(*expires)))
    }

    fn idle(&mut self, e: &Event<'_>) {
        let wakes = e.field("state") == Some(IDLE_EXIT);
        let due = self.due(e.cpu, e.ns);
        let c = self.cpu(e);
        let over = c.softirq_over.take();
        if wakes && c.idle {
            c.woke = e.ns;
            if let Some(due) = due {
                let from = due.max(c.free);
                self.measure(e.cpu, CostClass::IdleExit, from, e.ns);
            }
        } else if !wakes && let Some(at) = over {
            self.measure(e.cpu, CostClass::SoftirqExit, at, e.ns);
        }
        self.cpu(e).idle = !wakes;
    }

    /// The interrupt begins when a timer is due, the CPU awake, and the interrupt before it over.
    fn timer_irq(&mut self, e: &Event<'_>) {
        let due = self.due(e.cpu, e.ns);
        let c = self.cpu(e);
        (c.softirq_over, c.starts, c.running) = (None, None, None);
        c.timer_irq = Some(e.ns);
        if let (Some(due), None) = (due, c.pass) {
            let from = due.max(c.woke).max(c.free);
            self.measure(e.cpu, CostClass::IrqEntry, from, e.ns);
        }
    }

    fn raise(&mut self, e: &Event<'_>) {
        let due = self.due(e.cpu, e.ns);
        let c = self.cpu(e);
        (c.raised, c.undisturbed) = (Some(e.ns), true);
        // Without its own event the interrupt is known by what it does.
        if let (Some(due), None, None) = (due, c.timer_irq.take(), c.pass) {
            let from = due.max(c.woke).max(c.free);
            self.measure(e.cpu, CostClass::IrqEntry, from, e.ns);
        }
    }

    fn pass(&mut self, e: &Event<'_>) {
        let c = self.cpu(e);
        let raised = c.raised.take().filter(|_| c.undisturbed);
        (c.pass, c.softirq_over) = (Some(e.ns), None);
        if let Some(at) = raised {
            self.measure(e.cpu, CostClass::IrqExit, at, e.ns);
        }
    }

    fn expire(&mut self, e: &Event<'t>) -> Result<(), (usize, String)> {
        let timer = e.must("hrtimer")?;
        let now = e.number("now")?;
        let first = self.cpu(e).pass.take();
        self.cpu(e).running = Some((timer, e.ns));
        if let Some(at) = first.filter(|at| *at > 0) {
            self.measure(e.cpu, CostClass::SoftirqEntry, at, e.ns);
            // The pass goes on; only its first callback says how long it took to come to it.
            self.cpu(e).pass = Some(0);
        } else if first.is_some() {
            self.cpu(e).pass = Some(0);
        } else if self.softirqs {
            self.no_entry += 1;
        } else if self.cpu(e).last_pass != now {
            // A trace without softirqs says still when the pass read the clock.
            self.cpu(e).last_pass = now;
            if let Some(s) = self.started.get(timer) {
                let from = s.expires.max(s.armed);
                self.measure(e.cpu, CostClass::IrqEntry, from, now);
            }
            self.measure(e.cpu, CostClass::SoftirqEntry, now, e.ns);
        }
        match self.dequeue(timer) {
            None => self.unknown += 1,
            // Another clock than CLOCK_MONOTONIC, or a step of it.
            Some(s) if now < s.expires || e.ns.saturating_sub(s.expires) > LONGEST_NS => {
                self.early += 1;
            }
            Some(s) => {
                // Times of events may be rounded down to microseconds, that of the pass is not.
                let actual = e.ns.max(now);
                let pass = Some(now);
                self.samples.push(Sample {
                    cpu: e.cpu,
                    armed: s.armed,
                    expected: s.expires,
                    actual,
                    pass,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A softirq that waits for the end of a program with softirqs off is not what the end of an interrupt takes.
    #[test]
    fn a_softirq_behind_a_program_is_no_end_of_an_interrupt() {
        let line = |ns, name, args| (1, Event { line: args, cpu: 0, ns, name, args });
        let exit = |between: &[(usize, Event<'_>)]| {
            let mut events = vec![line(1_000, "softirq_raise", "vec=8 [action=HRTIMER]")];
            events.extend(between);
            events.push(line(9_000, "softirq_entry", "vec=8 [action=HRTIMER]"));
            read("x", &events).unwrap().measured.remove(&CostClass::IrqExit)
        };
        let whole = Measure { cpu: 0, at: 1_000, ns: 8_000 };
        assert_eq!(exit(&[line(1_500, "local_timer_exit", "vector=236")]), Some(vec![whole]));
        assert_eq!(exit(&[line(1_500, "bpf_timer_start_ret", "ret=0")]), None);
    }
}
