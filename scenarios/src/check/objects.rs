//! What an object string means in a body.

use super::bodies::{Resolver, Where};
use super::world::Ty;
use crate::ast::{Key, Map, MemberKind, ObjBase, ObjExpr, PathSeg};
use crate::diag::{Diagnostic, nearest, quote};
use crate::layout::PathError;
use crate::span::{Sp, Span};

/// What an object string means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// A map.
    Map(String),
    /// A slot of an outer map, which holds a map made after the template.
    Slot { template: Option<String> },
    /// An element of a map.
    Element(String),
    /// A byte of an element.
    Byte { map: String, at: u32 },
    /// A member of a map's value or of another object.
    Member { owner: Owner, kind: Option<MemberKind> },
    /// A local.
    Local(Ty),
    /// The key that the callback was called with.
    Key,
    /// A shared variable.
    Var(String),
    /// A member of the object behind a shared variable.
    VarMember,
    /// A program.
    Prog(String),
}

/// Where a member is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owner {
    /// In the value of this map.
    Value(String),
    /// In an object that some step allocates.
    Object,
    /// Somewhere.
    Unknown,
}

impl Target {
    /// For messages.
    pub fn describe(&self) -> String {
        match self {
            Target::Map(_) => "a map".into(),
            Target::Slot { .. } => "a slot of an outer map".into(),
            Target::Element(_) => "an element".into(),
            Target::Byte { .. } => "a byte of a value".into(),
            Target::Member { .. } | Target::VarMember => "a member".into(),
            Target::Local(Ty::Int) => "a local that holds a number".into(),
            Target::Local(Ty::Fd) => "a local that holds a file descriptor".into(),
            Target::Local(Ty::Object(name)) => format!("a pointer to a `{}`", quote(name)),
            Target::Local(Ty::Value(map)) => format!("a pointer to a value of \"{}\"", quote(map)),
            Target::Local(Ty::Map(_)) => "a pointer to a map".into(),
            Target::Local(Ty::Unknown) => "a local".into(),
            Target::Key => "a pointer to a key".into(),
            Target::Var(_) => "a shared variable".into(),
            Target::Prog(_) => "a program".into(),
        }
    }
}

