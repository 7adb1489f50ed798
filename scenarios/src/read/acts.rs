//! Tasks, programs, and what happens on a CPU.

use super::Reader;
use super::forms::{Form, alone, args, variant_name};
use super::steps::STEPS;
use crate::ast::{Attach, Event, IrqWork, Prog, ProgKind, Sched, Source, Task, Timed, When};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::span::Sp;
use crate::syntax::{Kind, Node};

pub(super) const SCHED: &[Form] = &[
    alone("SCHED_OTHER"),
    args("SCHED_FIFO", 1, 1, "SCHED_FIFO(50)"),
    args("SCHED_RR", 1, 1, "SCHED_RR(50)"),
];

pub(super) const START: &[Form] = &[alone("blocked")];

pub(super) const ATTACH: &[Form] = &[
    args("tp_btf", 1, 1, "tp_btf(\"hrtimer_start\")"),
    args("fentry", 1, 1, "fentry(\"function\")"),
    args("fexit", 1, 1, "fexit(\"function\")"),
    args("perf_event", 1, 1, "perf_event(\"100us\")"),
    args("sched_ext", 1, 1, "sched_ext(\"op\")"),
];

pub(super) const EVENTS: &[Form] = &[
    args("at", 2, 2, "at(\"5us\", prog_run(\"start\"))"),
    args("every", 2, 2, "every(\"50us\", softirq(NET_RX, \"5us\"))"),
    args("poisson", 2, 2, "poisson(\"1ms\", irq(\"2us\"))"),
    args("softirq", 2, 2, "softirq(NET_RX, \"5us\")"),
    args("irq", 1, 1, "irq(\"2us\")"),
    args("nmi", 1, 1, "nmi(\"2us\")"),
    args("packet", 1, 1, "packet(\"prog\")"),
    args("tick", 0, 0, "tick()"),
    args("cpu_down", 0, 0, "cpu_down()"),
    args("cpu_up", 0, 0, "cpu_up()"),
];

/// Capabilities of a process, as in capabilities(7).
const CAPS: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

impl Reader {
    pub(super) fn task(&mut self, node: &Node, what: &str) -> Option<Task> {
        let known = ["cpu", "sched", "caps", "memcg", "start", "body"];
        let fields = self.fields(node, what, &known)?;
        let cpu = fields.require(self, "cpu", "0");
        let cpu = cpu.and_then(|node| self.u32(node, "`cpu`", 0));
        let sched = fields.get("sched").and_then(|node| self.sched(node));
        let caps = fields
            .get("caps")
            .map(|node| self.each(node, "`caps`", |reader, item| reader.cap(item)));
        let memcg = fields.get("memcg").and_then(|node| self.name(node, "a memory cgroup"));
        let blocked = fields.get("start").map(|node| self.variant(node, "`start`", START));
        let body = fields.require(self, "body", "[ .. ]");
        let body = body.map(|node| self.body(node)).unwrap_or_default();
        Some(Task {
            cpu: cpu?,
            sched: sched.unwrap_or(Sp::new(Sched::Other, node.span)),
            caps,
            memcg,
            blocked: blocked.is_some(),
            body,
            span: node.span,
        })
    }

    fn sched(&mut self, node: &Node) -> Option<Sp<Sched>> {
        let (form, found) = self.variant(node, "scheduling class", SCHED)?;
        let Some(arg) = found.args().first() else { return Some(Sp::new(Sched::Other, node.span)) };
        let prio = self.int(arg, "the priority", 1..=99)?;
        let prio = u32::try_from(prio.node).ok()?;
        let sched = if form == "SCHED_FIFO" { Sched::Fifo(prio) } else { Sched::Rr(prio) };
        Some(Sp::new(sched, node.span))
    }

    fn cap(&mut self, node: &Node) -> Option<Sp<String>> {
        let cap = self.bare(node, "a capability", "CAP_BPF")?;
        if CAPS.contains(&cap.node.as_str()) {
            return Some(cap);
        }
        let message = format!("unknown capability `{}`", quote(&cap));
        self.error(
            Diagnostic::error("E0108", cap.span, message)
                .label("no such capability")
                .maybe_help(did_you_mean(&cap, CAPS.iter().copied())),
        );
        None
    }

    pub(super) fn prog(&mut self, node: &Node, what: &str) -> Option<Prog> {
        let fields = self.fields(node, what, &["type", "sleepable", "attach", "body"])?;
        let kind = fields.require(self, "type", "SYSCALL");
        let kind = kind.and_then(|node| self.prog_kind(node));
        let sleepable = fields.get("sleepable").and_then(|node| self.bool(node, "`sleepable`"));
        let attach = fields.get("attach").and_then(|node| self.attach(node));
        let body = fields.require(self, "body", "[ .. ]");
        let body = body.map(|node| self.body(node)).unwrap_or_default();
        Some(Prog { kind: kind?, sleepable, attach, body, span: node.span })
    }

    fn prog_kind(&mut self, node: &Node) -> Option<Sp<ProgKind>> {
        // The kernel's own name of TC programs.
        if variant_name(node).is_some_and(|name| name.trim_start_matches(PROG) == "SCHED_CLS") {
            return Some(Sp::new(ProgKind::Tc, node.span));
        }
        self.prefixed_word(node, "program type", PROG)
    }

