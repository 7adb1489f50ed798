//! What object strings and conditions mean in a world, and what locals point to.

use std::collections::BTreeMap;

use timerace_kernel::world::{
    self, ElemRef, FdRef, FieldIx, KeyRef, MapId, MapRef, ObjRef, Operand, Place, TypeIx, ValueRef,
};

use super::Lowering;
use super::body::{Scope, Who};
use crate::ast::{self, CmpOp, Cond, Key, ObjBase, ObjExpr, PathSeg, Value};
use crate::diag::{Diagnostic, quote};
use crate::span::{Sp, Span};

/// What a word is, as far as it is known without running anything.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Ty {
    /// Nothing was stored so far.
    Nothing,
    /// No pointer to a struct: a number, a file descriptor.
    Plain,
    /// A pointer to an object or a value of this type.
    Pointer(TypeIx),
    /// A pointer to a map.
    Map,
    /// Different things at different times, or the member of some object.
    Unknown,
}

impl Ty {
    /// What a word is that was one, then the other.
    pub fn join(self, other: Ty) -> Ty {
        match (self, other) {
            (Ty::Nothing, other) => other,
            (this, Ty::Nothing) => this,
            (this, other) if this == other => this,
            _ => Ty::Unknown,
        }
    }
}

/// What is learnt from one body for others.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// What pointer variables that are NULL at first point to later.
    stored: BTreeMap<String, Ty>,
    /// The types of the values that callbacks are called with.
    values: BTreeMap<String, Ty>,
}

impl Facts {
    /// A variable gets a value.
    pub fn store(&mut self, var: &str, ty: Ty) {
        let known = self.stored.entry(var.to_string()).or_insert(Ty::Nothing);
        *known = known.join(ty);
    }

    /// A callback is called with values of this type.
    pub fn callback_value(&mut self, callback: &str, value: TypeIx) {
        let known = self.values.entry(callback.to_string()).or_insert(Ty::Nothing);
        *known = known.join(Ty::Pointer(value));
    }
}

