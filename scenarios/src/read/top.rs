//! The whole file.

use std::collections::{BTreeMap, BTreeSet};

use super::Reader;
use super::fields::Fields;
use super::setup::unknown_machine;
use crate::ast::{Named, Scenario, Stop, Timing};
use crate::diag::{Diagnostic, quote};
use crate::span::{Sp, Span};
use crate::syntax::{Args, Kind, Node};

const FIELDS: &[&str] = &[
    "schema", "name", "refs", "use", "kernel", "machine", "timing", "params", "types", "vars",
    "maps", "progs", "memcgs", "tasks", "cpus", "faults", "explore", "limits", "stop", "expect",
];

/// Newest version of the format that is read here.
const SCHEMA: i64 = 1;

/// The names of a section in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    list: Vec<Sp<String>>,
    index: BTreeMap<String, usize>,
}

impl Names {
    fn push(&mut self, name: Sp<String>) {
        self.index.insert(name.node.clone(), self.list.len());
        self.list.push(name);
    }

    /// The place of a declaration.
    pub fn get(&self, name: &str) -> Option<Span> {
        self.index.get(name).map(|index| self.list[*index].span)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sp<String>> {
        self.list.iter()
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|name| name.node.as_str())
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }
}

/// The names that a file declares, also those whose item could not be read: using such a name
/// is no second mistake.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    pub types: Names,
    pub vars: Names,
    pub maps: Names,
    pub progs: Names,
    pub memcgs: Names,
    pub tasks: Names,
    /// Whether the number of CPUs is known.
    pub cpus_known: bool,
}

/// Reads a file, or as much of it as can be read; messages are in the reader.
pub(crate) fn read(root: &Node, set: &[(String, String)]) -> (Option<Scenario>, Declared, Reader) {
    let mut reader = Reader {
        diags: Vec::new(),
        params: BTreeMap::new(),
        broken_params: BTreeSet::new(),
        used_params: BTreeSet::new(),
    };
    let mut declared = Declared::default();
    let scenario = reader.scenario(root, set, &mut declared);
    (scenario, declared, reader)
}

impl Reader {
    fn scenario(
        &mut self,
        root: &Node,
        set: &[(String, String)],
        declared: &mut Declared,
    ) -> Option<Scenario> {
        let args = self.top(root)?;
        // Before all else: a newer file may have anything in it.
        let schema = self.schema(root, args)?;
        let fields = self.named_args(root, args, "the scenario", FIELDS)?;
        let params = self.read_params(fields.get("params"), set, root.span);
        let machine = fields.require(self, "machine", "(cpus: 2)");
        let machine = machine.and_then(|node| self.machine(node));
        declared.cpus_known = machine.is_some();
        let name = fields.require(self, "name", "\"my-race\"");
        let name = name.and_then(|node| self.scenario_name(node));
        self.no_includes(&fields);
        let stop = fields.get("stop").and_then(|node| self.stop(node));
        let refs = fields
            .get("refs")
            .map(|node| self.each(node, "`refs`", |reader, item| reader.text(item, "a reference")));
        let kernel = fields.get("kernel").and_then(|node| self.kernel(node));
        let timing = fields.get("timing").and_then(|node| self.word(node, "kind of timing"));
        let types = self.named(&fields, "types", "type", &mut declared.types, Self::type_def);
        let vars = self.named(&fields, "vars", "variable", &mut declared.vars, |r, n, _| r.var(n));
        let maps = self.named(&fields, "maps", "map", &mut declared.maps, Self::map);
        let progs = self.named(&fields, "progs", "program", &mut declared.progs, Self::prog);
        let memcgs =
            self.named(&fields, "memcgs", "memory cgroup", &mut declared.memcgs, Self::memcg);
        let tasks = self.named(&fields, "tasks", "task", &mut declared.tasks, Self::task);
        let cpus = fields.get("cpus").map(|node| self.cpu_events(node)).unwrap_or_default();
        let faults = fields
            .get("faults")
            .map(|node| self.each(node, "`faults`", |reader, item| reader.fault(item)));
        let explore = fields.get("explore").and_then(|node| self.explore(node));
        let limits = fields.get("limits").and_then(|node| self.limits(node));
        let expect = fields
            .get("expect")
            .map(|node| self.each(node, "`expect`", |reader, item| reader.expectation(item)));
        Some(Scenario {
            schema,
            name: name.unwrap_or(Sp::new(String::new(), root.span)),
            refs: refs.unwrap_or_default(),
            kernel,
            machine: machine.unwrap_or_else(|| unknown_machine(root.span)),
            timing: timing.unwrap_or(Sp::new(Timing::Ignore, root.span)),
            params,
            types,
            vars,
            maps,
            progs,
            memcgs,
            tasks,
            cpus,
            faults: faults.unwrap_or_default(),
            explore: explore.unwrap_or_default(),
            limits: limits.unwrap_or_default(),
            stop: stop.unwrap_or(Sp::new(Stop::Idle, root.span)),
            expect: expect.unwrap_or_default(),
            span: root.span,
        })
    }

