//! Looks up the names in bodies and follows what locals hold.

use std::collections::BTreeMap;

use super::objects::Target;
use super::shared::Sees;
use super::world::{Ty, World, undeclared};
use crate::ast::{
    Access, Body, Call, Event, Invoke, IrqWork, LockOp, ObjExpr, PlainKind, ProgKind, Scenario,
    Source, Step, StepKind, Value, Var,
};
use crate::diag::{Diagnostic, quote};
use crate::layout::unknown_type;
use crate::limits::DIAGS_MAX;
use crate::span::Sp;

/// Whose body it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Where {
    /// A program or callback.
    Prog { name: String, kind: ProgKind },
    /// A task, also the one that runs the steps of a CPU.
    Task,
    /// An interrupt.
    Interrupt,
    /// The end of the run, and limits: no body at all.
    End,
}

impl Where {
    pub fn is_callback(&self) -> bool {
        matches!(self, Where::Prog { kind, .. } if kind.is_callback())
    }

    /// For messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Where::Prog { .. } => "a program",
            Where::Task => "a task",
            Where::Interrupt => "an interrupt",
            Where::End => "no callback",
        }
    }
}

/// Walks over one body.
pub(super) struct Resolver<'w> {
    pub world: &'w mut World,
    pub place: Where,
    pub locals: BTreeMap<String, Ty>,
    /// Whether a program may be named, because a file descriptor is wanted.
    pub wants_fd: bool,
    /// Whether an unknown name was probably meant to be a map.
    pub wants_map: bool,
}

/// Looks up the names in all bodies and expectations.
pub(super) fn resolve(scenario: &mut Scenario, world: &mut World) {
    for (name, prog) in &mut scenario.progs {
        let place = Where::Prog { name: name.node.clone(), kind: prog.kind.node };
        Resolver::new(world, place).body(&mut prog.body);
    }
    for (_, task) in &mut scenario.tasks {
        Resolver::new(world, Where::Task).body(&mut task.body);
    }
    for (_, events) in &mut scenario.cpus {
        // The steps of a CPU are one body; each source is one of its own.
        let mut locals = BTreeMap::new();
        for event in events {
            match &mut event.node {
                Event::Step(step) => {
                    let mut resolver = Resolver::new(world, Where::Task);
                    resolver.locals = locals;
                    resolver.step(step);
                    locals = resolver.locals;
                }
                Event::Timed(timed) => source(&mut timed.source.node, world),
            }
        }
    }
    for expectation in &mut scenario.expect {
        super::sections::resolve_expectation(expectation, &mut Resolver::new(world, Where::End));
    }
}

fn source(source: &mut Source, world: &mut World) {
    match source {
        Source::Softirq(_, IrqWork::Body(body))
        | Source::Irq(IrqWork::Body(body))
        | Source::Nmi(IrqWork::Body(body)) => {
            Resolver::new(world, Where::Interrupt).body(body);
        }
        Source::Step(step) => Resolver::new(world, Where::Task).step(step),
        _ => {}
    }
}

impl<'w> Resolver<'w> {
    fn new(world: &'w mut World, place: Where) -> Self {
        Resolver { world, place, locals: BTreeMap::new(), wants_fd: false, wants_map: false }
    }

    pub fn diag(&mut self, diag: Diagnostic) {
        self.world.diags.push(diag);
    }

    fn body(&mut self, body: &mut Body) {
        body.iter_mut().for_each(|step| self.step(step));
    }

    /// Whether there are so many errors that looking on is of no use.
    fn is_full(&self) -> bool {
        self.world.diags.len() >= DIAGS_MAX
    }