impl Lowering<'_> {
    /// The map of an object's first part; of an outer map with a slot in a program: whatever is in the slot.
    fn map_ref(&mut self, scope: &Scope<'_>, name: &str, object: &ObjExpr) -> Option<MapRef> {
        let outer = self.map_named(name, object.base.span)?;
        if !self.world.maps[outer.index()].kind.is_outer() || object.keys.len() < 2 {
            return Some(MapRef::Map(outer));
        }
        let slot = object.keys[0];
        let Key::Int(slot) = slot.node else {
            let help = "name the slot by its number";
            return self.unsupported(slot.span, "`self` as the slot of an outer map", help);
        };
        match scope.who {
            Who::Prog(_) => Some(MapRef::Slot(outer, slot)),
            Who::Task => self.inner(name, slot, object).map(MapRef::Map),
        }
    }

    /// The map of its own that is meant by `outer[0]`.
    fn inner(&mut self, outer: &str, slot: i64, object: &ObjExpr) -> Option<MapId> {
        self.map_named(&format!("{outer}[{slot}]"), object.base.span)
    }

    /// A map as a whole: `m`, or `outer[0]` for an inner map.
    pub(super) fn whole_map(&mut self, object: &Sp<ObjExpr>) -> Option<MapId> {
        let ObjBase::Map(name) = &object.base.node else {
            return self.odd_object(object, "a map");
        };
        match object.keys.as_slice() {
            [] => self.map_named(name, object.base.span),
            [Sp { node: Key::Int(slot), .. }] => self.inner(name, *slot, object),
            _ => self.odd_object(object, "a map"),
        }
    }

    /// A map that a program walks: `m`, or of an outer map whatever is in the slot.
    pub(super) fn walked(&mut self, scope: &Scope<'_>, object: &Sp<ObjExpr>) -> Option<MapRef> {
        let ObjBase::Map(name) = &object.base.node else {
            return self.odd_object(object, "a map");
        };
        match (object.keys.as_slice(), scope.who) {
            ([Sp { node: Key::Int(slot), .. }], Who::Prog(_)) => {
                Some(MapRef::Slot(self.map_named(name, object.base.span)?, *slot))
            }
            _ => self.whole_map(object).map(MapRef::Map),
        }
    }

    /// An element, or the slot of an outer map.
    pub(super) fn elem(&mut self, scope: &Scope<'_>, object: &Sp<ObjExpr>) -> Option<ElemRef> {
        let name = match &object.base.node {
            ObjBase::Map(name) => name,
            ObjBase::Local(_) if !object.keys.is_empty() => {
                let help = "name the slot of the outer map: \"outer[0][7]\"";
                return self.unsupported(object.span, "a local that holds a map", help);
            }
            _ => return self.odd_object(object, "an element"),
        };
        let Some(key) = object.keys.last() else { return self.odd_object(object, "an element") };
        let key = match key.node {
            Key::Int(key) => KeyRef::Int(key),
            Key::Itself => KeyRef::Itself,
        };
        Some(ElemRef { map: self.map_ref(scope, name, object)?, key })
    }

    fn value_ref(&mut self, scope: &mut Scope<'_>, object: &Sp<ObjExpr>) -> Option<ValueRef> {
        match &object.base.node {
            ObjBase::Value => Some(ValueRef::Value),
            ObjBase::Local(name) if object.keys.is_empty() => {
                Some(ValueRef::Local(scope.body.local(name)))
            }
            _ => self.elem(scope, object).map(ValueRef::Elem),
        }
    }

    /// The type of the struct that an object's path starts in.
    fn base_type(&self, scope: &Scope<'_>, object: &ObjExpr) -> Ty {
        match &object.base.node {
            ObjBase::Value => match scope.who {
                Who::Prog(name) => self.facts.values.get(name).copied().unwrap_or(Ty::Unknown),
                Who::Task => Ty::Unknown,
            },
            ObjBase::Local(name) => scope.types.get(name).copied().unwrap_or(Ty::Unknown),
            ObjBase::Map(name) => match self.maps.get(name) {
                Some(id) => Ty::Pointer(self.world.maps[id.index()].value),
                None => Ty::Unknown,
            },
            _ => Ty::Unknown,
        }
    }

    /// The member that a path leads to. A pointer of which nothing is known will do if all types with such a member
    /// have it in the same place.
    fn member(&mut self, scope: &Scope<'_>, object: &Sp<ObjExpr>) -> Option<FieldIx> {
        if let Ty::Pointer(ty) = self.base_type(scope, object) {
            return match self.field(ty, &object.path) {
                Some(field) => Some(field),
                None => self.no_member(object),
            };
        }
        if let Some(field) = self.field_of_any(&object.path) {
            return Some(field);
        }
        let message = format!("what `{}` points to is not known", quote(object.base.text()));
        let help = "give each type of object a local of its own";
        let diag = Diagnostic::error("E0207", object.span, message);
        self.diags.push(diag.label("a member of which type?").help(help));
        None
    }

    fn no_member<T>(&mut self, object: &Sp<ObjExpr>) -> Option<T> {
        let shown = quote(&object.to_string());
        let message = format!("`{shown}` is no single member");
        self.diags.push(Diagnostic::error("E0207", object.span, message).label("no such member"));
        None
    }

    fn odd_object<T>(&mut self, object: &Sp<ObjExpr>, wanted: &str) -> Option<T> {
        let message = format!("`{}` is not {wanted}", quote(&object.to_string()));
        let label = format!("{wanted} is wanted");
        self.diags.push(Diagnostic::error("E0315", object.span, message).label(label));
        None
    }

    /// A timer or work queue.
    pub(super) fn special(
        &mut self,
        scope: &mut Scope<'_>,
        object: &Sp<ObjExpr>,
    ) -> Option<ObjRef> {
        let value = self.value_ref(scope, object)?;
        let byte = object.byte.as_ref().map(|byte| byte.node);
        if object.path.is_empty() {
            return Some(ObjRef { value, field: None, byte });
        }
        // A struct or array in its place is what some program tries that the verifier refuses.
        if let Ty::Pointer(ty) = self.base_type(scope, object)
            && self.field(ty, &object.path).is_none()
            && let Some(offset) = self.offset(ty, &object.path)
        {
            return Some(ObjRef { value, field: None, byte: Some(offset) });
        }
        let field = Some(self.member(scope, object)?);
        Some(ObjRef { value, field, byte })
    }

    /// Where the first member inside a struct or array lies that a path leads to.
    fn offset(&self, ty: TypeIx, path: &[Sp<PathSeg>]) -> Option<u32> {
        let name = super::types::path_name(path);
        let fields = &self.world.types.get(ty.index())?.fields;
        let inside = |field: &&world::FieldDef| {
            let rest = field.name.strip_prefix(&name);
            rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        fields.iter().find(inside).map(|field| field.offset)
    }

    /// The value type of the map that a timer belongs to.
    pub(super) fn value_of(&self, scope: &Scope<'_>, object: &ObjExpr) -> Ty {
        match &object.base.node {
            ObjBase::Map(name) => {
                // Values of an inner map look like those of the template, whose type the outer one has.
                let id = self.maps.get(name).map(|id| self.world.maps[id.index()].value);
                id.map_or(Ty::Unknown, Ty::Pointer)
            }
            _ => self.base_type(scope, object),
        }
    }

    /// What a raw step touches.
    pub(super) fn place(&mut self, scope: &mut Scope<'_>, object: &Sp<ObjExpr>) -> Option<Place> {
        if let Some(byte) = &object.byte {
            let help = "name a member";
            return self.unsupported(byte.span, "an access of a single byte", help);
        }
        match &object.base.node {
            ObjBase::Var(name) if object.is_bare() => {
                Some(Place::Var(self.var_named(name, object.base.span)?))
            }
            ObjBase::Local(name) if object.keys.is_empty() && !object.path.is_empty() => {
                let field = self.member(scope, object)?;
                Some(Place::Member(scope.body.local(name), field))
            }
            ObjBase::Value | ObjBase::Map(_) | ObjBase::Local(_) if !object.path.is_empty() => {
                let value = self.value_ref(scope, object)?;
                Some(Place::ValueMember(value, self.member(scope, object)?))
            }
            _ => self.odd_object(object, "shared memory"),
        }
    }

    /// What is in a place, for those who read it.
    pub(super) fn content(&self, object: &ObjExpr) -> Ty {
        match &object.base.node {
            ObjBase::Var(name) => match self.scenario.var(name) {
                Some(ast::Var::New(ty)) => {
                    self.types.get(ty.as_str()).map_or(Ty::Unknown, |ty| Ty::Pointer(*ty))
                }
                Some(ast::Var::NullPtr) => {
                    self.facts.stored.get(name).copied().unwrap_or(Ty::Nothing)
                }
                _ => Ty::Plain,
            },
            _ => Ty::Unknown,
        }
    }

    /// A place gets a value.
    pub(super) fn remember(&mut self, scope: &Scope<'_>, to: &ObjExpr, value: &Value) {
        if let (ObjBase::Var(var), true, Value::Local(local)) = (&to.base.node, to.is_bare(), value)
        {
            let ty = scope.types.get(local).copied().unwrap_or(Ty::Unknown);
            self.facts.store(var, ty);
        }
    }

    /// A file descriptor.
    pub(super) fn fd(&mut self, scope: &mut Scope<'_>, object: &Sp<ObjExpr>) -> Option<FdRef> {
        match &object.base.node {
            ObjBase::Local(name) if object.is_bare() => Some(FdRef::Local(scope.body.local(name))),
            ObjBase::Prog(name) => {
                self.prog_named(&Sp::new(name.clone(), object.base.span)).map(FdRef::Prog)
            }
            ObjBase::Map(_) => self.whole_map(object).map(FdRef::Map),
            _ => self.odd_object(object, "a file descriptor"),
        }
    }

    /// A value that is stored or compared.
    pub(super) fn operand_of(
        &mut self,
        scope: &mut Scope<'_>,
        value: &Sp<Value>,
    ) -> Option<Operand> {
        Some(match &value.node {
            Value::Int(n) => Operand::Int(*n),
            Value::Null => Operand::Null,
            Value::Local(name) => Operand::Local(scope.body.local(name)),
            Value::Map(object) => {
                let object = Sp::new(object.clone(), value.span);
                Operand::Map(MapRef::Map(self.whole_map(&object)?))
            }
        })
    }

    /// A condition of a body.
    pub(super) fn cond(&mut self, scope: &mut Scope<'_>, cond: &Cond) -> Option<world::Cond> {
        let all = |low: &mut Self, scope: &mut Scope<'_>, conds: &[Cond]| {
            let lowered: Vec<_> = conds.iter().map(|cond| low.cond(scope, cond)).collect();
            lowered.into_iter().collect::<Option<Vec<_>>>()
        };
        Some(match cond {
            Cond::Cmp { left, op, right } => {
                let (left, right) = (self.side(scope, left), self.side(scope, right));
                world::Cond::Cmp(left?, cmp_op(*op), right?)
            }
            Cond::All(conds) => world::Cond::All(all(self, scope, conds)?),
            Cond::Any(conds) => world::Cond::Any(all(self, scope, conds)?),
        })
    }

    fn side(&mut self, scope: &mut Scope<'_>, side: &Sp<ast::Operand>) -> Option<Operand> {
        Some(match &side.node {
            ast::Operand::Int(n) => Operand::Int(*n),
            ast::Operand::Null => Operand::Null,
            ast::Operand::Object(object) => match &object.base.node {
                ObjBase::Local(name) if object.is_bare() => Operand::Local(scope.body.local(name)),
                ObjBase::Value if object.is_bare() => {
                    return self.unsupported(side.span, "a comparison of `value`", "");
                }
                _ => {
                    let object = Sp::new(object.clone(), side.span);
                    Operand::Place(self.place(scope, &object)?)
                }
            },
        })
    }

    /// A path in bpffs.
    pub(super) fn path(&mut self, path: &str) -> world::PathId {
        let known = self.world.paths.iter().position(|known| known == path);
        let at = known.unwrap_or_else(|| {
            self.world.paths.push(path.to_string());
            self.world.paths.len() - 1
        });
        world::PathId(at as u32)
    }

    /// A path that nothing else in the file names, for `pin(..)`.
    pub(super) fn own_path(&mut self, span: Span) -> world::PathId {
        let path = format!("/sys/fs/bpf/pin@{}", span.start);
        self.path(&path)
    }
}

pub(super) fn cmp_op(op: CmpOp) -> world::CmpOp {
    match op {
        CmpOp::Eq => world::CmpOp::Eq,
        CmpOp::Ne => world::CmpOp::Ne,
        CmpOp::Lt => world::CmpOp::Lt,
        CmpOp::Le => world::CmpOp::Le,
        CmpOp::Gt => world::CmpOp::Gt,
        CmpOp::Ge => world::CmpOp::Ge,
    }
}
