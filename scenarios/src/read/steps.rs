//! Steps of bodies. Calls with a return code are in [`super::calls`].

use super::Reader;
use super::calls::CALLS;
use super::forms::{Form, args, variant_name};
use crate::ast::{
    Access, Barrier, Body, ContextOp, Invoke, LockOp, ReadKind, Returns, Step, StepKind, WriteKind,
};
use crate::diag::Diagnostic;
use crate::span::{Sp, Span};
use crate::syntax::Node;

/// Every step and how it is written.
pub(super) const STEPS: &[Form] = &[
    args("bpf_timer_init", 2, 2, "bpf_timer_init(\"map[key]\", CLOCK_MONOTONIC)"),
    args("bpf_timer_set_callback", 2, 2, "bpf_timer_set_callback(\"map[key]\", \"cb\")"),
    args("bpf_timer_start", 2, 3, "bpf_timer_start(\"map[key]\", \"10us\", [BPF_F_TIMER_ABS])"),
    args("bpf_timer_cancel", 1, 1, "bpf_timer_cancel(\"map[key]\")"),
    args("bpf_timer_cancel_async", 1, 1, "bpf_timer_cancel_async(\"map[key]\")"),
    args("bpf_wq_init", 1, 1, "bpf_wq_init(\"map[key]\")"),
    args("bpf_wq_set_callback", 2, 2, "bpf_wq_set_callback(\"map[key]\", \"cb\")"),
    args("bpf_wq_start", 1, 1, "bpf_wq_start(\"map[key]\")"),
    args("bpf_map_lookup_elem", 1, 1, "bpf_map_lookup_elem(\"map[key]\")"),
    args("bpf_map_update_elem", 2, 3, "bpf_map_update_elem(\"map[key]\", BPF_ANY)"),
    args("bpf_map_delete_elem", 1, 1, "bpf_map_delete_elem(\"map[key]\")"),
    args("bpf_map_lookup_and_delete_elem", 1, 1, "bpf_map_lookup_and_delete_elem(\"map[key]\")"),
    args("bpf_for_each_map_elem", 2, 2, "bpf_for_each_map_elem(\"map\", \"cb\")"),
    args("let", 2, 2, "let(\"r\", call)"),
    args("if", 2, 3, "if(\"r == 0\", [ .. ], [ .. ])"),
    args("repeat", 2, 2, "repeat(3, [ .. ])"),
    args("ret", 2, 2, "ret([0, EBUSY], call)"),
    args("may_fail", 1, 1, "may_fail(call)"),
    args("assert", 1, 1, "assert(\"r == 0\")"),
    args("work", 1, 1, "work(\"2us\")"),
    args("sleep", 1, 1, "sleep(\"5ms\")"),
    args("at", 2, 2, "at(\"5us\", step)"),
    args("clock_step", 2, 2, "clock_step(CLOCK_REALTIME, \"1s\")"),
    args("suspend", 1, 1, "suspend(\"1s\")"),
    args("bpf_ktime_get_ns", 0, 0, "bpf_ktime_get_ns()"),
    args("bpf_copy_from_user", 0, 0, "bpf_copy_from_user()"),
    args("prog_run", 1, 1, "prog_run(\"prog\")"),
    args("bpf_map_create", 1, 1, "bpf_map_create(\"map\")"),
    args("bpf_prog_load", 1, 1, "bpf_prog_load(\"prog\")"),
    args("bpf_link_create", 1, 1, "bpf_link_create(\"prog\")"),
    args("bpf_obj_pin", 2, 2, "bpf_obj_pin(\"fd\", \"/sys/fs/bpf/name\")"),
    args("bpf_obj_get", 1, 1, "bpf_obj_get(\"/sys/fs/bpf/name\")"),
    args("bpf_map_get_fd_by_id", 1, 1, "bpf_map_get_fd_by_id(\"map\")"),
    args("bpf_iter_create", 1, 1, "bpf_iter_create(\"map\")"),
    args("pin", 1, 1, "pin(bpf_link_create(\"prog\"))"),
    args("unlink", 1, 1, "unlink(\"/sys/fs/bpf/name\")"),
    args("dup", 1, 1, "dup(\"fd\")"),
    args("close", 1, 1, "close(\"fd\")"),
    args("signal", 1, 1, "signal(SIGINT)"),
    args("kill", 2, 2, "kill(\"task\", SIGKILL)"),
    args("exit", 1, 1, "exit(0)"),
    args("unblock", 1, 1, "unblock(\"task\")"),
    args("read", 2, 2, "read(\"r\", \"var\")"),
    args("write", 2, 2, "write(\"var\", 1)"),
    args("plain_read", 2, 2, "plain_read(\"r\", \"var\")"),
    args("plain_write", 2, 2, "plain_write(\"var\", 1)"),
    args("load_acquire", 2, 2, "load_acquire(\"r\", \"var\")"),
    args("store_release", 2, 2, "store_release(\"var\", 1)"),
    args("fetch_add", 3, 3, "fetch_add(\"r\", \"var\", 1)"),
    args("xchg", 3, 3, "xchg(\"r\", \"var\", NULL)"),
    args("cmpxchg", 4, 4, "cmpxchg(\"r\", \"var\", 0, 1)"),
    args("smp_mb", 0, 0, "smp_mb()"),
    args("smp_rmb", 0, 0, "smp_rmb()"),
    args("smp_wmb", 0, 0, "smp_wmb()"),
    args("lock", 1, 1, "lock(\"L\")"),
    args("unlock", 1, 1, "unlock(\"L\")"),
    args("trylock", 2, 2, "trylock(\"r\", \"L\")"),
    args("lock_irqsave", 1, 1, "lock_irqsave(\"L\")"),
    args("unlock_irqrestore", 1, 1, "unlock_irqrestore(\"L\")"),
    args("local_irq_save", 0, 0, "local_irq_save()"),
    args("local_irq_restore", 0, 0, "local_irq_restore()"),
    args("local_bh_disable", 0, 0, "local_bh_disable()"),
    args("local_bh_enable", 0, 0, "local_bh_enable()"),
    args("preempt_disable", 0, 0, "preempt_disable()"),
    args("preempt_enable", 0, 0, "preempt_enable()"),
    args("alloc", 2, 2, "alloc(\"p\", \"type\")"),
    args("free", 1, 1, "free(\"p\")"),
    args("rcu_read_lock", 0, 0, "rcu_read_lock()"),
    args("rcu_read_unlock", 0, 0, "rcu_read_unlock()"),
    args("call_rcu_free", 1, 1, "call_rcu_free(\"p\")"),
    args("synchronize_rcu", 0, 0, "synchronize_rcu()"),
    args("wait_until", 1, 1, "wait_until(\"flag == 1\")"),
    args("sleep_until", 1, 1, "sleep_until(\"flag == 1\")"),
];

