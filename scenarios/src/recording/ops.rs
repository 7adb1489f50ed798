//! Reads operations and their results.

use serde_json::Value;
use timerace_kernel::world::UpdateFlag;

use super::case::{Action, By, CallbackOp, Elem, Expiry, Fd, OpResult, RecordedOp, Ret};
use super::fields::{Fields, Problem};

/// Callbacks of a case; the recorder had three.
pub(super) const CALLBACKS_MAX: u32 = 16;

/// An operation of user space or of a program, with its result.
pub(super) fn op(i: usize, value: Value) -> Result<RecordedOp, Problem> {
    let mut f = Fields::of(&format!("operation {i}"), value)?;
    let by: String = f.need("by")?;
    let by = match by.as_str() {
        "prog:a" => By::Prog(0),
        "prog:b" => By::Prog(1),
        "user" => By::User,
        other => return f.unknown("by", other),
    };
    let name: String = f.need("op")?;
    let action = match by {
        By::Prog(_) => match helper(&name, &mut f)? {
            Some(Action::Lookup(elem)) => {
                // In the result of a lookup in a program `data` is what was read.
                Action::Lookup(elem)
            }
            Some(action) => action,
            None => return f.unknown("op", &name),
        },
        By::User => user(&name, &mut f)?,
    };
    let ret = ret(&mut f, &format!("operation {i}"))?;
    let data = f.maybe("ret_data")?;
    let data = if action_reads_data(by, &action) { f.maybe("data")?.or(data) } else { data };
    let result = OpResult { ret, data, keys: f.maybe("ret_keys")?, count: f.maybe("ret_count")? };
    if f.maybe("timer_bytes_zero")? == Some(false) {
        return f.unknown("timer_bytes_zero", "false");
    }
    let callbacks_so_far = f.need("callbacks_so_far")?;
    f.done()?;
    Ok(RecordedOp { by, action, result, callbacks_so_far })
}

/// An operation of a callback.
pub(super) fn callback_op(value: Value) -> Result<CallbackOp, Problem> {
    let mut f = Fields::of("a callback's operation", value)?;
    let name: String = f.need("op")?;
    let action = match name.as_str() {
        "spin" => Action::Spin(f.need("ns")?),
        _ => match helper(&name, &mut f)? {
            Some(action) => action,
            None => return f.unknown("op", &name),
        },
    };
    let max_run = f.maybe("max_run")?;
    f.done()?;
    Ok(CallbackOp { action, max_run })
}

/// The result of a callback's operation, with the integer that a lookup read.
pub(super) fn event_op(value: Value) -> Result<(Ret, Option<i64>), Problem> {
    let mut f = Fields::of("a callback's result", value)?;
    // The order is that of the callback's operations; name and key only repeat what stands there.
    f.skip(&["op", "key"]);
    let ret = ret(&mut f, "a callback's result")?;
    let data = f.maybe("data")?;
    f.done()?;
    Ok((ret, data))
}

/// A return value alone, as variants list them.
pub(super) fn bare_ret(value: &Value, what: &str) -> Result<Ret, Problem> {
    match value {
        Value::Null => Ok(Ret::Absent),
        Value::Bool(b) => Ok(Ret::Code(i64::from(*b))),
        Value::String(s) if s == "value" => Ok(Ret::Value),
        Value::Number(n) => n
            .as_i64()
            .map(Ret::Code)
            .ok_or_else(|| Problem::Malformed(format!("ret of {what} is no return code"))),
        _ => Err(Problem::Malformed(format!("ret of {what} is no return code"))),
    }
}

fn ret(f: &mut Fields, what: &str) -> Result<Ret, Problem> {
    // `err` names the code, and `r0_unsigned` is it as 6.1's map helpers show it to programs.
    f.skip(&["err", "r0_unsigned"]);
    let value: Option<Value> = f.maybe("ret")?;
    let why: Option<String> = f.maybe("not_called")?;
    match (value, why.as_deref()) {
        (Some(v), None) => bare_ret(&v, what),
        (None, Some("no such element" | "no inner map in the slot")) => Ok(Ret::Absent),
        (None, Some("max_run passed")) => Ok(Ret::MaxRun),
        (None, Some(other)) => f.unknown("not_called", other),
        (Some(_), Some(_)) => {
            Err(Problem::Malformed(format!("{what} was not called but returned")))
        }
        (None, None) => Err(Problem::Malformed(format!("{what} has no ret"))),
    }
}

/// The operations of programs and callbacks; `None` for another name.
fn helper(name: &str, f: &mut Fields) -> Result<Option<Action>, Problem> {
    Ok(Some(match name {
        "bpf_timer_init" => Action::Init(elem(f)?, f.need("flags")?),
        "bpf_timer_set_callback" => {
            let at = elem(f)?;
            Action::SetCallback(at, callback(f)?)
        }
        "bpf_timer_start" => {
            let at = elem(f)?;
            Action::Start(at, expiry(f)?, f.need("flags")?)
        }
        "bpf_timer_cancel" => Action::Cancel(elem(f)?),
        "bpf_map_update_elem" => {
            let at = elem(f)?;
            let data: u64 = f.need("data")?;
            Action::Update(at, data.cast_signed(), update_flag(f.need("flags")?))
        }
        "bpf_map_delete_elem" => Action::Delete(elem(f)?),
        "bpf_map_lookup_elem" => Action::Lookup(elem(f)?),
        _ => return Ok(None),
    }))
}

