//! Where the members of structs lie, as a C compiler for x86-64 would place them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Map, Member, MemberKind, Named, PathSeg, PlainKind, Scenario, TypeDef};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::limits::{NESTING_MAX, TYPE_MAX_BYTES};
use crate::read::Names;
use crate::span::{Sp, Span};

/// A struct with offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Size in bytes, a multiple of `align`.
    pub size: u32,
    /// Alignment in bytes: 1, 2, 4 or 8.
    pub align: u32,
    /// The members in the order of the declaration.
    pub members: Vec<Slot>,
    /// Structs inside structs: 1 for one without any.
    depth: usize,
}

/// A member with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Offset in bytes from the start of the struct.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// What it is.
    pub kind: MemberKind,
}

/// Members of one kind in a struct, also inside other structs and arrays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Specials {
    /// How many there are.
    pub count: u64,
    /// Offset in bytes of the first one; 0 if there is none.
    pub offset: u32,
    /// The way to the first one: `timer`, `head.timer`, `slots[0].timer`.
    pub path: String,
    /// Whether the first one stands inside another struct or an array.
    pub nested: bool,
}

/// The layouts of all types of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layouts {
    by_name: BTreeMap<String, Layout>,
    /// The value of a map that declares none: one `bpf_timer timer`.
    default_value: Layout,
    member_names: BTreeSet<String>,
}

/// Why a path leads nowhere.
pub(crate) enum PathError<'p> {
    /// No such member; the names that there are.
    NoMember(&'p Sp<PathSeg>, Vec<String>),
    /// An index of something that is no array, or above its end.
    BadIndex(&'p Sp<PathSeg>),
    /// The type is not known.
    Unknown,
}

impl Layouts {
    /// The layouts of a scenario that the loader gave out.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Layouts::new(&scenario.types, &Names::default()).0
    }

    /// All layouts that can be computed. `declared` are names of types that may be missing in
    /// `types`, because they could not be read.
    pub(crate) fn new(types: &Named<TypeDef>, declared: &Names) -> (Self, Vec<Diagnostic>) {
        let index = types.iter().map(|(name, def)| (name.node.as_str(), def)).collect();
        let mut builder = Builder { declared, index, done: BTreeMap::new(), diags: Vec::new() };
        for (name, _) in types {
            builder.layout(name, &mut Vec::new());
        }
        let timer = PlainKind::BpfTimer;
        let (size, align) = timer.size_align();
        let kind = MemberKind::Plain(timer);
        let slot = Slot { name: "timer".to_string(), offset: 0, size, kind };
        let default_value = Layout { size, align, members: vec![slot], depth: 1 };
        let done = builder.done.into_iter();
        let by_name: BTreeMap<String, Layout> =
            done.filter_map(|(name, layout)| Some((name, layout?))).collect();
        let members = by_name.values().chain([&default_value]).flat_map(|layout| &layout.members);
        let member_names = members.map(|slot| slot.name.clone()).collect();
        (Layouts { by_name, default_value, member_names }, builder.diags)
    }

    /// The layout of a declared type.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Layout> {
        self.by_name.get(name)
    }

    /// The layout of a map's values; `None` for an outer map.
    #[must_use]
    pub fn of_value(&self, map: &Map) -> Option<&Layout> {
        match &map.value {
            Some(name) => self.get(name),
            None if map.kind.is_outer() => None,
            None => Some(&self.default_value),
        }
    }

    /// Whether some type has a member of that name.
    pub(crate) fn any_has(&self, member: &str) -> bool {
        self.member_names.contains(member)
    }

    /// All members of one kind, at any depth.
    #[must_use]
    pub fn specials(&self, layout: &Layout, kind: PlainKind) -> Specials {
        let mut found = Specials::default();
        for slot in &layout.members {
            let inner = self.specials_of(&slot.kind, kind);
            if inner.count > 0 && found.count == 0 {
                found.offset = slot.offset + inner.offset;
                found.path = format!("{}{}", slot.name, inner.path);
                found.nested = !matches!(slot.kind, MemberKind::Plain(_));
            }
            found.count += inner.count;
        }
        found
    }

    /// The same for one member; the path starts with `.` or `[0]`.
    fn specials_of(&self, member: &MemberKind, kind: PlainKind) -> Specials {
        match member {
            MemberKind::Plain(plain) => {
                Specials { count: u64::from(*plain == kind), ..Specials::default() }
            }
            MemberKind::Struct(name) => {
                let Some(layout) = self.get(name) else { return Specials::default() };
                let found = self.specials(layout, kind);
                Specials { path: format!(".{}", found.path), ..found }
            }
            MemberKind::Array { len, elem } => {
                let found = self.specials_of(&elem.kind, kind);
                let count = found.count.saturating_mul(u64::from(len.node));
                Specials { count, path: format!("[0]{}", found.path), ..found }
            }
        }
    }

    /// Offset and kind of the member that a path leads to. The path is not empty.
    pub(crate) fn follow<'p>(
        &self,
        layout: &Layout,
        path: &'p [Sp<PathSeg>],
    ) -> Result<(u32, MemberKind), PathError<'p>> {
        let mut offset = 0;
        let mut kind: Option<MemberKind> = None;
        for seg in path {
            let next = match (&seg.node, kind) {
                (PathSeg::Member(name), current) => {
                    let layout = match &current {
                        None => Some(layout),
                        Some(MemberKind::Struct(name)) => {
                            Some(self.get(name).ok_or(PathError::Unknown)?)
                        }
                        Some(_) => None,
                    };
                    let slots = layout.map_or(&[][..], |layout| &layout.members);
                    let Some(slot) = slots.iter().find(|slot| slot.name == *name) else {
                        let names = slots.iter().map(|slot| slot.name.clone()).collect();
                        return Err(PathError::NoMember(seg, names));
                    };
                    offset += slot.offset;
                    slot.kind.clone()
                }
                (PathSeg::Index(index), Some(MemberKind::Array { len, elem })) => {
                    if *index >= len.node {
                        return Err(PathError::BadIndex(seg));
                    }
                    let (size, _) = self.size_align(&elem.kind).ok_or(PathError::Unknown)?;
                    // Inside a struct, whose size is bounded.
                    offset += size * index;
                    elem.kind
                }
                (PathSeg::Index(_), _) => return Err(PathError::BadIndex(seg)),
            };
            kind = Some(next);
        }
        kind.map(|kind| (offset, kind)).ok_or(PathError::Unknown)
    }

    /// Size and alignment of a member.
    fn size_align(&self, kind: &MemberKind) -> Option<(u32, u32)> {
        match kind {
            MemberKind::Plain(plain) => Some(plain.size_align()),
            MemberKind::Struct(name) => self.get(name).map(|layout| (layout.size, layout.align)),
            MemberKind::Array { len, elem } => {
                let (size, align) = self.size_align(&elem.kind)?;
                Some((size.checked_mul(len.node)?, align))
            }
        }
    }
}