impl Reader {
    /// A list of steps. Those that cannot be read are reported and left out.
    pub(super) fn body(&mut self, node: &Node) -> Body {
        self.each(node, "a body", |reader, item| reader.step(item))
    }

    pub(super) fn step(&mut self, node: &Node) -> Option<Step> {
        let name = variant_name(node).unwrap_or_default();
        if matches!(name, "let" | "ret" | "may_fail") || CALLS.contains(&name) {
            let invoke = self.invoke(node)?;
            return Some(Sp::new(StepKind::Invoke(invoke), node.span));
        }
        let (form, found) = self.variant(node, "step", STEPS)?;
        let args = found.args();
        let kind = match args {
            [] => self.plain_step(form)?,
            _ => match self.access(form, args)? {
                Some(access) => StepKind::Access(access),
                None => self.other_step(form, args)?,
            },
        };
        Some(Sp::new(kind, node.span))
    }

    /// A step without arguments.
    fn plain_step(&mut self, form: &str) -> Option<StepKind> {
        if let Some(barrier) = Barrier::from_word(form) {
            return Some(StepKind::Barrier(barrier));
        }
        if let Some(op) = ContextOp::from_word(form) {
            return Some(StepKind::Context(op));
        }
        match form {
            "rcu_read_lock" => Some(StepKind::RcuReadLock),
            "rcu_read_unlock" => Some(StepKind::RcuReadUnlock),
            "synchronize_rcu" => Some(StepKind::SynchronizeRcu),
            _ => None,
        }
    }

    fn other_step(&mut self, form: &str, args: &[Node]) -> Option<StepKind> {
        let first = &args[0];
        if let Some(op) = LockOp::from_word(form) {
            let into = (op == LockOp::Trylock).then(|| self.local(first));
            let lock = self.name(&args[args.len() - 1], "a lock");
            let into = match into {
                Some(into) => Some(into?),
                None => None,
            };
            return Some(StepKind::Lock { op, lock: lock?, into });
        }
        Some(match form {
            "if" => {
                let cond = self.cond(first, "a condition");
                let then = self.body(&args[1]);
                let otherwise = args.get(2).map(|node| self.body(node)).unwrap_or_default();
                StepKind::If { cond: cond?, then, otherwise }
            }
            "repeat" => {
                let times = self.u64(first, "the number of repeats", 1);
                let body = self.body(&args[1]);
                StepKind::Repeat { times: times?, body }
            }
            "assert" => StepKind::Assert(self.cond(first, "a condition")?),
            "work" => StepKind::Work(self.length(first, "the length")?),
            "sleep" => StepKind::Sleep(self.length(first, "the length")?),
            "suspend" => StepKind::Suspend(self.length(first, "the length")?),
            "at" => {
                let when = self.length(first, "the time");
                let step = self.step(&args[1]);
                StepKind::At { when: when?, step: Box::new(step?) }
            }
            "clock_step" => {
                let clock = self.word(first, "clock");
                let by = self.signed_duration(&args[1], "the step");
                StepKind::ClockStep { clock: clock?, by: by? }
            }
            "signal" => StepKind::Signal(self.word(first, "signal")?),
            "exit" => StepKind::Exit(self.int(first, "the exit code", 0..=255)?),
            "unblock" => StepKind::Unblock(self.name(first, "a task")?),
            "alloc" => {
                let into = self.local(first);
                let type_name = self.name(&args[1], "a type");
                StepKind::Alloc { into: into?, type_name: type_name? }
            }
            "free" => StepKind::Free(self.name(first, "a local")?),
            "call_rcu_free" => StepKind::CallRcuFree(self.name(first, "a local")?),
            "wait_until" => StepKind::WaitUntil(self.cond(first, "a condition")?),
            "sleep_until" => StepKind::SleepUntil(self.cond(first, "a condition")?),
            _ => return None,
        })
    }

