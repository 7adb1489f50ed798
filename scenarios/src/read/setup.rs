//! Kernel, machine, search, limits.

use super::Reader;
use super::forms::{Form, alone, args, fields, variant_name};
use crate::ast::{
    Explore, KernelChoice, Limits, Machine, Memory, Nohz, Preempt, Preemptions, Stop, Version,
};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::limits::CPUS_MAX;
use crate::span::{Sp, Span};
use crate::syntax::{Kind, Node};
use crate::text::kernel;

const KERNEL: &[Form] = &[fields(
    "Kernel",
    &["base", "with", "without"],
    "Kernel(base: \"v6.1\", with: [\"fd381ce60a2d\"])",
)];

pub(super) const STOP: &[Form] = &[
    alone("idle"),
    args("time", 1, 1, "time(\"100ms\")"),
    args("expiries", 1, 1, "expiries(1000)"),
];

pub(super) const EXPLORE: &[&str] = &["policy", "preemptions", "irqs", "max_schedules"];
pub(super) const MACHINE: &[&str] = &[
    "cpus",
    "preempt",
    "hz",
    "tick",
    "nohz",
    "high_res",
    "timer_migration",
    "memory",
    "grace_period",
];

impl Reader {
    pub(super) fn kernel(&mut self, node: &Node) -> Option<Sp<KernelChoice>> {
        if let Kind::Text(_) = node.kind {
            let base = self.release(node)?;
            let choice = KernelChoice { base, with: Vec::new(), without: Vec::new() };
            return Some(Sp::new(choice, node.span));
        }
        if variant_name(node).is_none() {
            return self.expected(node, "`kernel`", "a release such as \"v6.7\", or `Kernel(..)`");
        }
        let (_, found) = self.variant(node, "kernel", KERNEL)?;
        let fields = found.fields()?;
        let base = fields.require(self, "base", "\"v6.7\"");
        let base = base.and_then(|node| self.release(node));
        let with = self.fixes(fields.get("with"));
        let without = self.fixes(fields.get("without"));
        if let Some(both) = without.iter().find(|fix| with.iter().any(|w| w.node == fix.node)) {
            let message = format!("fix `{}` is both added and taken away", quote(both));
            self.error(Diagnostic::error("E0106", both.span, message).label("also in `with`"));
        }
        Some(Sp::new(KernelChoice { base: base?, with, without }, node.span))
    }

    fn release(&mut self, node: &Node) -> Option<Sp<Version>> {
        let words = self.words(node, "a kernel release")?;
        let version = self.checked("E0114", &words, kernel::release(&words.value))?;
        Some(Sp::new(version.node, node.span))
    }

    fn fixes(&mut self, node: Option<&Node>) -> Vec<Sp<String>> {
        let Some(node) = node else { return Vec::new() };
        self.each(node, "a list of fixes", |reader, item| {
            let fix = reader.text(item, "the name of a fix")?;
            if kernel::is_fix_name(&fix) {
                return Some(fix);
            }
            let message = format!("`{}` is no name of a fix", quote(&fix));
            reader.error(
                Diagnostic::error("E0114", fix.span, message)
                    .label("expected a name or a commit id")
                    .help("commit ids have 12 digits: fd381ce60a2d"),
            );
            None
        })
    }

    pub(super) fn machine(&mut self, node: &Node) -> Option<Machine> {
        let fields = self.fields(node, "`machine`", MACHINE)?;
        let span = node.span;
        let cpus = fields.require(self, "cpus", "2");
        let cpus = cpus.and_then(|node| {
            let cpus = self.int(node, "`cpus`", 1..=i64::from(CPUS_MAX))?;
            u32::try_from(cpus.node).ok().map(|number| Sp::new(number, cpus.span))
        });
        let hz = fields.get("hz").and_then(|node| self.hz(node));
        let mut flag = |name: &str| {
            let node = fields.get(name)?;
            self.bool(node, &format!("`{name}`"))
        };
        let (tick, high_res) = (flag("tick"), flag("high_res"));
        let timer_migration = flag("timer_migration");
        let preempt = fields.get("preempt").and_then(|node| self.word(node, "preemption model"));
        let nohz = fields.get("nohz").and_then(|node| self.word(node, "kind of nohz"));
        let memory = fields.get("memory").and_then(|node| self.word(node, "memory model"));
        let grace = fields.get("grace_period");
        let grace_period = grace.and_then(|node| self.length(node, "`grace_period`"));
        Some(Machine {
            cpus: cpus?,
            preempt: preempt.unwrap_or(Sp::new(Preempt::None, span)),
            hz: hz.unwrap_or(Sp::new(250, span)),
            tick,
            nohz: nohz.unwrap_or(Sp::new(Nohz::Idle, span)),
            high_res: high_res.unwrap_or(Sp::new(true, span)),
            timer_migration: timer_migration.unwrap_or(Sp::new(true, span)),
            memory: memory.unwrap_or(Sp::new(Memory::Sc, span)),
            grace_period,
            span,
        })
    }

