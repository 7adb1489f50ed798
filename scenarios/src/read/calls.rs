//! Calls with a return code: helpers, bpf(2) commands and other system calls.

use super::Reader;
use super::forms::variant_name;
use super::steps::STEPS;
use crate::ast::Call;
use crate::diag::{Diagnostic, quote};
use crate::span::Sp;
use crate::syntax::{Kind, Node};

/// The steps that have a return code.
pub(super) const CALLS: &[&str] = &[
    "bpf_timer_init",
    "bpf_timer_set_callback",
    "bpf_timer_start",
    "bpf_timer_cancel",
    "bpf_timer_cancel_async",
    "bpf_wq_init",
    "bpf_wq_set_callback",
    "bpf_wq_start",
    "bpf_map_lookup_elem",
    "bpf_map_update_elem",
    "bpf_map_delete_elem",
    "bpf_map_lookup_and_delete_elem",
    "bpf_for_each_map_elem",
    "bpf_ktime_get_ns",
    "bpf_copy_from_user",
    "prog_run",
    "bpf_map_create",
    "bpf_prog_load",
    "bpf_link_create",
    "bpf_obj_pin",
    "bpf_obj_get",
    "bpf_map_get_fd_by_id",
    "bpf_iter_create",
    "pin",
    "unlink",
    "dup",
    "close",
    "kill",
];

/// Calls that give a file descriptor of something that can be pinned.
const PINNABLE: &[&str] = &[
    "bpf_map_create",
    "bpf_prog_load",
    "bpf_link_create",
    "bpf_obj_get",
    "bpf_map_get_fd_by_id",
    "bpf_iter_create",
    "dup",
];

impl Reader {
    pub(super) fn call(&mut self, node: &Node) -> Option<Sp<Call>> {
        let name = variant_name(node).unwrap_or_default();
        if !name.is_empty() && !CALLS.contains(&name) && STEPS.iter().any(|s| s.name == name) {
            let message = format!("`{}` returns nothing", quote(name));
            self.error(
                Diagnostic::error("E0109", node.span, message)
                    .label("a call with a return code is expected")
                    .help("write it as a step of its own"),
            );
            return None;
        }
        let (form, found) = self.variant(node, "call", STEPS)?;
        let args = found.args();
        let call = match form {
            _ if form.starts_with("bpf_timer_") => self.timer_call(form, args),
            _ if form.starts_with("bpf_wq_") => self.wq_call(form, args),
            "bpf_map_lookup_elem"
            | "bpf_map_update_elem"
            | "bpf_map_delete_elem"
            | "bpf_map_lookup_and_delete_elem" => self.map_call(form, args),
            "bpf_for_each_map_elem" => {
                let map = self.object(&args[0], "the map");
                let callback = self.name(&args[1], "a callback");
                Some(Call::ForEachMapElem { map: map?, callback: callback? })
            }
            "bpf_ktime_get_ns" => Some(Call::KtimeGetNs),
            "bpf_copy_from_user" => Some(Call::CopyFromUser),
            _ => self.process_call(form, args),
        };
        Some(Sp::new(call?, node.span))
    }

    fn timer_call(&mut self, form: &str, args: &[Node]) -> Option<Call> {
        let timer = self.object(&args[0], "the timer");
        Some(match form {
            "bpf_timer_init" => {
                let clock = self.word(&args[1], "clock");
                Call::TimerInit { timer: timer?, clock: clock? }
            }
            "bpf_timer_set_callback" => {
                let callback = self.name(&args[1], "a callback");
                Call::TimerSetCallback { timer: timer?, callback: callback? }
            }
            "bpf_timer_start" => {
                let (since, after) = self.expiry(&args[1]).unzip();
                let flags = match args.get(2) {
                    Some(Node { kind: Kind::Int(_), span, .. }) => {
                        let message = "timer flags are a list of names, not a number";
                        let help =
                            "write [BPF_F_TIMER_ABS], or leave it out where the kernel has 0";
                        let diag = Diagnostic::error("E0109", *span, message);
                        self.error(diag.label("this is a number").help(help));
                        Vec::new()
                    }
                    Some(node) => self.word_list(node, "timer flag"),
                    None => Vec::new(),
                };
                Call::TimerStart { timer: timer?, since: since?, after: after?, flags }
            }
            "bpf_timer_cancel" => Call::TimerCancel { timer: timer? },
            _ => Call::TimerCancelAsync { timer: timer? },
        })
    }

    fn wq_call(&mut self, form: &str, args: &[Node]) -> Option<Call> {
        let wq = self.object(&args[0], "the work queue");
        Some(match form {
            "bpf_wq_init" => Call::WqInit { wq: wq? },
            "bpf_wq_set_callback" => {
                let callback = self.name(&args[1], "a callback");
                Call::WqSetCallback { wq: wq?, callback: callback? }
            }
            _ => Call::WqStart { wq: wq? },
        })
    }

    fn map_call(&mut self, form: &str, args: &[Node]) -> Option<Call> {
        let elem = self.object(&args[0], "the element");
        Some(match form {
            "bpf_map_lookup_elem" => Call::MapLookup { elem: elem? },
            "bpf_map_update_elem" => {
                let flag = self.word(&args[1], "update flag");
                let value = match args.get(2) {
                    Some(node) => Some(self.value(node)?),
                    None => None,
                };
                Call::MapUpdate { elem: elem?, flag: flag?, value }
            }
            "bpf_map_delete_elem" => Call::MapDelete { elem: elem? },
            _ => Call::MapLookupAndDelete { elem: elem? },
        })
    }

    fn process_call(&mut self, form: &str, args: &[Node]) -> Option<Call> {
        let first = &args[0];
        Some(match form {
            "prog_run" => Call::ProgRun { prog: self.name(first, "a program")? },
            "bpf_prog_load" => Call::ProgLoad { prog: self.name(first, "a program")? },
            "bpf_link_create" => Call::LinkCreate { prog: self.name(first, "a program")? },
            "bpf_map_create" => Call::MapCreate { map: self.object(first, "the map")? },
            "bpf_map_get_fd_by_id" => Call::MapGetFdById { map: self.object(first, "the map")? },
            "bpf_iter_create" => Call::IterCreate { map: self.object(first, "the map")? },
            "bpf_obj_pin" => {
                let fd = self.object(first, "the file descriptor");
                let path = self.text(&args[1], "the path");
                Call::ObjPin { fd: fd?, path: path? }
            }
            "bpf_obj_get" => Call::ObjGet { path: self.text(first, "the path")? },
            "unlink" => Call::Unlink { path: self.text(first, "the path")? },
            "dup" => Call::Dup { fd: self.object(first, "the file descriptor")? },
            "close" => Call::Close { fd: self.object(first, "the file descriptor")? },
            "kill" => {
                let task = self.name(first, "a task");
                let signal = self.word(&args[1], "signal");
                Call::Kill { task: task?, signal: signal? }
            }
            _ => self.pin(first)?,
        })
    }

    fn pin(&mut self, node: &Node) -> Option<Call> {
        let name = variant_name(node).unwrap_or_default();
        if CALLS.contains(&name) && !PINNABLE.contains(&name) {
            let message = format!("`{name}` gives nothing that can be pinned");
            self.error(
                Diagnostic::error("E0109", node.span, message)
                    .label("no file descriptor")
                    .help("write `pin(bpf_link_create(\"prog\"))`"),
            );
            return None;
        }
        Some(Call::Pin(Box::new(self.call(node)?)))
    }
}