impl Resolver<'_> {
    /// Looks up what an object means. `None`: it has been reported, or belongs to something that
    /// has.
    pub(super) fn target(&mut self, object: &mut Sp<ObjExpr>) -> Option<Target> {
        self.check_self(&object.node)?;
        let base = object.base.node.clone();
        match base {
            ObjBase::Value => {
                let ty = self.value_type(object)?;
                self.through_pointer(object, ty)
            }
            ObjBase::Key => {
                self.value_type(object)?;
                match object.path.first() {
                    None => Some(Target::Key),
                    Some(seg) => self.refuse(seg.span, "a key has no members", "not possible"),
                }
            }
            ObjBase::Name(name)
            | ObjBase::Map(name)
            | ObjBase::Local(name)
            | ObjBase::Var(name)
            | ObjBase::Prog(name) => self.named_target(object, &name),
        }
    }

    fn named_target(&mut self, object: &mut Sp<ObjExpr>, name: &str) -> Option<Target> {
        if let Some(ty) = self.locals.get(name).cloned() {
            object.node.base.node = ObjBase::Local(name.to_string());
            return self.through_pointer(object, ty);
        }
        if self.world.map(name).is_some() {
            object.node.base.node = ObjBase::Map(name.to_string());
            return self.in_map(object, name);
        }
        if self.world.vars.contains_key(name) {
            object.node.base.node = ObjBase::Var(name.to_string());
            return self.variable(object, name);
        }
        let fd = self.wants_fd && object.is_bare();
        if fd && self.world.declared.progs.contains(name) {
            object.node.base.node = ObjBase::Prog(name.to_string());
            return Some(Target::Prog(name.to_string()));
        }
        let declared = &self.world.declared;
        let broken = declared.maps.contains(name) || declared.vars.contains(name);
        if !broken {
            self.unknown_object(object, name);
        }
        None
    }

    /// `self`, `value` and `key` exist in callbacks only.
    fn check_self(&mut self, object: &ObjExpr) -> Option<()> {
        let itself = object.keys.iter().find(|key| key.node == Key::Itself).map(|key| key.span);
        let base = matches!(object.base.node, ObjBase::Value | ObjBase::Key);
        let span = itself.or(base.then_some(object.base.span));
        let (Some(span), false) = (span, self.place.is_callback()) else { return Some(()) };
        let word = if itself.is_some() { "self" } else { object.base.text() };
        let message = format!("`{word}` exists in callbacks only");
        self.diag(
            Diagnostic::error("E0307", span, message)
                .label(format!("this is {}", self.place.describe()))
                .note("a TIMER_CB, WQ_CB or FOR_EACH_CB program is called with its element's key and value"),
        );
        None
    }

    /// The type of `value`, which takes no keys.
    fn value_type(&mut self, object: &ObjExpr) -> Option<Ty> {
        if let Some(key) = object.keys.first() {
            let message = format!("`{}` is no map", object.base.text());
            return self.refuse(key.span, &message, "takes no key");
        }
        match &self.place {
            Where::Prog { name, .. } => Some(self.world.callback_value(name)),
            _ => Some(Ty::Unknown),
        }
    }

    fn refuse<T>(&mut self, span: Span, message: &str, label: &str) -> Option<T> {
        self.diag(Diagnostic::error("E0315", span, message).label(label));
        None
    }

    /// A local, `value`, or what they point to.
    fn through_pointer(&mut self, object: &mut Sp<ObjExpr>, ty: Ty) -> Option<Target> {
        let name = quote(object.base.text());
        if let Some(key) = object.keys.first().cloned() {
            return match ty {
                Ty::Map(template) if object.keys.len() == 1 => self.element(object, &template),
                Ty::Unknown => None,
                _ => {
                    let message = format!("`{name}` is {}, no map", Target::Local(ty).describe());
                    self.refuse(key.span, &message, "takes no key")
                }
            };
        }
        if let Some(byte) = &object.byte {
            return match (ty, object.path.is_empty()) {
                (Ty::Value(map), true) => Some(Target::Byte { map, at: byte.node }),
                (Ty::Unknown, _) => None,
                _ => {
                    let span = byte.span;
                    self.refuse(span, "only bytes of a map's value have numbers", "not possible")
                }
            };
        }
        if object.path.is_empty() {
            return Some(Target::Local(ty));
        }
        match ty {
            Ty::Object(type_name) => {
                let layout = self.world.layouts.get(&type_name).cloned();
                let what = format!("type \"{}\"", quote(&type_name));
                self.member(object, layout.as_ref(), Owner::Object, &what)
            }
            Ty::Value(map) => self.value_member(object, &map),
            Ty::Unknown => {
                self.member_of_some_type(object)?;
                Some(Target::Member { owner: Owner::Unknown, kind: None })
            }
            other => {
                let message = format!("`{name}` is {}", Target::Local(other.clone()).describe());
                let span = object.base.span;
                let mut diag = Diagnostic::error("E0315", span, message).label("no pointer");
                if other == Ty::Int {
                    diag = diag.note("in a task a lookup is a system call that copies the value");
                }
                self.diag(diag);
                None
            }
        }
    }

    /// A member of an object of unknown type: some type must have it.
    fn member_of_some_type(&mut self, object: &ObjExpr) -> Option<()> {
        let seg = object.path.first()?;
        let PathSeg::Member(name) = &seg.node else { return Some(()) };
        if self.world.layouts.any_has(name) || !self.world.types_complete {
            return Some(());
        }
        let message = format!("no type has a member `{}`", quote(name));
        self.diag(Diagnostic::error("E0207", seg.span, message).label("no such member"));
        None
    }

    /// A map, a slot, an element or a member of one.
    fn in_map(&mut self, object: &mut Sp<ObjExpr>, name: &str) -> Option<Target> {
        let map = self.world.map(name)?;
        let (outer, inner) = (map.kind.is_outer(), map.inner.clone());
        match object.keys.len() {
            0 => match object.path.first() {
                Some(seg) => {
                    let (span, shown) = (object.base.span.to(seg.span), quote(name));
                    let message = format!("`{shown}` is a map; its elements have members");
                    let diag = Diagnostic::error("E0315", span, message);
                    self.diag(diag.label("which element?").help(format!(
                        "write \"{shown}[0].{}\"",
                        match &seg.node {
                            PathSeg::Member(member) => quote(member),
                            PathSeg::Index(_) => "member".into(),
                        }
                    )));
                    None
                }
                None if object.byte.is_some() => self.refuse(
                    object.span,
                    "a map has no bytes; its elements do",
                    "which element?",
                ),
                None => Some(Target::Map(name.to_string())),
            },
            1 if outer => {
                let rest = object.path.first().map(|seg| seg.span);
                if let Some(span) = rest.or(object.byte.as_ref().map(|byte| byte.span)) {
                    let message = format!("a slot of \"{}\" holds a map", quote(name));
                    return self.refuse(span, &message, "a second key is missing before this");
                }
                self.check_keys(object, name);
                Some(Target::Slot { template: inner.map(|inner| inner.node) })
            }
            1 => self.element(object, name),
            _ if outer => {
                self.check_keys(object, name);
                let template = inner?.node;
                self.element(object, &template)
            }
            _ => {
                let span = object.keys[1].span;
                let message = format!("\"{}\" is no map of maps", quote(name));
                self.refuse(span, &message, "one key too many")
            }
        }
    }

    /// An element of `map`, or a part of it.
    fn element(&mut self, object: &mut Sp<ObjExpr>, map: &str) -> Option<Target> {
        self.check_keys(object, map);
        if let Some(byte) = &object.byte {
            if object.path.is_empty() {
                return Some(Target::Byte { map: map.to_string(), at: byte.node });
            }
            let span = byte.span;
            return self.refuse(span, "a member or a byte, not both", "leave one of them out");
        }
        if object.path.is_empty() {
            return Some(Target::Element(map.to_string()));
        }
        self.value_member(object, map)
    }

    fn value_member(&mut self, object: &mut Sp<ObjExpr>, map: &str) -> Option<Target> {
        let layout = self.world.map(map).and_then(|m| self.world.layouts.of_value(m)).cloned();
        let what = format!("the value of map \"{}\"", quote(map));
        self.member(object, layout.as_ref(), Owner::Value(map.to_string()), &what)
    }

    fn member(
        &mut self,
        object: &Sp<ObjExpr>,
        layout: Option<&crate::layout::Layout>,
        owner: Owner,
        what: &str,
    ) -> Option<Target> {
        // The type could not be read: reported elsewhere.
        let layout = layout?;
        let diag = match self.world.layouts.follow(layout, &object.path) {
            Ok((_, kind)) => return Some(Target::Member { owner, kind: Some(kind) }),
            Err(PathError::Unknown) => return None,
            Err(PathError::BadIndex(seg)) => {
                Diagnostic::error("E0207", seg.span, "there is no such array element")
                    .label("no array, or behind its end")
            }
            Err(PathError::NoMember(seg, names)) => {
                let name = match &seg.node {
                    PathSeg::Member(name) => name.clone(),
                    PathSeg::Index(index) => index.to_string(),
                };
                let message = match names.is_empty() {
                    true => format!("there is no member `{}` in a single value", quote(&name)),
                    false => format!("{what} has no member `{}`", quote(&name)),
                };
                let known = names.iter().map(String::as_str);
                let help = nearest(&name, known).map(|name| format!("did you mean `{name}`?"));
                let mut diag = Diagnostic::error("E0207", seg.span, message)
                    .label("no such member")
                    .maybe_help(help);
                if diag.help.is_none() && !names.is_empty() {
                    diag = diag.note(format!("members are {}", names.join(", ")));
                }
                diag
            }
        };
        self.diag(diag);
        None
    }

    /// A shared variable; at the end of a run also what it points to.
    fn variable(&mut self, object: &mut Sp<ObjExpr>, name: &str) -> Option<Target> {
        let shown = quote(name);
        if let Some(key) = object.keys.first() {
            let message = format!("`{shown}` is a variable, no map");
            return self.refuse(key.span, &message, "takes no key");
        }
        if object.byte.is_some() {
            return self.refuse(object.span, "only bytes of a map's value have numbers", "no map");
        }
        if object.path.is_empty() {
            return Some(Target::Var(name.to_string()));
        }
        let pointer = self.world.vars.get(name).is_some_and(crate::ast::Var::is_pointer);
        if self.place == Where::End && pointer {
            let ty = match self.world.vars.get(name) {
                Some(crate::ast::Var::New(type_name)) => Ty::Object(type_name.node.clone()),
                _ => self.world.stored.get(name).cloned().unwrap_or(Ty::Unknown),
            };
            self.through_pointer(object, ty)?;
            return Some(Target::VarMember);
        }
        let message = format!("`{shown}` is a shared variable, no local");
        let example = if pointer { &shown } else { "slot" };
        self.diag(
            Diagnostic::error("E0315", object.base.span, message)
                .label("members are reached through a local")
                .help(format!("read it first: read(\"p\", \"{example}\"), then \"p->member\"")),
        );
        None
    }

    /// Keys must fit into the key of their map.
    fn check_keys(&mut self, object: &ObjExpr, map: &str) {
        let Some(map) = self.world.map(map) else { return };
        let key = object.keys.last().copied();
        let Some(Sp { node: Key::Int(number), span }) = key else { return };
        if key_fits(number, map) {
            return;
        }
        let message = format!("key {number} does not fit into {} bytes", map.key_size.node);
        let note = "`key_size` of a map is 4 unless it says otherwise";
        self.diag(Diagnostic::error("E0115", span, message).label("out of range").note(note));
    }

    fn unknown_object(&mut self, object: &Sp<ObjExpr>, name: &str) {
        let span = object.base.span;
        let shown = quote(name);
        let declared = &self.world.declared;
        let keyed = !object.keys.is_empty();
        let (code, what, candidates): (_, _, Vec<&Sp<String>>) = if keyed || self.wants_map {
            ("E0211", "map", declared.maps.iter().collect())
        } else if !object.path.is_empty() {
            ("E0205", "local", Vec::new())
        } else if self.wants_fd {
            let fds = declared.maps.iter().chain(declared.progs.iter());
            ("E0212", "file descriptor", fds.collect())
        } else {
            ("E0204", "variable", declared.vars.iter().collect())
        };
        let locals = self.locals.keys().map(String::as_str);
        let names = candidates.iter().map(|name| name.node.as_str());
        let near = match keyed {
            true => nearest(name, names).map(str::to_string),
            false => nearest(name, names.chain(locals)).map(str::to_string),
        };
        let message = match what {
            "map" => format!("map \"{shown}\" is not declared"),
            "file descriptor" => format!("nothing here is called \"{shown}\""),
            "local" => format!("local \"{shown}\" is not set before this"),
            _ => format!("no local or variable is called \"{shown}\""),
        };
        let mut diag = Diagnostic::error(code, span, message).label(format!("no such {what}"));
        if let Some(near) = &near {
            let text = object.to_string();
            let rest = text.get(name.len()..).unwrap_or_default();
            diag = diag.label(format!("did you mean \"{}{}\"?", quote(near), quote(rest)));
        }
        if let Some(known) = candidates.iter().find(|known| Some(&known.node) == near.as_ref()) {
            diag = diag.also(known.span, format!("the {what} is declared here"));
        }
        if let Some(number) = crate::text::errno::number(name) {
            diag = diag.help(format!("a call that fails gives -{number}"));
        }
        if near.is_none() && what == "local" {
            diag = diag.help(format!(
                "bind it first: let(\"{shown}\", bpf_map_lookup_elem(\"map[key]\"))"
            ));
        }
        self.diag(diag);
    }
}

/// Whether a number is a possible key of a map.
pub(super) fn key_fits(number: i64, map: &Map) -> bool {
    let bits = map.key_size.node.saturating_mul(8);
    // Read as signed or as unsigned: C programs do both.
    bits >= 64 || (number >= -(1_i64 << (bits - 1)) && number < (1_i64 << bits))
}
