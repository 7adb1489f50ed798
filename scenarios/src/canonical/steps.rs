//! Steps and calls.

use super::{Out, code, sorted, text};
use crate::ast::{Access, Body, Call, Invoke, Returns, Step, StepKind, Value};

impl Out {
    pub(super) fn body(&mut self, body: &Body) {
        body.iter().for_each(|step| self.step(step, "", ","));
    }

    /// A step between `head` and `tail`.
    pub(super) fn step(&mut self, step: &Step, head: &str, tail: &str) {
        match &step.node {
            StepKind::If { cond, then, otherwise } => {
                self.line(&format!("{head}if({}, [", text(&cond.node.to_string())));
                self.depth += 1;
                self.body(then);
                if !otherwise.is_empty() {
                    self.depth -= 1;
                    self.line("], [");
                    self.depth += 1;
                    self.body(otherwise);
                }
                self.depth -= 1;
                self.line(&format!("]){tail}"));
            }
            StepKind::Repeat { times, body } => {
                let head = format!("{head}repeat({}, [", times.node);
                self.block(&head, &format!("]){tail}"), |out| out.body(body));
            }
            StepKind::At { when, step } => {
                self.step(step, &format!("{head}at(\"{}\", ", when.node), &format!("){tail}"));
            }
            other => self.line(&format!("{head}{}{tail}", simple(other))),
        }
    }
}

/// A step without steps inside it.
fn simple(step: &StepKind) -> String {
    let cond = |name: &str, cond: &crate::ast::Cond| format!("{name}({})", text(&cond.to_string()));
    match step {
        StepKind::Invoke(invoke) => invoke_text(invoke),
        StepKind::Assert(c) => cond("assert", c),
        StepKind::WaitUntil(c) => cond("wait_until", c),
        StepKind::SleepUntil(c) => cond("sleep_until", c),
        StepKind::Work(time) => format!("work(\"{}\")", time.node),
        StepKind::Sleep(time) => format!("sleep(\"{}\")", time.node),
        StepKind::Suspend(time) => format!("suspend(\"{}\")", time.node),
        StepKind::ClockStep { clock, by } => format!("clock_step({}, \"{}\")", clock.node, by.node),
        StepKind::Signal(signal) => format!("signal({})", signal.node),
        StepKind::Exit(status) => format!("exit({})", status.node),
        StepKind::Unblock(task) => format!("unblock({})", text(task)),
        StepKind::Access(access) => access_text(access),
        StepKind::Barrier(barrier) => format!("{barrier}()"),
        StepKind::Lock { op, lock, into } => match into {
            Some(into) => format!("{op}({}, {})", text(into), text(lock)),
            None => format!("{op}({})", text(lock)),
        },
        StepKind::Context(op) => format!("{op}()"),
        StepKind::Alloc { into, type_name } => {
            format!("alloc({}, {})", text(into), text(type_name))
        }
        StepKind::Free(local) => format!("free({})", text(local)),
        StepKind::CallRcuFree(local) => format!("call_rcu_free({})", text(local)),
        StepKind::RcuReadLock => "rcu_read_lock()".to_string(),
        StepKind::RcuReadUnlock => "rcu_read_unlock()".to_string(),
        StepKind::SynchronizeRcu => "synchronize_rcu()".to_string(),
        // Written by the caller, over several lines.
        StepKind::If { .. } | StepKind::Repeat { .. } | StepKind::At { .. } => String::new(),
    }
}

fn invoke_text(invoke: &Invoke) -> String {
    let Invoke { call, returns, bind } = invoke;
    let mut out = call_text(call);
    match returns {
        Returns::Success => {}
        Returns::OneOf(codes) => {
            let mut numbers: Vec<i64> = codes.iter().map(|code| code.node).collect();
            numbers.sort_by_key(|n| std::cmp::Reverse(*n));
            numbers.dedup();
            let codes: Vec<String> = numbers.into_iter().map(code).collect();
            out = format!("ret([{}], {out})", codes.join(", "));
        }
        Returns::Any => out = format!("may_fail({out})"),
    }
    match bind {
        Some(local) => format!("let({}, {out})", text(local)),
        None => out,
    }
}

