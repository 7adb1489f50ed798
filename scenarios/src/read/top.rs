//! The whole file.

use std::collections::BTreeMap;

use super::Reader;
use super::fields::Fields;
use super::setup::unknown_machine;
use crate::ast::{Named, Scenario, Stop, Timing};
use crate::diag::{Diagnostic, quote};
use crate::golden::DIGITS;
use crate::span::{Sp, Span};
use crate::syntax::{Args, Kind, Node};
use crate::upgrade;

pub(super) const FIELDS: &[&str] = &[
    "schema", "name", "refs", "use", "kernel", "machine", "timing", "params", "types", "vars",
    "maps", "progs", "memcgs", "tasks", "cpus", "faults", "explore", "limits", "stop", "expect",
    "golden",
];

/// What a fragment may have: what has names, and events.
const FRAGMENT_FIELDS: &[&str] =
    &["schema", "use", "params", "types", "vars", "maps", "progs", "memcgs", "tasks", "cpus"];

/// The word in front of a file, and what is said about another one.
pub(super) struct TopForm {
    name: &'static str,
    /// Whether `( .. )` alone will do.
    name_may_lack: bool,
    what: &'static str,
    help: &'static str,
}

impl TopForm {
    const SCENARIO: TopForm = TopForm {
        name: "Scenario",
        name_may_lack: true,
        what: "scenario",
        help: "a scenario starts with `Scenario(`",
    };
    const FRAGMENT: TopForm = TopForm {
        name: "Fragment",
        name_may_lack: false,
        what: "fragment",
        help: "what scenarios have in common stands in a `Fragment( .. )`",
    };
    pub(super) const CONFIG: TopForm = TopForm {
        name: "Config",
        name_may_lack: false,
        what: "configuration",
        help: "a configuration starts with `Config(`",
    };
}

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

/// Reads a file with its fragments, or as much of them as can be read; messages are in the reader. The scenario is the
/// first of `trees`, which has at least one.
pub(crate) fn read(
    trees: &[Node],
    set: &[(String, String)],
) -> (Option<Scenario>, Declared, Reader) {
    let mut reader = Reader::default();
    let mut declared = Declared::default();
    let scenario = reader.scenario(&trees[0], &trees[1..], set, &mut declared);
    (scenario, declared, reader)
}