struct Builder<'t> {
    declared: &'t Names,
    index: BTreeMap<&'t str, &'t TypeDef>,
    /// `None`: it has no layout, and that has been reported.
    done: BTreeMap<String, Option<Layout>>,
    diags: Vec<Diagnostic>,
}

impl<'t> Builder<'t> {
    /// `None`: it cannot be computed. `open` are the types that this one is inside of.
    fn layout(&mut self, name: &'t str, open: &mut Vec<&'t str>) -> Option<Layout> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let def = *self.index.get(name)?;
        open.push(name);
        let layout = self.place(def, open);
        open.pop();
        self.done.insert(name.to_string(), layout.clone());
        layout
    }

    fn place(&mut self, def: &'t TypeDef, open: &mut Vec<&'t str>) -> Option<Layout> {
        let mut layout = Layout { size: 0, align: 1, members: Vec::new(), depth: 1 };
        let mut end: u64 = 0;
        for member in &def.members {
            let (size, align) = self.measure(member, open, &mut layout.depth)?;
            let natural = end.next_multiple_of(align);
            let offset = match &member.offset {
                None => natural,
                Some(forced) if u64::from(forced.node) >= end => u64::from(forced.node),
                Some(forced) => {
                    let message = format!("member `{}` overlaps the one before", member.name.node);
                    self.diags.push(
                        Diagnostic::error("E0115", forced.span, message)
                            .label(format!("the one before ends at {end}")),
                    );
                    return None;
                }
            };
            end = offset + size;
            if end > u64::from(TYPE_MAX_BYTES) {
                self.too_large(member.span);
                return None;
            }
            let narrow = |bytes: u64| u32::try_from(bytes).ok();
            layout.align = layout.align.max(narrow(align)?);
            layout.members.push(Slot {
                name: member.name.node.clone(),
                offset: narrow(offset)?,
                size: narrow(size)?,
                kind: member.kind.clone(),
            });
        }
        layout.size = u32::try_from(end.next_multiple_of(u64::from(layout.align))).ok()?;
        Some(layout)
    }

    fn too_large(&mut self, span: Span) {
        let message = format!("a struct has at most {TYPE_MAX_BYTES} bytes");
        self.diags.push(Diagnostic::error("E0115", span, message).label("ends behind that"));
    }

    /// Size and alignment of a member; raises `depth` to what it needs.
    fn measure(
        &mut self,
        member: &'t Member,
        open: &mut Vec<&'t str>,
        depth: &mut usize,
    ) -> Option<(u64, u64)> {
        match &member.kind {
            MemberKind::Plain(plain) => {
                let (size, align) = plain.size_align();
                Some((u64::from(size), u64::from(align)))
            }
            MemberKind::Array { len, elem } => {
                let (size, align) = self.measure(elem, open, depth)?;
                let total = size.saturating_mul(u64::from(len.node));
                if total > u64::from(TYPE_MAX_BYTES) {
                    self.too_large(member.span);
                    return None;
                }
                Some((total, align))
            }
            MemberKind::Struct(name) => {
                if open.contains(&name.node.as_str()) || open.len() > NESTING_MAX {
                    self.endless(name, open);
                    return None;
                }
                let inner = self.layout(&name.node, open);
                let Some(inner) = inner else {
                    self.unknown(name);
                    return None;
                };
                *depth = (*depth).max(inner.depth + 1);
                if *depth > NESTING_MAX {
                    self.endless(name, &[]);
                    return None;
                }
                Some((u64::from(inner.size), u64::from(inner.align)))
            }
        }
    }

    fn unknown(&mut self, name: &Sp<String>) {
        if !self.declared.contains(name) && !self.index.contains_key(name.node.as_str()) {
            self.diags.push(unknown_type(name, self.declared.words()));
        }
    }

    fn endless(&mut self, name: &Sp<String>, open: &[&str]) {
        let diag = match open.contains(&name.node.as_str()) {
            true => {
                let message = format!("type `{}` contains itself", quote(name));
                Diagnostic::error("E0214", name.span, message)
                    .label("so it would have no end")
                    .help("a pointer to it is `ptr(\"name\")`")
            }
            false => {
                let message = format!("structs are nested more than {NESTING_MAX} levels deep");
                Diagnostic::error("E0105", name.span, message).label("too deep")
            }
        };
        self.diags.push(diag);
    }
}

