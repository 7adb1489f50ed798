//! Struct layouts, with members of members flattened: `head.lock`, `list[2]`.

use timerace_kernel::world::{FieldDef, FieldIx, FieldKind, TypeDef, TypeIx};

use super::Lowering;
use crate::ast::{MemberKind, PathSeg, PlainKind};
use crate::diag::Diagnostic;
use crate::layout::Layout;
use crate::span::{Sp, Span};

/// Most members of a struct, those of arrays counted one by one: each becomes an object of its own.
const MEMBERS_MAX: usize = 16_384;

impl Lowering<'_> {
    /// All declared types.
    pub(super) fn declared_types(&mut self) {
        let scenario = self.scenario;
        for (name, def) in &scenario.types {
            let Some(layout) = self.layouts.get(name).cloned() else {
                let message = format!("type \"{}\" has no layout", crate::diag::quote(name));
                self.diags.push(Diagnostic::error("E0115", def.span, message).label("no layout"));
                continue;
            };
            let ix = self.add_type(name, &layout, def.span);
            self.types.insert(name, ix);
        }
    }

    fn add_type(&mut self, name: &str, layout: &Layout, span: Span) -> TypeIx {
        let mut fields = Vec::new();
        self.flatten(layout, 0, "", &mut fields);
        if fields.len() > MEMBERS_MAX {
            let message = format!("a struct has at most {MEMBERS_MAX} members");
            self.diags.push(Diagnostic::error("E0115", span, message).label("more than that"));
            fields.clear();
        }
        self.push_type(TypeDef { name: name.to_string(), size: layout.size, fields })
    }

    /// The struct of one `bpf_timer`, added when first asked for.
    pub(super) fn one_timer(&mut self) -> TypeIx {
        let def = TypeDef::one_timer();
        // A declared type that is the same serves as well.
        match self.world.types.iter().position(|known| *known == def) {
            Some(at) => TypeIx(at as u32),
            None => self.push_type(def),
        }
    }

    fn push_type(&mut self, def: TypeDef) -> TypeIx {
        let ix = TypeIx(self.world.types.len() as u32);
        for (field, at) in def.fields.iter().zip(0..) {
            self.fields.entry((ix, field.name.clone())).or_insert(FieldIx(at));
        }
        self.world.types.push(def);
        ix
    }

    /// Adds the members of a struct that lies at `base`; stops behind the limit.
    fn flatten(&self, layout: &Layout, base: u32, prefix: &str, out: &mut Vec<FieldDef>) {
        for slot in &layout.members {
            let name = match prefix {
                "" => slot.name.clone(),
                _ => format!("{prefix}.{}", slot.name),
            };
            self.flatten_member(&slot.kind, base + slot.offset, slot.size, &name, out);
        }
    }

    fn flatten_member(
        &self,
        kind: &MemberKind,
        offset: u32,
        size: u32,
        name: &str,
        out: &mut Vec<FieldDef>,
    ) {
        if out.len() > MEMBERS_MAX {
            return;
        }
        match kind {
            MemberKind::Plain(plain) => {
                let kind = field_kind(*plain);
                out.push(FieldDef { name: name.to_string(), offset, size, kind });
            }
            MemberKind::Struct(inner) => {
                if let Some(layout) = self.layouts.get(inner) {
                    self.flatten(layout, offset, name, out);
                }
            }
            MemberKind::Array { len, elem } => {
                let each = size / len.node.max(1);
                for at in 0..len.node {
                    let name = format!("{name}[{at}]");
                    self.flatten_member(&elem.kind, offset + at * each, each, &name, out);
                }
            }
        }
    }

    /// The member of a type that a path leads to.
    pub(super) fn field(&self, ty: TypeIx, path: &[Sp<PathSeg>]) -> Option<FieldIx> {
        self.fields.get(&(ty, path_name(path))).copied()
    }

    /// The member that a path leads to in every type that has it, if these agree.
    pub(super) fn field_of_any(&self, path: &[Sp<PathSeg>]) -> Option<FieldIx> {
        let name = path_name(path);
        let types = (0..self.world.types.len()).map(|at| TypeIx(at as u32));
        let mut found = types.filter_map(|ty| self.fields.get(&(ty, name.clone())));
        let first = found.next()?;
        found.all(|other| other == first).then_some(*first)
    }
}

/// A path as flattened members are called.
pub(crate) fn path_name(path: &[Sp<PathSeg>]) -> String {
    let mut name = String::new();
    for seg in path {
        match &seg.node {
            PathSeg::Member(member) if name.is_empty() => name.push_str(member),
            PathSeg::Member(member) => name += &format!(".{member}"),
            PathSeg::Index(at) => name += &format!("[{at}]"),
        }
    }
    name
}

fn field_kind(kind: PlainKind) -> FieldKind {
    match kind {
        PlainKind::Char | PlainKind::Short | PlainKind::Int | PlainKind::Long => FieldKind::Signed,
        PlainKind::U8 | PlainKind::U16 | PlainKind::U32 | PlainKind::U64 => FieldKind::Unsigned,
        PlainKind::Ptr => FieldKind::Ptr,
        PlainKind::Kptr => FieldKind::Kptr,
        PlainKind::BpfTimer => FieldKind::BpfTimer,
        PlainKind::BpfWq => FieldKind::BpfWq,
        PlainKind::BpfSpinLock => FieldKind::BpfSpinLock,
        PlainKind::RcuHead => FieldKind::RcuHead,
    }
}
