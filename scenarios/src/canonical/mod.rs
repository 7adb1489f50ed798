//! A scenario in its one spelling, and the digest of it.
//!
//! The text is a scenario file again: parameters are replaced by their values, defaults are left
//! out, sections are sorted by name, and durations have the largest unit without a fraction. Two
//! files that mean the same give the same text. What is only for people - comments, `refs`, the
//! declarations of parameters - is not in it.
//!
//! Each struct is taken apart field by field, so that a new field cannot be forgotten here.

mod acts;
mod expect;
mod steps;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::ast::{
    Explore, Init, KernelChoice, Limits, Machine, Map, Member, MemberKind, Memcg, Memory, Named,
    Nohz, Preempt, Preemptions, Scenario, Stop, Timing, TypeDef, Var,
};
use crate::span::Sp;
use crate::text::errno;

impl Scenario {
    /// The scenario in its one spelling; a scenario file that reads as the same scenario.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = Out::default();
        out.scenario(self);
        out.text
    }

    /// SHA-256 of [`Scenario::canonical`] in lower case hexadecimal: identifies the scenario.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hex = String::new();
        for byte in Sha256::digest(self.canonical().as_bytes()) {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// A text that is being written, indented.
#[derive(Default)]
struct Out {
    text: String,
    depth: usize,
}

impl Out {
    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// `head`, what `inner` writes, and `tail`.
    fn block(&mut self, head: &str, tail: &str, inner: impl FnOnce(&mut Self)) {
        self.line(head);
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        self.line(tail);
    }

    /// A section sorted by name; nothing if it is empty.
    fn section<T>(&mut self, name: &str, items: &Named<T>, write: impl Fn(&mut Self, &str, &T)) {
        if items.is_empty() {
            return;
        }
        let mut sorted: Vec<&(Sp<String>, T)> = items.iter().collect();
        sorted.sort_by(|a, b| a.0.node.cmp(&b.0.node));
        self.block(&format!("{name}: {{"), "},", |out| {
            for (key, item) in sorted {
                write(out, &text(key), item);
            }
        });
    }

    fn scenario(&mut self, scenario: &Scenario) {
        let Scenario {
            schema,
            name,
            refs: _,
            kernel,
            machine,
            timing,
            params: _,
            types,
            vars,
            maps,
            progs,
            memcgs,
            tasks,
            cpus,
            faults,
            explore,
            limits,
            stop,
            expect,
            golden: _,
            span: _,
        } = scenario;
        self.block("Scenario(", ")", |out| {
            out.line(&format!("schema: {},", schema.node));
            out.line(&format!("name: {},", text(name)));
            if let Some(kernel) = kernel {
                out.kernel(kernel);
            }
            out.machine(machine);
            if timing.node != Timing::Ignore {
                out.line(&format!("timing: {},", timing.node));
            }
            out.section("types", types, Out::type_def);
            out.section("vars", vars, |out, name, var| {
                out.line(&format!("{name}: {},", var_text(var)));
            });
            out.section("maps", maps, Out::map);
            out.section("progs", progs, Out::prog);
            out.section("memcgs", memcgs, |out, name, memcg| {
                let Memcg { max_bytes, span: _ } = memcg;
                out.line(&format!("{name}: (max_bytes: {}),", max_bytes.node));
            });
            out.section("tasks", tasks, Out::task);
            out.cpus(cpus);
            if !faults.is_empty() {
                out.block("faults: [", "],", |out| {
                    faults.iter().for_each(|fault| out.fault(fault));
                });
            }
            out.explore(explore);
            out.limits(limits);
            match &stop.node {
                Stop::Idle => {}
                Stop::Time(time) => out.line(&format!("stop: time(\"{}\"),", time.node)),
                Stop::Expiries(n) => out.line(&format!("stop: expiries({}),", n.node)),
            }
            if !expect.is_empty() {
                out.block("expect: [", "],", |out| {
                    expect.iter().for_each(|expectation| out.expectation(expectation));
                });
            }
        });
    }

    fn kernel(&mut self, kernel: &KernelChoice) {
        let KernelChoice { base, with, without } = kernel;
        let list = |name: &str, fixes: &[Sp<String>]| match fixes {
            [] => String::new(),
            _ => format!(", {name}: [{}]", sorted(fixes.iter().map(|fix| text(fix)))),
        };
        let (with, without) = (list("with", with), list("without", without));
        if with.is_empty() && without.is_empty() {
            self.line(&format!("kernel: \"{}\",", base.node));
        } else {
            self.line(&format!("kernel: Kernel(base: \"{}\"{with}{without}),", base.node));
        }
    }

    fn machine(&mut self, machine: &Machine) {
        let Machine {
            cpus,
            preempt,
            hz,
            tick,
            nohz,
            high_res,
            timer_migration,
            memory,
            grace_period,
            span: _,
        } = machine;
        let mut fields = vec![format!("cpus: {}", cpus.node)];
        if preempt.node != Preempt::None {
            fields.push(format!("preempt: {}", preempt.node));
        }
        if hz.node != 250 {
            fields.push(format!("hz: {}", hz.node));
        }
        if let Some(tick) = tick {
            fields.push(format!("tick: {}", tick.node));
        }
        if nohz.node != Nohz::Idle {
            fields.push(format!("nohz: {}", nohz.node));
        }
        if !high_res.node {
            fields.push("high_res: false".to_string());
        }
        if !timer_migration.node {
            fields.push("timer_migration: false".to_string());
        }
        if memory.node != Memory::Sc {
            fields.push(format!("memory: {}", memory.node));
        }
        if let Some(period) = grace_period {
            fields.push(format!("grace_period: \"{}\"", period.node));
        }
        self.line(&format!("machine: ({}),", fields.join(", ")));
    }

    fn type_def(&mut self, name: &str, def: &TypeDef) {
        let TypeDef { members, span: _ } = def;
        let members: Vec<String> = members.iter().map(member).collect();
        self.line(&format!("{name}: [{}],", members.join(", ")));
    }

    fn map(&mut self, name: &str, map: &Map) {
        let Map { kind, max_entries, flags, key_size, value, inner, memcg, init, span: _ } = map;
        let mut fields = vec![format!("max_entries: {}", max_entries.node)];
        if !flags.is_empty() {
            let flags = sorted(flags.iter().map(|flag| flag.node.to_string()));
            fields.push(format!("flags: [{flags}]"));
        }
        if key_size.node != 4 {
            fields.push(format!("key_size: {}", key_size.node));
        }
        for (field, name) in [("value", value), ("inner", inner), ("memcg", memcg)] {
            if let Some(name) = name {
                fields.push(format!("{field}: {}", text(name)));
            }
        }
        if !init.is_empty() {
            let mut entries: Vec<_> = init.iter().collect();
            entries.sort_by_key(|(key, _)| key.node);
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, init)| format!("{}: {}", key.node, init_text(init)))
                .collect();
            fields.push(format!("init: {{ {} }}", entries.join(", ")));
        }
        self.line(&format!("{name}: {}({}),", kind.node, fields.join(", ")));
    }

    fn explore(&mut self, explore: &Explore) {
        let Explore { policy, preemptions, irqs, max_schedules } = explore;
        let mut fields = Vec::new();
        if let Some(policy) = policy {
            fields.push(format!("policy: {}", policy.node));
        }
        match preemptions.map(|bound| bound.node) {
            None => {}
            Some(Preemptions::All) => fields.push("preemptions: all".to_string()),
            Some(Preemptions::AtMost(n)) => fields.push(format!("preemptions: {n}")),
        }
        if let Some(irqs) = irqs {
            fields.push(format!("irqs: {}", irqs.node));
        }
        if let Some(max) = max_schedules {
            fields.push(format!("max_schedules: {}", max.node));
        }
        if !fields.is_empty() {
            self.line(&format!("explore: ({}),", fields.join(", ")));
        }
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits { steps, expiries } = limits;
        let mut fields = Vec::new();
        if let Some(steps) = steps {
            fields.push(format!("steps: {}", steps.node));
        }
        if let Some(expiries) = expiries {
            fields.push(format!("expiries: {}", expiries.node));
        }
        if !fields.is_empty() {
            self.line(&format!("limits: ({}),", fields.join(", ")));
        }
    }
}