/// The message about a type that is not declared.
pub(crate) fn unknown_type<'a>(
    name: &Sp<String>,
    known: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let message = format!("type \"{}\" is not declared", quote(name));
    let help = did_you_mean(name, known).unwrap_or_else(|| {
        format!("declare it: types: {{ \"{}\": [ int(\"counter\") ] }}", quote(name))
    });
    Diagnostic::error("E0206", name.span, message).label("no such type").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(types: &str) -> Result<Scenario, Vec<Diagnostic>> {
        let source = format!("(schema: 1, name: \"t\", machine: (cpus: 1), types: {{ {types} }})");
        crate::load::parse(&source, &[])
    }

    fn check(types: &str, size: u32, offsets: &[u32]) {
        let scenario = scenario(types).unwrap();
        let layouts = Layouts::of(&scenario);
        let layout = layouts.get("t").unwrap();
        let found: Vec<u32> = layout.members.iter().map(|slot| slot.offset).collect();
        assert_eq!((layout.size, &found[..]), (size, offsets), "{types}");
    }

    #[test]
    fn members_lie_where_c_puts_them() {
        check(r#""t": [ int("counter"), bpf_timer("timer") ]"#, 24, &[0, 8]);
        check(r#""t": [ char("a"), short("b"), char("c"), long("d") ]"#, 16, &[0, 2, 4, 8]);
        check(r#""t": [ bpf_spin_lock("l"), u8("x") ]"#, 8, &[0, 4]);
        check(r#""t": [ array("a", 3, u16("x")), u32("b") ]"#, 12, &[0, 8]);
        check(r#""in": [ u8("a"), u64("b") ], "t": [ u8("x"), member("i", "in") ]"#, 24, &[0, 8]);
        check(
            r#""t": [ u32("a"), offset(12, u8("b")), offset(20, bpf_timer("t")) ]"#,
            40,
            &[0, 12, 20],
        );
    }

    #[test]
    fn specials_are_found_at_any_depth() {
        let types = r#""in": [ u32("a"), bpf_timer("x") ],
                       "t": [ u64("n"), array("slots", 2, member("s", "in")) ]"#;
        let scenario = scenario(types).unwrap();
        let layouts = Layouts::of(&scenario);
        let found = layouts.specials(layouts.get("t").unwrap(), PlainKind::BpfTimer);
        let path = "slots[0].x".to_string();
        assert_eq!(found, Specials { count: 2, offset: 16, path, nested: true });
    }

    #[test]
    fn types_without_a_layout_are_refused() {
        let code = |types: &str| scenario(types).unwrap_err()[0].code;
        assert_eq!(code(r#""t": [ member("a", "t") ]"#), "E0214");
        assert_eq!(code(r#""t": [ member("a", "u") ], "u": [ member("b", "t") ]"#), "E0214");
        assert_eq!(code(r#""t": [ member("a", "nope") ]"#), "E0206");
        assert_eq!(code(r#""t": [ u64("a"), offset(4, u32("b")) ]"#), "E0115");
        assert_eq!(code(r#""t": [ array("a", 1000000, u64("x")) ]"#), "E0115");
    }

    #[test]
    fn long_chains_of_types_do_not_exhaust_the_stack() {
        let mut types = String::new();
        for n in 0..5000 {
            types += &format!("\"t{n}\": [ member(\"m\", \"t{}\") ], ", n + 1);
        }
        types += "\"t5000\": [ int(\"x\") ]";
        assert!(scenario(&types).unwrap_err().iter().any(|diag| diag.code == "E0105"));
    }
}