    /// What stands between the parentheses of `Scenario( .. )`.
    fn top<'n>(&mut self, root: &'n Node) -> Option<&'n Args> {
        match &root.kind {
            Kind::Call { name: None, args } => Some(args),
            Kind::Call { name: Some(name), args } if name.node == "Scenario" => Some(args),
            Kind::Call { name: Some(name), .. } => {
                let message = format!("this is no scenario but `{}`", quote(name));
                let help = match name.node.as_str() {
                    "Fragment" => "fragments are for `use: [..]` in a scenario",
                    _ => "a scenario starts with `Scenario(`",
                };
                let diag = Diagnostic::error("E0107", name.span, message);
                self.error(diag.label("expected `Scenario`").help(help));
                None
            }
            _ => self.expected(root, "a scenario file", "one `Scenario( .. )`"),
        }
    }

    fn schema(&mut self, root: &Node, args: &Args) -> Option<Sp<u32>> {
        let named: &[(Sp<String>, Node)] = match args {
            Args::Named(named) => named,
            Args::Positional(_) => &[],
        };
        let Some((_, node)) = named.iter().find(|(key, _)| key.node == "schema") else {
            let start = Span::new(root.span.start, root.span.start + 1);
            self.error(
                Diagnostic::error("E0102", start, "the file does not say its schema")
                    .label("`schema` is missing")
                    .help("add `schema: 1`"),
            );
            return None;
        };
        let schema = self.int(node, "`schema`", 1..=i64::from(u32::MAX))?;
        if schema.node > SCHEMA {
            let message =
                format!("this file has schema {}, this timerace reads {SCHEMA}", schema.node);
            self.error(
                Diagnostic::error("E0102", schema.span, message)
                    .label("newer than this program")
                    .help("use a newer timerace"),
            );
            return None;
        }
        u32::try_from(schema.node).ok().map(|number| Sp::new(number, schema.span))
    }

    fn scenario_name(&mut self, node: &Node) -> Option<Sp<String>> {
        let name = self.text(node, "the name of the scenario")?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.chars().all(fits) {
            return Some(name);
        }
        let message = format!("`{}` cannot be the name of a scenario", quote(&name));
        let lower: String =
            name.to_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
        self.error(
            Diagnostic::error("E0119", name.span, message)
                .label("only a-z, 0-9 and -")
                .help(format!("write \"{}\"", quote(&lower))),
        );
        None
    }

    fn no_includes(&mut self, fields: &Fields<'_>) {
        let Some(node) = fields.get("use") else { return };
        let list = self.list(node, "`use`").unwrap_or(&[]);
        if list.is_empty() {
            return;
        }
        self.error(
            Diagnostic::error("E0110", node.span, "`use` is not supported yet")
                .label("fragments are not read")
                .help("copy what the fragment declares into this file"),
        );
    }

    /// A section `{ "name": item, .. }` and all its names.
    fn named<T>(
        &mut self,
        fields: &Fields<'_>,
        field: &str,
        what: &str,
        names: &mut Names,
        mut read: impl FnMut(&mut Self, &Node, &str) -> Option<T>,
    ) -> Named<T> {
        let Some(node) = fields.get(field) else { return Named::new() };
        let section = self.section(node, &format!("`{field}`")).unwrap_or_default();
        let mut items = Named::new();
        for (name, node) in section {
            names.push(name.clone());
            let label = format!("{what} \"{}\"", quote(&name));
            if let Some(item) = read(self, node, &label) {
                items.push((name, item));
            }
        }
        items
    }

    fn cpu_events(&mut self, node: &Node) -> Vec<(Sp<u32>, Vec<Sp<crate::ast::Event>>)> {
        let section = self.numbered(node, "`cpus`", 0..=i64::from(u32::MAX)).unwrap_or_default();
        let mut cpus = Vec::new();
        for (number, node) in section {
            let events = self.events(node, &format!("the events of CPU {}", number.node));
            if let Ok(cpu) = u32::try_from(number.node) {
                cpus.push((Sp::new(cpu, number.span), events));
            }
        }
        cpus
    }
}