    fn attach(&mut self, node: &Node) -> Option<Sp<Attach>> {
        let (form, found) = self.variant(node, "way to attach", ATTACH)?;
        let arg = &found.args()[0];
        let attach = match form {
            "tp_btf" => Attach::TpBtf(self.text(arg, "a tracepoint")?),
            "fentry" => Attach::Fentry(self.text(arg, "a function")?),
            "fexit" => Attach::Fexit(self.text(arg, "a function")?),
            "perf_event" => Attach::PerfEvent(self.length(arg, "the period")?),
            _ => Attach::SchedExt(self.text(arg, "an operation")?),
        };
        Some(Sp::new(attach, node.span))
    }

    /// The events of one CPU.
    pub(super) fn events(&mut self, node: &Node, what: &str) -> Vec<Sp<Event>> {
        self.each(node, what, |reader, item| {
            let event = reader.event(item)?;
            Some(Sp::new(event, item.span))
        })
    }

    fn event(&mut self, node: &Node) -> Option<Event> {
        let name = variant_name(node).unwrap_or_default();
        if !EVENTS.iter().any(|form| form.name == name) {
            return self.step_or_event(node, name).map(Event::Step);
        }
        let (form, found) = self.variant(node, "event", EVENTS)?;
        let args = found.args();
        let (when, source) = match form {
            "at" | "every" | "poisson" => {
                let what = if form == "at" { "the time" } else { "the period" };
                let duration = self.length(&args[0], what);
                let source = self.timed_source(&args[1], form);
                let duration = duration?;
                let when = match form {
                    "at" => When::At(duration),
                    "every" => When::Every(duration),
                    _ => When::Poisson(duration),
                };
                (when, source?)
            }
            _ => (When::Anytime, Sp::new(self.source(form, args)?, node.span)),
        };
        self.check_period(when);
        Some(Event::Timed(Timed { when, source }))
    }

    /// A period of 0 would be an endless list of events at one instant.
    fn check_period(&mut self, when: When) {
        if let When::Every(period) | When::Poisson(period) = when
            && period.min_ns == 0
        {
            let message = "the period of events is above 0";
            let diag = Diagnostic::error("E0115", period.span, message);
            self.error(diag.label("may be 0"));
        }
    }

    /// What stands behind `at`, `every` or `poisson`.
    fn timed_source(&mut self, node: &Node, outer: &str) -> Option<Sp<Source>> {
        let name = variant_name(node).unwrap_or_default();
        if matches!(name, "at" | "every" | "poisson") {
            let message = format!("`{name}` cannot stand inside `{outer}`");
            self.error(
                Diagnostic::error("E0109", node.span, message)
                    .label("an event has one time")
                    .help("write two events"),
            );
            return None;
        }
        if !EVENTS.iter().any(|form| form.name == name) {
            let step = self.step_or_event(node, name)?;
            return Some(Sp::new(Source::Step(Box::new(step)), node.span));
        }
        let (form, found) = self.variant(node, "event", EVENTS)?;
        Some(Sp::new(self.source(form, found.args())?, node.span))
    }

    /// A step; an unknown word may also be a mistyped event.
    fn step_or_event(&mut self, node: &Node, name: &str) -> Option<crate::ast::Step> {
        if name.is_empty() || STEPS.iter().any(|form| form.name == name) {
            return self.step(node);
        }
        let all: Vec<Form> = STEPS.iter().chain(EVENTS).copied().collect();
        self.unknown_variant(node, name, "event or step", &all);
        None
    }

    fn source(&mut self, form: &str, args: &[Node]) -> Option<Source> {
        Some(match form {
            "softirq" => {
                let vec = self.word(&args[0], "softirq");
                let work = self.irq_work(&args[1]);
                Source::Softirq(vec?, work?)
            }
            "irq" => Source::Irq(self.irq_work(&args[0])?),
            "nmi" => Source::Nmi(self.irq_work(&args[0])?),
            "packet" => Source::Packet(self.name(&args[0], "a program")?),
            "tick" => Source::Tick,
            "cpu_down" => Source::CpuDown,
            _ => Source::CpuUp,
        })
    }

    fn irq_work(&mut self, node: &Node) -> Option<IrqWork> {
        match &node.kind {
            Kind::List(_) => Some(IrqWork::Body(self.body(node))),
            Kind::Text(_) | Kind::Int(_) | Kind::Float => {
                self.length(node, "the length").map(IrqWork::Takes)
            }
            _ => self.expected(node, "what an interrupt does", "a duration or a list of steps"),
        }
    }
}

const PROG: &str = "BPF_PROG_TYPE_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_program_and_attachment_is_in_the_corpus() {
        let text = crate::read::corpus();
        for form in EVENTS.iter().chain(ATTACH) {
            assert!(text.contains(&format!("{}(", form.name)), "{} is in no file", form.name);
        }
        for kind in ProgKind::ALL.iter().filter(|kind| **kind != ProgKind::Tc) {
            assert!(text.contains(&format!("type: {kind}")), "{kind} is in no file");
        }
    }
}