    fn step(&mut self, step: &mut Step) {
        if self.is_full() {
            return;
        }
        match &mut step.node {
            StepKind::Invoke(invoke) => self.invoke(invoke),
            StepKind::If { cond, then, otherwise } => {
                self.cond(cond, Sees::Locals);
                self.body(then);
                self.body(otherwise);
            }
            StepKind::Repeat { body, .. } => {
                // The second round may use what the first one has set.
                for name in assigned(body) {
                    self.locals.entry(name).or_insert(Ty::Unknown);
                }
                self.body(body);
            }
            StepKind::Assert(cond) => self.cond(cond, Sees::Locals),
            StepKind::WaitUntil(cond) | StepKind::SleepUntil(cond) => {
                self.cond(cond, Sees::Shared);
            }
            StepKind::At { step, .. } => self.step(step),
            StepKind::Unblock(task) => self.task(task),
            StepKind::Access(access) => self.access(access),
            StepKind::Lock { op, lock, into } => {
                self.lock(*op, lock);
                if let Some(into) = into {
                    self.set(into, Ty::Int);
                }
            }
            StepKind::Alloc { into, type_name } => {
                if !self.world.declared.types.contains(type_name) {
                    let diag = unknown_type(type_name, self.world.declared.types.words());
                    self.diag(diag);
                }
                self.set(into, Ty::Object(type_name.node.clone()));
            }
            StepKind::Free(local) | StepKind::CallRcuFree(local) => self.freed(local),
            _ => {}
        }
    }

    /// A local gets a value.
    pub(super) fn set(&mut self, local: &Sp<String>, ty: Ty) {
        let declared = &self.world.declared;
        let other = declared.maps.get(local).or(declared.vars.get(local));
        if let Some(other) = other {
            let message = format!("local `{}` has the name of something else", quote(local));
            let diag = Diagnostic::error("E0210", local.span, message)
                .label("object strings could not tell them apart")
                .also(other, "the other one")
                .help("give the local another name");
            self.diag(diag);
            return;
        }
        let joined = match self.locals.remove(&local.node) {
            Some(before) => before.join(ty),
            None => ty,
        };
        self.locals.insert(local.node.clone(), joined);
    }

    fn task(&mut self, task: &Sp<String>) {
        let World { declared, diags, .. } = &mut *self.world;
        World::expect_declared(&declared.tasks, task, "E0203", "task", diags);
    }

    fn prog(&mut self, prog: &Sp<String>) -> bool {
        let World { declared, diags, .. } = &mut *self.world;
        World::expect_declared(&declared.progs, prog, "E0202", "program", diags)
    }

    fn lock(&mut self, op: LockOp, lock: &Sp<String>) {
        let irq = matches!(op, LockOp::LockIrqsave | LockOp::UnlockIrqrestore);
        let shown = quote(lock);
        let diag = match self.world.vars.get(&lock.node) {
            Some(Var::Mutex) if irq => {
                let message = format!("`{shown}` is a mutex, which sleeps");
                Diagnostic::error("E0309", lock.span, message)
                    .label(format!("`{op}` needs a spinlock"))
            }
            Some(var) if var.is_lock() => return,
            Some(_) => Diagnostic::error("E0309", lock.span, format!("`{shown}` is no lock"))
                .label("not a lock")
                .help(format!("declare it: vars: {{ \"{shown}\": raw_spinlock }}")),
            None => {
                let vars = &self.world.declared.vars;
                if vars.contains(lock) {
                    return;
                }
                undeclared(vars, lock, "E0204", "lock")
            }
        };
        self.diag(diag);
    }

    fn freed(&mut self, local: &Sp<String>) {
        if !matches!(self.locals.get(&local.node), Some(Ty::Object(_) | Ty::Unknown)) {
            self.wrong_local(local, "only what `alloc` and `new` made is freed", "no object");
        }
    }

    /// A local that holds a time.
    fn number(&mut self, local: &Sp<String>) {
        if !matches!(self.locals.get(&local.node), Some(Ty::Int | Ty::Unknown)) {
            self.wrong_local(local, "a time is a number, as bpf_ktime_get_ns gives it", "no time");
        }
    }

    fn wrong_local(&mut self, local: &Sp<String>, wanted: &str, label: &str) {
        let message = match self.locals.get(&local.node) {
            None => format!("local `{}` is not set before this", quote(local)),
            Some(ty) => {
                let what = Target::Local(ty.clone()).describe();
                format!("`{}` is {what}; {wanted}", quote(local))
            }
        };
        let code = if self.locals.contains_key(&local.node) { "E0315" } else { "E0205" };
        let others = self.locals.keys().filter(|name| **name != local.node);
        let names: Vec<String> = others.cloned().collect();
        let help = crate::diag::did_you_mean(local, names.iter().map(String::as_str));
        self.diag(Diagnostic::error(code, local.span, message).label(label).maybe_help(help));
    }