impl Reader {
    fn scenario(
        &mut self,
        root: &Node,
        fragments: &[Node],
        set: &[(String, String)],
        declared: &mut Declared,
    ) -> Option<Scenario> {
        let args = self.top(root, &TopForm::SCENARIO)?;
        // Before all else: a newer file may have anything in it.
        let schema = self.schema(root, args)?;
        let main = self.named_args(root, args, "the scenario", FIELDS)?;
        let mut files = vec![main];
        for fragment in fragments {
            let fields = self.fragment(fragment)?;
            files.push(fields);
        }
        let params = self.merged(&files, "params");
        let place = files[0].get("params").map_or(root.span, |node| node.span);
        let params = self.read_params(params, set, place);
        let fields = &files[0];
        let machine = fields.require(self, "machine", "(cpus: 2)");
        let machine = machine.and_then(|node| self.machine(node));
        declared.cpus_known = machine.is_some();
        let name = fields.require(self, "name", "\"my-race\"");
        let name = name.and_then(|node| self.scenario_name(node));
        let stop = fields.get("stop").and_then(|node| self.stop(node));
        let refs = fields
            .get("refs")
            .map(|node| self.each(node, "`refs`", |reader, item| reader.text(item, "a reference")));
        let kernel = fields.get("kernel").and_then(|node| self.kernel(node));
        let timing = fields.get("timing").and_then(|node| self.word(node, "kind of timing"));
        let types = self.named(&files, "types", "type", &mut declared.types, Self::type_def);
        let vars = self.named(&files, "vars", "variable", &mut declared.vars, |r, n, _| r.var(n));
        let maps = self.named(&files, "maps", "map", &mut declared.maps, Self::map);
        let progs = self.named(&files, "progs", "program", &mut declared.progs, Self::prog);
        let memcgs =
            self.named(&files, "memcgs", "memory cgroup", &mut declared.memcgs, Self::memcg);
        let tasks = self.named(&files, "tasks", "task", &mut declared.tasks, Self::task);
        let cpus = self.cpu_events(&files);
        let faults = fields
            .get("faults")
            .map(|node| self.each(node, "`faults`", |reader, item| reader.fault(item)));
        let explore = fields.get("explore").and_then(|node| self.explore(node));
        let limits = fields.get("limits").and_then(|node| self.limits(node));
        let expect = fields
            .get("expect")
            .map(|node| self.each(node, "`expect`", |reader, item| reader.expectation(item)));
        let golden = fields.get("golden").map(|node| self.golden(node));
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
            golden: golden.unwrap_or_default(),
            span: root.span,
        })
    }

    /// Digests by kernel.
    fn golden(&mut self, node: &Node) -> Vec<(Sp<String>, Sp<String>)> {
        let form = "{ \"v6.7\": \"0123456789abcdef\" }";
        let entries = self.entries(node, "`golden`", form).unwrap_or_default();
        let mut all: Vec<(Sp<String>, Sp<String>)> = Vec::new();
        for (key, value) in entries {
            let kernel = self.text(key, "a kernel");
            let digest = self.text(value, "a digest");
            let (Some(kernel), Some(digest)) = (kernel, digest) else { continue };
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if digest.len() != DIGITS || !digest.bytes().all(hex) {
                let message = format!("`{}` is no digest", quote(&digest));
                self.error(
                    Diagnostic::error("E0115", digest.span, message)
                        .label(format!("{DIGITS} hexadecimal digits are expected"))
                        .help("`timerace test --bless` writes digests"),
                );
            } else if let Some((first, _)) = all.iter().find(|(k, _)| k.node == kernel.node) {
                let first = first.span;
                self.twice(&kernel, first, "`golden`");
            } else {
                all.push((kernel, digest));
            }
        }
        all
    }

    /// What stands between the parentheses of `Scenario( .. )`.
    pub(super) fn top<'n>(&mut self, root: &'n Node, form: &TopForm) -> Option<&'n Args> {
        match &root.kind {
            Kind::Call { name: None, args } if form.name_may_lack => Some(args),
            Kind::Call { name: Some(name), args } if name.node == form.name => Some(args),
            Kind::Call { name: Some(name), .. } => {
                let message = format!("this is no {} but `{}`", form.what, quote(name));
                let help = match name.node.as_str() {
                    "Fragment" => "fragments are for `use: [..]` in a scenario",
                    _ => form.help,
                };
                let diag = Diagnostic::error("E0107", name.span, message);
                self.error(diag.label(format!("expected `{}`", form.name)).help(help));
                None
            }
            _ => {
                let (what, wanted) =
                    (format!("a {} file", form.what), format!("one `{}( .. )`", form.name));
                self.expected(root, &what, &wanted)
            }
        }
    }

    /// The version of the format; reports a file that this program cannot read.
    pub(super) fn schema(&mut self, root: &Node, args: &Args) -> Option<Sp<u32>> {
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
        let schema = self.int(node, "`schema`", 0..=i64::from(u32::MAX))?;
        let number = u32::try_from(schema.node).ok()?;
        if let Err(error) = upgrade::readable(number) {
            let diag = Diagnostic::error("E0102", schema.span, error.message);
            self.error(diag.label(error.label).help(error.help));
            return None;
        }
        Some(Sp::new(number, schema.span))
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

    /// The fields of a fragment.
    fn fragment<'n>(&mut self, root: &'n Node) -> Option<Fields<'n>> {
        let args = self.top(root, &TopForm::FRAGMENT)?;
        self.schema(root, args)?;
        self.named_args(root, args, "the fragment", FRAGMENT_FIELDS)
    }

    /// The entries of a section in all files. A name that is in two of them is a mistake: nothing is replaced.
    fn merged<'n>(&mut self, files: &[Fields<'n>], field: &str) -> Vec<(Sp<String>, &'n Node)> {
        let what = format!("`{field}`");
        let mut all: Vec<(Sp<String>, &Node)> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for fields in files {
            let Some(node) = fields.get(field) else { continue };
            for (name, node) in self.section(node, &what).unwrap_or_default() {
                if let Some(first) = seen.insert(name.node.clone(), name.span) {
                    let message = format!("`{}` stands in {what} of two files", quote(&name));
                    self.error(
                        Diagnostic::error("E0106", name.span, message)
                            .label("again here")
                            .also(first, "first here")
                            .note("a fragment adds to a scenario, it replaces nothing"),
                    );
                } else {
                    all.push((name, node));
                }
            }
        }
        all
    }

    /// A section `{ "name": item, .. }` and all its names.
    fn named<T>(
        &mut self,
        files: &[Fields<'_>],
        field: &str,
        what: &str,
        names: &mut Names,
        mut read: impl FnMut(&mut Self, &Node, &str) -> Option<T>,
    ) -> Named<T> {
        let mut items = Named::new();
        for (name, node) in self.merged(files, field) {
            names.push(name.clone());
            let label = format!("{what} \"{}\"", quote(&name));
            if let Some(item) = read(self, node, &label) {
                items.push((name, item));
            }
        }
        items
    }

    /// The events of each CPU: those of the scenario, then those of the fragments in their order.
    fn cpu_events(&mut self, files: &[Fields<'_>]) -> Vec<(Sp<u32>, Vec<Sp<crate::ast::Event>>)> {
        let mut cpus: Vec<(Sp<u32>, Vec<Sp<crate::ast::Event>>)> = Vec::new();
        for node in files.iter().filter_map(|fields| fields.get("cpus")) {
            let section = self.numbered(node, "`cpus`", 0..=i64::from(u32::MAX));
            for (number, node) in section.unwrap_or_default() {
                let events = self.events(node, &format!("the events of CPU {}", number.node));
                let Ok(cpu) = u32::try_from(number.node) else { continue };
                match cpus.iter_mut().find(|known| known.0.node == cpu) {
                    Some(known) => known.1.extend(events),
                    None => cpus.push((Sp::new(cpu, number.span), events)),
                }
            }
        }
        cpus
    }
}
