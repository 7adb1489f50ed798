//! Types, variables, maps, memory cgroups.

use std::collections::BTreeMap;

use super::Reader;
use super::forms::{Form, alone, args};
use crate::ast::names::Word;
use crate::ast::{Init, Map, MapKind, Member, MemberKind, Memcg, PlainKind, TypeDef, Var};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::limits::{KEY_MAX_BYTES, TYPE_MAX_BYTES};
use crate::span::{Sp, Span};
use crate::syntax::{Args, Kind, Node};

pub(super) const VARS: &[Form] = &[
    args("int", 1, 1, "int(0)"),
    args("per_cpu", 1, 1, "per_cpu(0)"),
    args("refcount", 1, 1, "refcount(1)"),
    args("new", 1, 1, "new(\"type\")"),
    args("ptr", 1, 1, "ptr(NULL)"),
    alone("raw_spinlock"),
    alone("spinlock"),
    alone("mutex"),
];

pub(super) const INIT: &[Form] =
    &[alone("present"), alone("initialised"), args("armed", 2, 2, "armed(\"10us\", \"cb\")")];

pub(super) const MAP: &[&str] =
    &["max_entries", "flags", "key_size", "value", "inner", "memcg", "init"];

/// The forms of members; the plain ones come from their enum.
fn member_forms() -> Vec<Form> {
    let plain = PlainKind::ALL.iter().map(|kind| args(kind.word(), 1, 1, "int(\"name\")"));
    let mut forms: Vec<Form> = plain.collect();
    forms.push(args("member", 2, 2, "member(\"name\", \"type\")"));
    forms.push(args("array", 3, 3, "array(\"name\", 4, int(\"item\"))"));
    forms.push(args("offset", 2, 2, "offset(8, bpf_timer(\"timer\"))"));
    forms
}

impl Reader {
    pub(super) fn type_def(&mut self, node: &Node, what: &str) -> Option<TypeDef> {
        let items = self.list(node, what)?;
        let mut members: Vec<Member> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut complete = true;
        for item in items {
            if self.is_full() {
                return None;
            }
            let Some(member) = self.member(item) else {
                complete = false;
                continue;
            };
            if let Some(first) = seen.insert(member.name.node.clone(), member.name.span) {
                let message = format!("member `{}` stands twice in {what}", quote(&member.name));
                self.error(
                    Diagnostic::error("E0106", member.name.span, message)
                        .label("again here")
                        .also(first, "first here"),
                );
                continue;
            }
            members.push(member);
        }
        if items.is_empty() {
            let message = format!("{what} has no members");
            self.error(Diagnostic::error("E0104", node.span, message).label("an empty list"));
        }
        // Half a type would give wrong messages about the members that are missing.
        complete.then_some(TypeDef { members, span: node.span })
    }

    fn member(&mut self, node: &Node) -> Option<Member> {
        let (form, found) = self.variant(node, "member", &member_forms())?;
        let args = found.args();
        if form == "offset" {
            let limit = i64::from(TYPE_MAX_BYTES);
            let offset = self.int(&args[0], "the offset", 0..=limit);
            let member = self.member(&args[1])?;
            let offset = offset?;
            let offset = Sp::new(u32::try_from(offset.node).ok()?, offset.span);
            return Some(Member { offset: Some(offset), span: node.span, ..member });
        }
        let name = self.text(&args[0], "the name of a member")?;
        let named = self.identifier_shape(&name);
        let kind = match form {
            "member" => MemberKind::Struct(self.name(&args[1], "a type")?),
            "array" => {
                let len = self.int(&args[1], "the length", 1..=i64::from(TYPE_MAX_BYTES));
                let elem = self.member(&args[2])?;
                if let Some(offset) = &elem.offset {
                    let message = "elements of an array follow each other";
                    self.error(
                        Diagnostic::error("E0109", offset.span, message)
                            .label("no offset is possible here")
                            .help("write `offset(n, array(..))`"),
                    );
                    return None;
                }
                let len = len?;
                let len = Sp::new(u32::try_from(len.node).ok()?, len.span);
                MemberKind::Array { len, elem: Box::new(elem) }
            }
            plain => MemberKind::Plain(PlainKind::from_word(plain)?),
        };
        named.then_some(Member { name, kind, offset: None, span: node.span })
    }

    /// Members may be called `value` or `key`: they always stand behind an object.
    fn identifier_shape(&mut self, name: &Sp<String>) -> bool {
        matches!(name.node.as_str(), "value" | "key") || self.identifier(name, "types")
    }