fn member(member: &Member) -> String {
    let Member { name, kind, offset, span: _ } = member;
    let name = text(name);
    let inner = match kind {
        MemberKind::Plain(plain) => format!("{plain}({name})"),
        MemberKind::Struct(type_name) => format!("member({name}, {})", text(type_name)),
        MemberKind::Array { len, elem } => {
            format!("array({name}, {}, {})", len.node, self::member(elem))
        }
    };
    match offset {
        Some(offset) => format!("offset({}, {inner})", offset.node),
        None => inner,
    }
}

fn var_text(var: &Var) -> String {
    match var {
        Var::Int(n) => format!("int({n})"),
        Var::PerCpu(n) => format!("per_cpu({n})"),
        Var::Refcount(n) => format!("refcount({n})"),
        Var::New(type_name) => format!("new({})", text(type_name)),
        Var::NullPtr => "ptr(NULL)".to_string(),
        Var::RawSpinlock => "raw_spinlock".to_string(),
        Var::Spinlock => "spinlock".to_string(),
        Var::Mutex => "mutex".to_string(),
    }
}

fn init_text(init: &Init) -> String {
    match init {
        Init::Present => "present".to_string(),
        Init::Initialised => "initialised".to_string(),
        Init::Armed { after, callback } => {
            format!("armed(\"{}\", {})", after.node, text(callback))
        }
    }
}

/// Words in their order, each once.
fn sorted(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    words.sort();
    words.dedup();
    words.join(", ")
}

/// A text with quotes.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// A return code; an errno by its name.
fn code(code: i64) -> String {
    match errno::name(code.saturating_neg()) {
        Some(name) if code < -1 => name.to_string(),
        _ => code.to_string(),
    }
}