    fn invoke(&mut self, invoke: &mut Invoke) {
        let ty = self.call(&mut invoke.call);
        if let Some(local) = &invoke.bind {
            self.set(local, ty);
        }
    }

    /// The type of the result.
    fn call(&mut self, call: &mut Sp<Call>) -> Ty {
        match &mut call.node {
            Call::TimerStart { timer, since, .. } => {
                self.special(timer, PlainKind::BpfTimer);
                if let Some(since) = since {
                    self.number(since);
                }
                Ty::Int
            }
            Call::TimerInit { timer, .. }
            | Call::TimerCancel { timer }
            | Call::TimerCancelAsync { timer } => {
                self.special(timer, PlainKind::BpfTimer);
                Ty::Int
            }
            Call::TimerSetCallback { timer, callback } => {
                self.callback(timer, callback, PlainKind::BpfTimer);
                Ty::Int
            }
            Call::WqInit { wq } | Call::WqStart { wq } => {
                self.special(wq, PlainKind::BpfWq);
                Ty::Int
            }
            Call::WqSetCallback { wq, callback } => {
                self.callback(wq, callback, PlainKind::BpfWq);
                Ty::Int
            }
            Call::MapLookup { elem } => {
                let found = self.elem(elem);
                // In a task it is a system call, which copies.
                match (found, &self.place) {
                    (Some(Target::Element(map)), Where::Prog { .. }) => Ty::Value(map),
                    (Some(Target::Slot { template: Some(map) }), Where::Prog { .. }) => {
                        Ty::Map(map)
                    }
                    (Some(_), Where::Task) => Ty::Int,
                    _ => Ty::Unknown,
                }
            }
            Call::MapUpdate { elem, value, .. } => {
                let target = self.elem(elem);
                if let Some(value) = value {
                    self.stored_value(value, target.as_ref());
                }
                Ty::Int
            }
            Call::MapDelete { elem } | Call::MapLookupAndDelete { elem } => {
                self.elem(elem);
                Ty::Int
            }
            Call::ForEachMapElem { map, callback } => {
                self.walked(map, callback);
                Ty::Int
            }
            other => self.process_call(other),
        }
    }

    /// A walk over a map: the callback is called with its values.
    fn walked(&mut self, map: &mut Sp<ObjExpr>, callback: &Sp<String>) {
        let known = self.prog(callback);
        let target = self.whole_map(map);
        let Where::Prog { name, .. } = &self.place else { return };
        if !known {
            return;
        }
        self.world.sets.entry(name.clone()).or_default().insert(callback.node.clone());
        if let Some(Target::Map(map) | Target::Slot { template: Some(map) }) = target {
            self.world.owners.entry(callback.node.clone()).or_default().insert(map);
        }
    }

    fn process_call(&mut self, call: &mut Call) -> Ty {
        match call {
            Call::ProgRun { prog } => {
                self.prog(prog);
                Ty::Int
            }
            Call::ProgLoad { prog } | Call::LinkCreate { prog } => {
                self.prog(prog);
                Ty::Fd
            }
            Call::MapCreate { map } | Call::MapGetFdById { map } | Call::IterCreate { map } => {
                self.whole_map(map);
                Ty::Fd
            }
            Call::ObjPin { fd, .. } | Call::Close { fd } => {
                self.fd(fd);
                Ty::Int
            }
            Call::Dup { fd } => {
                self.fd(fd);
                Ty::Fd
            }
            Call::Pin(inner) => self.call(inner),
            Call::ObjGet { .. } => Ty::Fd,
            Call::Kill { task, .. } => {
                self.task(task);
                Ty::Int
            }
            _ => Ty::Int,
        }
    }