fn call_text(call: &Call) -> String {
    let one = |name: &str, object: &crate::ast::ObjExpr| format!("{name}(\"{object}\")");
    match call {
        Call::TimerInit { timer, clock } => {
            format!("bpf_timer_init(\"{}\", {})", timer.node, clock.node)
        }
        Call::TimerSetCallback { timer, callback } => {
            format!("bpf_timer_set_callback(\"{}\", {})", timer.node, text(callback))
        }
        Call::TimerStart { timer, since, after, flags } => {
            let flags = match flags[..] {
                [] => String::new(),
                _ => format!(", [{}]", sorted(flags.iter().map(|flag| flag.node.to_string()))),
            };
            let expiry = match since {
                Some(since) => format!("{} + {}", since.node, after.node),
                None => after.node.to_string(),
            };
            format!("bpf_timer_start(\"{}\", \"{expiry}\"{flags})", timer.node)
        }
        Call::TimerCancel { timer } => one("bpf_timer_cancel", timer),
        Call::TimerCancelAsync { timer } => one("bpf_timer_cancel_async", timer),
        Call::WqInit { wq } => one("bpf_wq_init", wq),
        Call::WqSetCallback { wq, callback } => {
            format!("bpf_wq_set_callback(\"{}\", {})", wq.node, text(callback))
        }
        Call::WqStart { wq } => one("bpf_wq_start", wq),
        Call::MapLookup { elem } => one("bpf_map_lookup_elem", elem),
        Call::MapUpdate { elem, flag, value } => {
            let value = value.as_ref().map(|value| format!(", {}", value_text(value)));
            let value = value.unwrap_or_default();
            format!("bpf_map_update_elem(\"{}\", {}{value})", elem.node, flag.node)
        }
        Call::MapDelete { elem } => one("bpf_map_delete_elem", elem),
        Call::MapLookupAndDelete { elem } => one("bpf_map_lookup_and_delete_elem", elem),
        Call::ForEachMapElem { map, callback } => {
            format!("bpf_for_each_map_elem(\"{}\", {})", map.node, text(callback))
        }
        Call::KtimeGetNs => "bpf_ktime_get_ns()".to_string(),
        Call::CopyFromUser => "bpf_copy_from_user()".to_string(),
        Call::ProgRun { prog } => format!("prog_run({})", text(prog)),
        Call::MapCreate { map } => one("bpf_map_create", map),
        Call::ProgLoad { prog } => format!("bpf_prog_load({})", text(prog)),
        Call::LinkCreate { prog } => format!("bpf_link_create({})", text(prog)),
        Call::ObjPin { fd, path } => format!("bpf_obj_pin(\"{}\", {})", fd.node, text(path)),
        Call::ObjGet { path } => format!("bpf_obj_get({})", text(path)),
        Call::MapGetFdById { map } => one("bpf_map_get_fd_by_id", map),
        Call::IterCreate { map } => one("bpf_iter_create", map),
        Call::Pin(inner) => format!("pin({})", call_text(inner)),
        Call::Unlink { path } => format!("unlink({})", text(path)),
        Call::Dup { fd } => one("dup", fd),
        Call::Close { fd } => one("close", fd),
        Call::Kill { task, signal } => format!("kill({}, {})", text(task), signal.node),
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Null => "NULL".to_string(),
        Value::Local(name) => text(name),
        Value::Map(object) => format!("\"{object}\""),
    }
}

fn access_text(access: &Access) -> String {
    match access {
        Access::Read { kind, into, from } => format!("{kind}({}, \"{}\")", text(into), from.node),
        Access::Write { kind, to, value } => {
            format!("{kind}(\"{}\", {})", to.node, value_text(value))
        }
        Access::FetchAdd { into, on, by } => {
            format!("fetch_add({}, \"{}\", {})", text(into), on.node, value_text(by))
        }
        Access::Xchg { into, on, value } => {
            format!("xchg({}, \"{}\", {})", text(into), on.node, value_text(value))
        }
        Access::Cmpxchg { into, on, old, new } => {
            let (old, new) = (value_text(old), value_text(new));
            format!("cmpxchg({}, \"{}\", {old}, {new})", text(into), on.node)
        }
    }
}
