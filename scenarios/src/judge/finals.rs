//! Conditions on the end of a run.

use timerace_core::Mem;
use timerace_kernel::World;
use timerace_kernel::world::{FieldIx, MapId, TypeIx, VarId, VarKind};

use crate::ast::{CmpOp, Cond, Key, ObjBase, ObjExpr, Operand, PathSeg};
use crate::span::Sp;

/// Values at the end of a run, from whoever knows how the machine keeps them. Pointers are words, NULL is 0. `None`:
/// there is no such value, because a pointer is NULL or an element absent.
pub trait FinalState {
    /// A shared variable; of a per-CPU one the sum over all CPUs.
    fn var(&self, mem: &Mem, var: VarId) -> Option<i64>;
    /// A member of the object that a variable points to.
    fn var_member(&self, mem: &Mem, var: VarId, field: FieldIx) -> Option<i64>;
    /// Whether a lookup of the key would find an element.
    fn elem_present(&self, mem: &Mem, map: MapId, key: i64) -> bool;
    /// A member of the element that a lookup of the key would find.
    fn elem_member(&self, mem: &Mem, map: MapId, key: i64, field: FieldIx) -> Option<i64>;
}

/// A side of a comparison.
#[derive(Clone, Debug)]
enum Side {
    Number(i64),
    Var(VarId),
    VarMember(VarId, FieldIx),
    Elem(MapId, i64),
    ElemMember(MapId, i64, FieldIx),
    /// Something that has no value at the end.
    Nothing,
}

#[derive(Clone, Debug)]
enum Node {
    Cmp(Side, CmpOp, Side),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// A condition on the end. What compares something that is not there is false.
#[derive(Clone)]
pub(super) struct FinalCond<'a> {
    node: Node,
    end: Option<&'a dyn FinalState>,
}

impl<'a> FinalCond<'a> {
    pub fn new(cond: &Cond, world: &World, end: Option<&'a dyn FinalState>) -> Self {
        FinalCond { node: node(cond, world), end }
    }

    pub fn holds(&self, mem: &Mem) -> bool {
        self.end.is_some_and(|end| holds(&self.node, mem, end))
    }
}

impl std::fmt::Debug for FinalCond<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.node.fmt(f)
    }
}

fn holds(node: &Node, mem: &Mem, end: &dyn FinalState) -> bool {
    match node {
        Node::Cmp(left, op, right) => {
            let sides = value(left, mem, end).zip(value(right, mem, end));
            sides.is_some_and(|(left, right)| op.holds(&left, &right))
        }
        Node::All(nodes) => nodes.iter().all(|node| holds(node, mem, end)),
        Node::Any(nodes) => nodes.iter().any(|node| holds(node, mem, end)),
    }
}

fn value(side: &Side, mem: &Mem, end: &dyn FinalState) -> Option<i64> {
    match side {
        Side::Number(n) => Some(*n),
        Side::Var(var) => end.var(mem, *var),
        Side::VarMember(var, field) => end.var_member(mem, *var, *field),
        Side::Elem(map, key) => Some(i64::from(end.elem_present(mem, *map, *key))),
        Side::ElemMember(map, key, field) => end.elem_member(mem, *map, *key, *field),
        Side::Nothing => None,
    }
}

fn node(cond: &Cond, world: &World) -> Node {
    let all = |conds: &[Cond]| conds.iter().map(|cond| node(cond, world)).collect();
    match cond {
        Cond::Cmp { left, op, right } => Node::Cmp(side(left, world), *op, side(right, world)),
        Cond::All(conds) => Node::All(all(conds)),
        Cond::Any(conds) => Node::Any(all(conds)),
    }
}

fn side(operand: &Operand, world: &World) -> Side {
    let object = match operand {
        Operand::Int(n) => return Side::Number(*n),
        Operand::Null => return Side::Number(0),
        Operand::Object(object) => object,
    };
    let found = match &object.base.node {
        ObjBase::Var(name) => variable(name, object, world),
        ObjBase::Map(_) => element(object, world),
        _ => None,
    };
    found.unwrap_or(Side::Nothing)
}

fn variable(name: &str, object: &ObjExpr, world: &World) -> Option<Side> {
    let at = world.vars.iter().position(|var| var.name == *name)?;
    let var = VarId(u32::try_from(at).ok()?);
    if object.path.is_empty() {
        return Some(Side::Var(var));
    }
    let of = match world.vars[at].kind {
        VarKind::New(of) => Some(of),
        _ => None,
    };
    Some(Side::VarMember(var, member(of, &object.path, world)?))
}

fn element(object: &ObjExpr, world: &World) -> Option<Side> {
    let (map, key) = named_element(object, world)?;
    if object.path.is_empty() {
        return Some(Side::Elem(map, key));
    }
    let of = world.maps.get(map.index())?.value;
    Some(Side::ElemMember(map, key, member(Some(of), &object.path, world)?))
}

/// The element that an object names by numbers.
pub(super) fn named_element(object: &ObjExpr, world: &World) -> Option<(MapId, i64)> {
    let (last, slots) = object.keys.split_last()?;
    let Key::Int(key) = last.node else { return None };
    Some((named_map(object, slots, world)?, key))
}

/// The map that an object names with these keys: `m`, `outer[0]`.
pub(super) fn named_map(object: &ObjExpr, keys: &[Sp<Key>], world: &World) -> Option<MapId> {
    let mut name = object.base.text().to_string();
    for key in keys {
        let Key::Int(key) = key.node else { return None };
        name += &format!("[{key}]");
    }
    let at = world.maps.iter().position(|map| map.name == name)?;
    Some(MapId(u32::try_from(at).ok()?))
}

/// A member of a type; of an unknown one if all that have such a member agree.
fn member(of: Option<TypeIx>, path: &[Sp<PathSeg>], world: &World) -> Option<FieldIx> {
    let name = crate::lower::path_name(path);
    let find = |of: usize| {
        let at = world.types.get(of)?.fields.iter().position(|field| field.name == name)?;
        Some(FieldIx(u32::try_from(at).ok()?))
    };
    if let Some(of) = of {
        return find(of.index());
    }
    let mut found = (0..world.types.len()).filter_map(find);
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}
