//! Raw steps and conditions: what of shared memory they may see, and what locals hold after them.

use super::bodies::{Resolver, Where, show};
use super::objects::Target;
use super::world::Ty;
use crate::ast::{Access, Cond, MemberKind, ObjBase, ObjExpr, Operand, PlainKind, Value, Var};
use crate::diag::{Diagnostic, quote};
use crate::span::Sp;

/// Which things a condition may see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sees {
    /// `if`, `assert`
    Locals,
    /// `wait_until`, `sleep_until`
    Shared,
    /// `final`
    End,
}

impl Resolver<'_> {
    pub(super) fn access(&mut self, access: &mut Access) {
        match access {
            Access::Read { into, from, .. } => {
                let ty = self.shared(from);
                self.set(into, ty);
            }
            Access::Write { to, value, .. } => {
                self.shared(to);
                self.value(value);
                self.store(to, value);
            }
            Access::FetchAdd { into, on, by } => {
                self.shared(on);
                self.value(by);
                self.set(into, Ty::Int);
            }
            Access::Xchg { into, on, value } => {
                let ty = self.shared(on);
                self.value(value);
                self.store(on, value);
                self.set(into, ty);
            }
            Access::Cmpxchg { into, on, old, new } => {
                let ty = self.shared(on);
                self.value(old);
                self.value(new);
                self.store(on, new);
                self.set(into, ty);
            }
        }
    }

    /// Remembers what a variable that was NULL may point to.
    fn store(&mut self, to: &ObjExpr, value: &Value) {
        let (ObjBase::Var(var), true, Value::Local(local)) = (&to.base.node, to.is_bare(), value)
        else {
            return;
        };
        let Some(ty) = self.locals.get(local).cloned() else { return };
        let joined = match self.world.stored.remove(var) {
            Some(before) => before.join(ty),
            None => ty,
        };
        self.world.stored.insert(var.clone(), joined);
    }

    /// A variable or member that a raw step touches, and what is in it.
    fn shared(&mut self, object: &mut Sp<ObjExpr>) -> Ty {
        let Some(target) = self.target(object) else { return Ty::Unknown };
        let shown = show(object);
        let diag = match target {
            Target::Var(name) => match self.world.vars.get(&name) {
                Some(var) if var.is_lock() => {
                    Diagnostic::error("E0309", object.span, format!("`{shown}` is a lock"))
                        .label("not for reading and writing")
                        .help(format!("write `lock(\"{shown}\")`"))
                }
                Some(Var::New(type_name)) => return Ty::Object(type_name.node.clone()),
                Some(Var::NullPtr) => {
                    return self.world.stored.get(&name).cloned().unwrap_or(Ty::Unknown);
                }
                _ => return Ty::Int,
            },
            Target::Member { kind, .. } => match self.member_type(object, kind) {
                Ok(ty) => return ty,
                Err(diag) => diag,
            },
            other => {
                let message = format!("`{shown}` is {}, no shared memory", other.describe());
                let diag = Diagnostic::error("E0315", object.span, message)
                    .label("a variable or a member is wanted");
                match other {
                    Target::Local(_) | Target::Element(_) => {
                        let arrow = if object.keys.is_empty() { "->" } else { "." };
                        diag.help(format!("name a member: \"{shown}{arrow}member\""))
                    }
                    _ => diag,
                }
            }
        };
        self.diag(diag);
        Ty::Unknown
    }

    // An error is rare, and goes to one place.
    #[allow(clippy::result_large_err)]
    fn member_type(
        &self,
        object: &Sp<ObjExpr>,
        kind: Option<MemberKind>,
    ) -> Result<Ty, Diagnostic> {
        match kind {
            None | Some(MemberKind::Plain(PlainKind::Ptr | PlainKind::Kptr)) => Ok(Ty::Unknown),
            Some(MemberKind::Plain(kind)) if kind.is_opaque() => {
                if self.is_excused() {
                    return Ok(Ty::Unknown);
                }
                let message = format!("a `{kind}` is not for reading and writing");
                Err(Diagnostic::error("E0308", object.span, message)
                    .label("only helpers and the kernel touch it")
                    .note("the verifier refuses such an access with EACCES"))
            }
            Some(MemberKind::Plain(_)) => Ok(Ty::Int),
            Some(_) => {
                let message = format!("`{}` is a struct or an array", show(object));
                Err(Diagnostic::error("E0315", object.span, message)
                    .label("a single number or pointer is wanted"))
            }
        }
    }

    /// Whether the file expects that the kernel refuses this program.
    pub(super) fn is_excused(&self) -> bool {
        matches!(&self.place, Where::Prog { name, .. } if self.world.excused_progs.contains(name))
    }

    /// A value: texts name locals.
    pub(super) fn value(&mut self, value: &mut Sp<Value>) {
        let Value::Map(object) = &value.node else { return };
        let name = object.base.text().to_string();
        if object.is_bare() && self.locals.contains_key(&name) {
            value.node = Value::Local(name);
            return;
        }
        let shown = quote(&name);
        let declared = &self.world.declared;
        let diag = if !object.is_bare() || declared.vars.contains(&name) {
            Diagnostic::error(
                "E0205",
                value.span,
                format!("`{}` is no local", quote(&object.to_string())),
            )
            .label("a step touches one shared thing")
            .help(format!(
                "read it first: read(\"r\", \"{}\"), then \"r\"",
                quote(&object.to_string())
            ))
        } else {
            let help = crate::diag::did_you_mean(&name, self.locals.keys().map(String::as_str));
            Diagnostic::error(
                "E0205",
                value.span,
                format!("local \"{shown}\" is not set before this"),
            )
            .label("no such local")
            .maybe_help(help)
        };
        self.diag(diag);
    }

    /// The condition of `final`.
    pub(super) fn final_cond(&mut self, cond: &mut Sp<Cond>) {
        self.cond(cond, Sees::End);
    }

    pub(super) fn cond(&mut self, cond: &mut Sp<Cond>, sees: Sees) {
        cond.node.for_each_operand_mut(&mut |operand| {
            let span = operand.span;
            let Operand::Object(object) = &mut operand.node else { return };
            let mut found = Sp::new(object.clone(), span);
            let target = self.target(&mut found);
            *object = found.node.clone();
            if let Some(target) = target {
                self.operand(&found, &target, sees);
            }
        });
    }

    fn operand(&mut self, object: &Sp<ObjExpr>, target: &Target, sees: Sees) {
        let fine = match target {
            Target::Local(_) => true,
            Target::Var(name) => {
                let lock = self.world.vars.get(name).is_some_and(Var::is_lock);
                sees != Sees::Locals && !lock
            }
            Target::Member { kind, .. } => {
                let opaque = matches!(kind, Some(MemberKind::Plain(plain)) if plain.is_opaque());
                sees != Sees::Locals && !opaque
            }
            Target::VarMember | Target::Element(_) => sees == Sees::End,
            _ => false,
        };
        if fine {
            return;
        }
        let shown = show(object);
        let message = format!("`{shown}` is {}", target.describe());
        let diag = Diagnostic::error("E0113", object.span, message);
        let diag = match sees {
            Sees::Locals => diag
                .label("`if` and `assert` see locals only")
                .help(format!("read it in a step before: read(\"r\", \"{shown}\"), then \"r\"")),
            Sees::Shared => diag.label("cannot be waited for"),
            Sees::End => diag.label("has no value at the end of the run"),
        };
        self.diag(diag);
    }
}