    /// An access of shared memory: `None` if it could not be read, `Some(None)` if it is none.
    fn access(&mut self, form: &str, args: &[Node]) -> Option<Option<Access>> {
        if let Some(kind) = ReadKind::from_word(form) {
            let into = self.local(&args[0]);
            let from = self.object(&args[1], "what is read");
            return Some(Some(Access::Read { kind, into: into?, from: from? }));
        }
        if let Some(kind) = WriteKind::from_word(form) {
            let to = self.object(&args[0], "what is written");
            let value = self.value(&args[1]);
            return Some(Some(Access::Write { kind, to: to?, value: value? }));
        }
        if !matches!(form, "fetch_add" | "xchg" | "cmpxchg") {
            return Some(None);
        }
        let into = self.local(&args[0]);
        let on = self.object(&args[1], "what is changed");
        let first = self.value(&args[2]);
        let second = args.get(3).map(|node| self.value(node));
        let (into, on, first) = (into?, on?, first?);
        Some(Some(match (form, second) {
            ("fetch_add", _) => Access::FetchAdd { into, on, by: first },
            (_, Some(new)) => Access::Cmpxchg { into, on, old: first, new: new? },
            _ => Access::Xchg { into, on, value: first },
        }))
    }

    /// A call with what it may return and where its result goes: `let`, `ret` and `may_fail`
    /// around it, each at most once and in any order.
    fn invoke(&mut self, node: &Node) -> Option<Invoke> {
        let mut node = node;
        let mut bind: Option<(Option<Sp<String>>, Span)> = None;
        let mut returns: Option<(Option<Returns>, Span)> = None;
        loop {
            let name = variant_name(node).unwrap_or_default();
            if !matches!(name, "let" | "ret" | "may_fail") {
                break;
            }
            let (form, found) = self.variant(node, "step", STEPS)?;
            let args = found.args();
            let earlier = match form {
                "let" => bind.replace((self.local(&args[0]), node.span)).map(|(_, span)| span),
                "ret" => {
                    let codes = self.codes(&args[0]);
                    returns.replace((codes, node.span)).map(|(_, span)| span)
                }
                _ => returns.replace((Some(Returns::Any), node.span)).map(|(_, span)| span),
            };
            if let Some(span) = earlier {
                self.twice_around(form, node.span, span);
                return None;
            }
            node = &args[args.len() - 1];
        }
        let call = self.call(node)?;
        let returns = match returns {
            Some((returns, _)) => returns?,
            None => Returns::Success,
        };
        let bind = match bind {
            Some((bind, _)) => Some(bind?),
            None => None,
        };
        Some(Invoke { call, returns, bind })
    }

    fn twice_around(&mut self, form: &str, inner: Span, outer: Span) {
        let message = match form {
            "let" => "a result goes into one local",
            _ => "what a call may return is said once",
        };
        self.error(
            Diagnostic::error("E0109", inner, message)
                .label("said again here")
                .also(outer, "first said here"),
        );
    }

    fn codes(&mut self, node: &Node) -> Option<Returns> {
        let items = self.list(node, "the first argument of `ret`")?;
        let mut codes: Vec<Sp<i64>> = Vec::new();
        let mut complete = true;
        for item in items {
            match self.code(item) {
                Some(code) => codes.push(code),
                None => complete = false,
            }
        }
        if items.is_empty() {
            let message = "`ret` allows nothing";
            self.error(
                Diagnostic::error("E0104", node.span, message)
                    .label("an empty list")
                    .help("write the codes that are fine: `ret([0, EBUSY], call)`"),
            );
            return None;
        }
        complete.then_some(Returns::OneOf(codes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step is in some file that must load, so that its reader has run.
    #[test]
    fn every_step_is_in_the_corpus() {
        let text = crate::read::corpus();
        for form in STEPS {
            assert!(text.contains(&format!("{}(", form.name)), "{} is in no file", form.name);
        }
        for call in CALLS {
            assert!(STEPS.iter().any(|form| form.name == *call), "{call} is no step");
        }
    }

    #[test]
    fn the_examples_of_the_forms_have_their_own_name() {
        for form in STEPS {
            assert!(form.text.starts_with(&format!("{}(", form.name)), "{}", form.text);
        }
    }
}