    fn hz(&mut self, node: &Node) -> Option<Sp<u32>> {
        let hz = self.u32(node, "`hz`", 1)?;
        if matches!(hz.node, 100 | 250 | 300 | 1000) {
            return Some(hz);
        }
        let message = format!("there is no kernel with {} ticks per second", hz.node);
        self.error(
            Diagnostic::error("E0115", hz.span, message)
                .label("not a value of CONFIG_HZ")
                .help("`hz` is 100, 250, 300 or 1000"),
        );
        None
    }

    pub(super) fn explore(&mut self, node: &Node) -> Option<Explore> {
        let fields = self.fields(node, "`explore`", EXPLORE)?;
        Some(Explore {
            policy: fields.get("policy").and_then(|node| self.word(node, "policy")),
            preemptions: fields.get("preemptions").and_then(|node| self.preemptions(node)),
            irqs: fields.get("irqs").and_then(|node| self.u32(node, "`irqs`", 0)),
            max_schedules: fields
                .get("max_schedules")
                .and_then(|node| self.u64(node, "`max_schedules`", 1)),
        })
    }

    fn preemptions(&mut self, node: &Node) -> Option<Sp<Preemptions>> {
        if let Kind::Int(_) = node.kind {
            let bound = self.u32(node, "`preemptions`", 0)?;
            return Some(bound.map(Preemptions::AtMost));
        }
        let word = self.bare(node, "`preemptions`", "all")?;
        match (word.node.as_str(), word.parse()) {
            ("all", _) => Some(Sp::new(Preemptions::All, word.span)),
            (_, Ok(bound)) => Some(Sp::new(Preemptions::AtMost(bound), word.span)),
            (other, _) => {
                let message = format!("`preemptions` is `all` or a number, not `{}`", quote(other));
                self.error(
                    Diagnostic::error("E0108", word.span, message)
                        .label("unknown word")
                        .maybe_help(did_you_mean(other, ["all"])),
                );
                None
            }
        }
    }

    pub(super) fn limits(&mut self, node: &Node) -> Option<Limits> {
        let fields = self.fields(node, "`limits`", &["steps", "expiries"])?;
        Some(Limits {
            steps: fields.get("steps").and_then(|node| self.u64(node, "`steps`", 1)),
            expiries: fields.get("expiries").and_then(|node| self.u64(node, "`expiries`", 1)),
        })
    }

    pub(super) fn stop(&mut self, node: &Node) -> Option<Sp<Stop>> {
        let stop = match self.variant(node, "way to stop", STOP)? {
            ("idle", _) => Stop::Idle,
            ("time", found) => Stop::Time(self.length(&found.args()[0], "the time")?),
            (_, found) => Stop::Expiries(self.u64(&found.args()[0], "the number", 1)?),
        };
        Some(Sp::new(stop, node.span))
    }
}

/// Stands for a machine that could not be read, so that the rest can be looked at.
pub(super) fn unknown_machine(span: Span) -> Machine {
    Machine {
        cpus: Sp::new(CPUS_MAX, span),
        preempt: Sp::new(Preempt::None, span),
        hz: Sp::new(250, span),
        tick: None,
        nohz: Sp::new(Nohz::Idle, span),
        high_res: Sp::new(true, span),
        timer_migration: Sp::new(true, span),
        memory: Sp::new(Memory::Sc, span),
        grace_period: None,
        span,
    }
}