fn user(name: &str, f: &mut Fields) -> Result<Action, Problem> {
    Ok(match name {
        "bpf_map_update_elem" | "bpf_map_delete_elem" | "bpf_map_lookup_elem" => {
            // The kernel ignores what user space has where the timer is, so the model needs no bytes.
            match f.maybe::<String>("timer_bytes")?.as_deref() {
                None | Some("zero" | "0xa5") => {}
                Some(other) => return f.unknown("timer_bytes", other),
            }
            match helper(name, f)? {
                Some(action) => action,
                None => return f.unknown("op", name),
            }
        }
        "bpf_map_lookup_and_delete_elem" => Action::LookupAndDelete(elem(f)?),
        "bpf_map_update_batch" => Action::UpdateBatch(f.need("keys")?),
        "bpf_map_delete_batch" => Action::DeleteBatch(f.need("keys")?),
        "bpf_map_lookup_batch" => Action::LookupBatch(f.need("max_count")?),
        "bpf_map_lookup_and_delete_batch" => Action::LookupAndDeleteBatch(f.need("max_count")?),
        "bpf_map_get_next_key_all" => Action::Keys,
        "close" => Action::Close(fd(f)?),
        "dup" => Action::Dup(fd(f)?),
        "BPF_OBJ_PIN" => Action::Pin(fd(f)?),
        "BPF_OBJ_GET" => Action::Get(fd(f)?),
        "BPF_MAP_GET_FD_BY_ID" => Action::ById(fd(f)?),
        "unlink" => {
            let path: String = f.need("path")?;
            if path != "pin of map" {
                return f.unknown("path", &path);
            }
            Action::Unlink
        }
        "prog_exists_by_id" => Action::ProgExists(prog(f)?),
        "map_exists_by_id" => Action::MapExists,
        "sleep" => Action::Sleep(f.need("ns")?),
        "set_cpu" => Action::SetCpu(f.need("cpu")?),
        "wait_callbacks" => Action::WaitCallbacks(f.need("count")?, f.need("timeout_ns")?),
        "step_clock_realtime" => Action::StepClock(f.need("ns")?),
        "outer_map_update_elem" => Action::OuterUpdate(f.need("slot")?, f.need("inner")?),
        "outer_map_delete_elem" => Action::OuterDelete(f.need("slot")?),
        _ => return f.unknown("op", name),
    })
}

/// Lookups in programs show what they read as `data`; elsewhere that is what is written.
fn action_reads_data(by: By, action: &Action) -> bool {
    matches!((by, action), (By::Prog(_), Action::Lookup(_)))
}

/// The number of a callback.
pub(super) fn callback(f: &mut Fields) -> Result<u32, Problem> {
    let n: u32 = f.need("callback")?;
    if n < CALLBACKS_MAX { Ok(n) } else { f.unknown("callback", &n.to_string()) }
}

fn elem(f: &mut Fields) -> Result<Elem, Problem> {
    let inner = f.maybe("inner")?;
    let key: Value = f.need("key")?;
    let key = match &key {
        Value::String(s) if s == "self" => None,
        Value::Number(n) if n.as_u64().is_some() => n.as_u64(),
        other => return f.unknown("key", &other.to_string()),
    };
    Ok(Elem { inner, key })
}

fn expiry(f: &mut Fields) -> Result<Expiry, Problem> {
    let value: Value = f.need("nsecs")?;
    if let Some(n) = value.as_u64() {
        return Ok(Expiry::Of(n));
    }
    let mut now = Fields::of("nsecs", value)?;
    let clock: String = now.need("now_of")?;
    let clock = match clock.as_str() {
        "CLOCK_REALTIME" => 0,
        "CLOCK_MONOTONIC" => 1,
        "CLOCK_BOOTTIME" => 7,
        other => return now.unknown("now_of", other),
    };
    let plus = now.need("plus")?;
    now.done()?;
    Ok(Expiry::NowOf(clock, plus))
}

fn update_flag(flags: u64) -> UpdateFlag {
    match flags {
        0 => UpdateFlag::Any,
        1 => UpdateFlag::NoExist,
        2 => UpdateFlag::Exist,
        4 => UpdateFlag::Lock,
        n => UpdateFlag::Other(n),
    }
}

fn prog(f: &mut Fields) -> Result<u32, Problem> {
    let name: String = f.need("prog")?;
    match name.as_str() {
        "a" => Ok(0),
        "b" => Ok(1),
        other => f.unknown("prog", other),
    }
}

fn fd(f: &mut Fields) -> Result<Fd, Problem> {
    let name: String = f.need("fd")?;
    Ok(match name.as_str() {
        // A case with an outer map calls its inner maps by number, so "map" is the outer one there.
        "map" | "outer_map" => Fd::Map,
        "map_dup" => Fd::MapDup,
        "inner_map" => Fd::Inner(f.need("inner")?),
        "prog" => Fd::Prog(prog(f)?),
        other => return f.unknown("fd", other),
    })
}

impl Action {
    /// The element that it is about.
    pub(super) fn elem(&self) -> Option<Elem> {
        match self {
            Action::Init(e, _)
            | Action::SetCallback(e, _)
            | Action::Start(e, ..)
            | Action::Cancel(e)
            | Action::Update(e, ..)
            | Action::Delete(e)
            | Action::Lookup(e)
            | Action::LookupAndDelete(e) => Some(*e),
            _ => None,
        }
    }
}
