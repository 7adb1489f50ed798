//! The argument of timer and work queue helpers.

use super::bodies::{Resolver, show};
use super::objects::{Owner, Target};
use super::world::Ty;
use crate::ast::{MemberKind, ObjExpr, PlainKind};
use crate::diag::{Diagnostic, quote};
use crate::span::Sp;

impl Resolver<'_> {
    /// The timer (or work queue) that a helper is called for; gives the map that it belongs to.
    pub(super) fn special(&mut self, object: &mut Sp<ObjExpr>, kind: PlainKind) -> Option<String> {
        self.wants_map = true;
        let target = self.target(object);
        self.wants_map = false;
        let (map, problem) = match target? {
            Target::Element(map) | Target::Local(Ty::Value(map)) => {
                let problem = self.has_special(object, &map, kind);
                (Some(map), problem)
            }
            Target::Local(Ty::Unknown) => return None,
            Target::Byte { map, at } => {
                let problem = self.byte_of_special(object, &map, at, kind);
                (Some(map), problem)
            }
            Target::Member { owner, kind: found } => {
                self.member_special(object, owner, found, kind)
            }
            other => {
                // Not even a program that the verifier refuses could be written like this.
                let message = format!("`{}` is {}", show(object), other.describe());
                let mut diag = Diagnostic::error("E0315", object.span, message)
                    .label(format!("a `{kind}` in a map's value is wanted"));
                if let Target::Map(_) = other {
                    diag = diag.help(format!("say which element: \"{}[0]\"", show(object)));
                }
                self.diag(diag);
                return None;
            }
        };
        if let Some(diag) = problem.filter(|_| !self.is_excused()) {
            self.diag(diag);
        }
        map
    }

    /// Whether the values of a map have such a member.
    fn has_special(&self, object: &Sp<ObjExpr>, map: &str, kind: PlainKind) -> Option<Diagnostic> {
        let declared = self.world.map(map)?;
        let layout = self.world.layouts.of_value(declared)?;
        if self.world.layouts.specials(layout, kind).count > 0 {
            return None;
        }
        let message = format!("values of map \"{}\" have no `{kind}`", quote(map));
        let mut diag = Diagnostic::error("E0312", object.span, message)
            .label(format!("there is no `{kind}` here"))
            .note("the verifier refuses the program: EACCES up to v6.2, EINVAL since v6.3");
        diag = match &declared.value {
            Some(value) => diag.also(value.span, "the type of its values").help(format!(
                "add {kind}(\"{}\") to \"{}\"",
                if kind == PlainKind::BpfTimer { "timer" } else { "work" },
                quote(value)
            )),
            None => diag.help("a map without `value` holds one bpf_timer; declare a type"),
        };
        Some(diag)
    }

    fn byte_of_special(
        &self,
        object: &Sp<ObjExpr>,
        map: &str,
        at: u32,
        kind: PlainKind,
    ) -> Option<Diagnostic> {
        let missing = self.has_special(object, map, kind);
        if missing.is_some() {
            return missing;
        }
        let layout = self.world.layouts.of_value(self.world.map(map)?)?;
        let found = self.world.layouts.specials(layout, kind);
        if found.offset == at {
            return None;
        }
        let span = object.byte.as_ref().map_or(object.span, |byte| byte.span);
        let message = format!("the `{kind}` of \"{}\" is not at byte {at}", quote(map));
        Some(
            Diagnostic::error("E0313", span, message)
                .label("wrong offset")
                .help(format!("`{}` is at byte {}", found.path, found.offset))
                .note("to see the kernel refuse it: ret([EINVAL], bpf_prog_load(..)) in a task"),
        )
    }

    fn member_special(
        &self,
        object: &Sp<ObjExpr>,
        owner: Owner,
        found: Option<MemberKind>,
        kind: PlainKind,
    ) -> (Option<String>, Option<Diagnostic>) {
        let map = match owner {
            Owner::Value(map) => Some(map),
            Owner::Unknown => return (None, None),
            Owner::Object => {
                let message = format!("a `{kind}` must be in the value of a map");
                let diag = Diagnostic::error("E0312", object.span, message)
                    .label("this object is in no map")
                    .note("the verifier takes no timer of an allocated object or of the stack");
                return (None, Some(diag));
            }
        };
        let right = found == Some(MemberKind::Plain(kind));
        let problem = (!right).then(|| {
            let is = match &found {
                Some(MemberKind::Plain(plain)) => format!("a `{plain}`"),
                Some(MemberKind::Struct(_)) => "a struct".to_string(),
                _ => "an array".to_string(),
            };
            let message = format!("`{}` is {is}, no `{kind}`", show(object));
            Diagnostic::error("E0313", object.span, message).label("wrong member")
        });
        (map, problem)
    }
}