    pub(super) fn var(&mut self, node: &Node) -> Option<Sp<Var>> {
        let (form, found) = self.variant(node, "kind of variable", VARS)?;
        let arg = found.args().first();
        let mut number = |low: i64| {
            let node = arg?;
            self.int(node, "the first value", low..=i64::MAX).map(|value| value.node)
        };
        let var = match form {
            "int" => Var::Int(number(i64::MIN)?),
            "per_cpu" => Var::PerCpu(number(i64::MIN)?),
            "refcount" => Var::Refcount(number(0)?),
            "new" => Var::New(self.name(arg?, "a type")?),
            "ptr" => match &arg?.kind {
                Kind::Name(word) if word == "NULL" => Var::NullPtr,
                _ => {
                    return self.expected(
                        arg?,
                        "a pointer at the start",
                        "`NULL` (or write `new(\"type\")`)",
                    );
                }
            },
            "raw_spinlock" => Var::RawSpinlock,
            "spinlock" => Var::Spinlock,
            _ => Var::Mutex,
        };
        Some(Sp::new(var, node.span))
    }

    pub(super) fn map(&mut self, node: &Node, what: &str) -> Option<Map> {
        let (kind, args) = self.map_kind(node)?;
        let fields = self.named_args(node, args, what, MAP)?;
        let entries = fields.require(self, "max_entries", "1");
        let max_entries = entries.and_then(|node| self.u32(node, "`max_entries`", 1));
        let key_size = fields.get("key_size").and_then(|node| {
            let size = self.int(node, "`key_size`", 1..=i64::from(KEY_MAX_BYTES))?;
            u32::try_from(size.node).ok().map(|number| Sp::new(number, size.span))
        });
        let flags = fields.get("flags").map(|node| self.word_list(node, "map flag"));
        let value = fields.get("value").and_then(|node| self.name(node, "a type"));
        let inner = fields.get("inner").and_then(|node| self.name(node, "a map"));
        let memcg = fields.get("memcg").and_then(|node| self.name(node, "a memory cgroup"));
        let init = fields.get("init").map(|node| self.inits(node)).unwrap_or_default();
        Some(Map {
            kind,
            max_entries: max_entries?,
            flags: flags.unwrap_or_default(),
            key_size: key_size.unwrap_or(Sp::new(4, kind.span)),
            value,
            inner,
            memcg,
            init,
            span: node.span,
        })
    }

    fn map_kind<'n>(&mut self, node: &'n Node) -> Option<(Sp<MapKind>, &'n Args)> {
        let words = MapKind::words();
        let (name, args) = match &node.kind {
            Kind::Call { name: Some(name), args } => (name.clone(), Some(args)),
            Kind::Name(name) => (Sp::new(name.clone(), node.span), None),
            _ => return self.expected(node, "a map", "written like `HASH(max_entries: 16)`"),
        };
        let short = name.strip_prefix("BPF_MAP_TYPE_").unwrap_or(&name);
        let Some(kind) = MapKind::from_word(short) else {
            let message = format!("unknown map type `{}`", quote(&name));
            self.error(
                Diagnostic::error("E0108", name.span, message)
                    .label("no such map type")
                    .maybe_help(did_you_mean(short, words.iter().copied()))
                    .note(format!("map types are {}", words.join(", "))),
            );
            return None;
        };
        let Some(args) = args else {
            let message = format!("`{}` needs arguments", quote(&name));
            let help = format!("write `{}(max_entries: 1)`", quote(&name));
            self.error(
                Diagnostic::error("E0107", name.span, message)
                    .label("arguments are missing")
                    .help(help),
            );
            return None;
        };
        Some((Sp::new(kind, name.span), args))
    }

    fn inits(&mut self, node: &Node) -> Vec<(Sp<i64>, Sp<Init>)> {
        let section = self.numbered(node, "`init`", i64::MIN..=i64::MAX).unwrap_or_default();
        let mut inits = Vec::new();
        for (key, node) in section {
            if let Some(init) = self.init(node) {
                inits.push((key, Sp::new(init, node.span)));
            }
        }
        inits
    }

    fn init(&mut self, node: &Node) -> Option<Init> {
        let (form, found) = self.variant(node, "state of an element", INIT)?;
        Some(match form {
            "present" => Init::Present,
            "initialised" => Init::Initialised,
            _ => {
                let args = found.args();
                let after = self.duration(&args[0], "the time to the expiry");
                let callback = self.name(&args[1], "a callback");
                Init::Armed { after: after?, callback: callback? }
            }
        })
    }

    pub(super) fn memcg(&mut self, node: &Node, what: &str) -> Option<Memcg> {
        let fields = self.fields(node, what, &["max_bytes"])?;
        let max_bytes = fields.require(self, "max_bytes", "1048576")?;
        let max_bytes = self.u64(max_bytes, "`max_bytes`", 0)?;
        Some(Memcg { max_bytes, span: node.span })
    }
}