    fn callback(&mut self, object: &mut Sp<ObjExpr>, callback: &Sp<String>, kind: PlainKind) {
        let map = self.special(object, kind);
        let known = self.prog(callback);
        let Where::Prog { name, .. } = &self.place else { return };
        if known {
            let sets = self.world.sets.entry(name.clone()).or_default();
            sets.insert(callback.node.clone());
            if let Some(map) = map {
                self.world.owners.entry(callback.node.clone()).or_default().insert(map);
            }
        }
    }

    /// A map or the inner map in a slot.
    pub(super) fn whole_map(&mut self, object: &mut Sp<ObjExpr>) -> Option<Target> {
        self.wants_map = true;
        let target = self.target(object);
        self.wants_map = false;
        match target? {
            found @ (Target::Map(_) | Target::Slot { .. }) => Some(found),
            other => {
                let message =
                    format!("a map is wanted, `{}` is {}", show(object), other.describe());
                self.diag(Diagnostic::error("E0315", object.span, message).label("no map"));
                None
            }
        }
    }

    fn fd(&mut self, object: &mut Sp<ObjExpr>) {
        self.wants_fd = true;
        let target = self.target(object);
        self.wants_fd = false;
        match target {
            None
            | Some(
                Target::Map(_)
                | Target::Slot { .. }
                | Target::Prog(_)
                | Target::Local(Ty::Fd | Ty::Unknown),
            ) => {}
            Some(other) => {
                let message = format!("`{}` is {}", show(object), other.describe());
                let diag = Diagnostic::error("E0212", object.span, message);
                self.diag(
                    diag.label("no file descriptor").help(
                        "bind what opens it: let(\"fd\", bpf_map_create(\"map\")), then \"fd\"",
                    ),
                );
            }
        }
    }

    /// An element, or a slot of an outer map.
    fn elem(&mut self, object: &mut Sp<ObjExpr>) -> Option<Target> {
        self.wants_map = true;
        let target = self.target(object);
        self.wants_map = false;
        match target? {
            found @ (Target::Element(_) | Target::Slot { .. }) => Some(found),
            other => {
                let shown = show(object);
                let message = format!("an element is wanted, `{shown}` is {}", other.describe());
                let mut diag = Diagnostic::error("E0315", object.span, message).label("no element");
                if let Target::Map(_) = other {
                    diag = diag.help(format!("say which: \"{shown}[0]\""));
                }
                self.diag(diag);
                None
            }
        }
    }

    /// What an update stores.
    fn stored_value(&mut self, value: &mut Sp<Value>, target: Option<&Target>) {
        let Value::Map(object) = &mut value.node else { return };
        if !matches!(target, Some(Target::Slot { .. })) {
            self.value(value);
            return;
        }
        let mut object = Sp::new(object.clone(), value.span);
        self.wants_fd = true;
        self.wants_map = true;
        let found = self.target(&mut object);
        self.wants_fd = false;
        self.wants_map = false;
        match found {
            None => {}
            Some(Target::Local(Ty::Fd | Ty::Unknown)) => {
                value.node = Value::Local(object.base.text().to_string());
            }
            Some(Target::Map(_) | Target::Slot { .. }) => value.node = Value::Map(object.node),
            Some(other) => {
                let message = format!("an outer map holds maps, not {}", other.describe());
                self.diag(Diagnostic::error("E0315", value.span, message).label("no map"));
            }
        }
    }
}

/// The object as written, for messages.
pub(super) fn show(object: &ObjExpr) -> String {
    quote(&object.to_string())
}

/// The locals that a body sets.
fn assigned(body: &Body) -> Vec<String> {
    let mut names = Vec::new();
    super::visit::for_each_step(body, &mut |step| {
        let local = match &step.node {
            StepKind::Invoke(invoke) => invoke.bind.as_ref(),
            StepKind::Lock { into, .. } => into.as_ref(),
            StepKind::Alloc { into, .. } => Some(into),
            StepKind::Access(
                Access::Read { into, .. }
                | Access::FetchAdd { into, .. }
                | Access::Xchg { into, .. }
                | Access::Cmpxchg { into, .. },
            ) => Some(into),
            _ => None,
        };
        names.extend(local.map(|local| local.node.clone()));
    });
    names
}
