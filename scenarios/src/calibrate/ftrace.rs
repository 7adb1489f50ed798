//! The text of ftrace (`/sys/kernel/tracing/trace`) and of `trace-cmd report`.
//!
//! A line is `TASK-PID [CPU] FLAGS SECONDS: EVENT: NAME=VALUE ..`; trace-cmd may leave the flags out. The clock must be
//! `mono`, for expiries are times of it. What the events say about costs: [`super::measure`].

use super::{Recording, Wrong, measure, number};

pub(super) fn read(name: &str, text: &str) -> Result<Recording, Wrong> {
    let mut events = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let at = |(col, what)| (i + 1, col, what);
        lost(line).map_err(at)?;
        if line.starts_with('#') || line.trim().is_empty() || line.starts_with("cpus=") {
            continue;
        }
        events.push((i + 1, Event::of(line).map_err(at)?));
    }
    if events.is_empty() {
        return Err((text.lines().count(), 1, "the trace has no events".to_string()));
    }
    measure::read(name, &events)
}

/// A trace that has lost events says so: in the line where it happened, or in its header.
fn lost(line: &str) -> Result<(), (usize, String)> {
    let help = "record again with a larger buffer (buffer_size_kb)";
    for mark in ["[LOST ", "EVENTS DROPPED", "events lost"] {
        if let Some(at) = line.find(mark) {
            let col = line[..at].chars().count() + 1;
            return Err((col, format!("the trace has lost events here; {help}")));
        }
    }
    let Some(rest) = line.strip_prefix("# entries-in-buffer/entries-written: ") else {
        return Ok(());
    };
    let col = line.len() - rest.len() + 1;
    let (kept, written) =
        rest.split_whitespace().next().and_then(|t| t.split_once('/')).unwrap_or_default();
    let parse =
        |t: &str| t.parse::<u64>().map_err(|_| (col, format!("`{t}` is no number of entries")));
    let (kept, written) = (parse(kept)?, parse(written)?);
    if kept < written {
        let n = written - kept;
        return Err((col, format!("{n} of {written} events were overwritten; {help}")));
    }
    Ok(())
}

/// A line of a trace. Columns of messages are those of `line`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Event<'t> {
    pub line: &'t str,
    pub cpu: u32,
    pub ns: u64,
    pub name: &'t str,
    pub args: &'t str,
}

impl<'t> Event<'t> {
    fn of(line: &'t str) -> Result<Event<'t>, (usize, String)> {
        let no_event =
            || (1, "this is no line of a trace: TASK-PID [CPU] .. SECONDS: EVENT: ..".to_string());
        let cpu = line.match_indices('[').find_map(|(i, _)| {
            let (number, rest) = line[i + 1..].split_once(']')?;
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            (digits && rest.starts_with(' ')).then_some((number.parse().ok()?, rest))
        });
        let (cpu, rest) = cpu.ok_or_else(no_event)?;
        let time = |t: &&str| {
            t.ends_with(':') && t.starts_with(|c: char| c.is_ascii_digit()) && t.contains('.')
        };
        let stamp = rest.split_whitespace().take(2).find(time).ok_or_else(no_event)?;
        let start = offset(line, stamp);
        let ns = seconds(&stamp[..stamp.len() - 1])
            .map_err(|what| (line[..start].chars().count() + 1, what))?;
        let after = line[start + stamp.len()..].trim_start();
        let (name, args) = after.split_once(':').ok_or_else(no_event)?;
        Ok(Event { line, cpu, ns, name, args })
    }

    pub fn field(&self, name: &str) -> Option<&'t str> {
        self.args.split_whitespace().find_map(|f| f.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn must(&self, name: &str) -> Result<&'t str, (usize, String)> {
        let col = self.line[..offset(self.line, self.args)].chars().count() + 1;
        self.field(name).ok_or_else(|| (col, format!("{} has no `{name}=`", self.name)))
    }

    pub fn number(&self, name: &str) -> Result<u64, (usize, String)> {
        let text = self.must(name)?;
        let col = self.line[..offset(self.line, text)].chars().count() + 1;
        number(text, name).map_err(|what| (col, what))
    }
}

/// Where a part of a line begins, in bytes.
fn offset(line: &str, part: &str) -> usize {
    part.as_ptr() as usize - line.as_ptr() as usize
}

/// Nanoseconds of a time in seconds with a fraction.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time in seconds with at most 9 decimals");
    let (whole, fraction) = text.split_once('.').ok_or_else(wrong)?;
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let ns: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    let whole =
        whole.parse::<u64>().ok().and_then(|s| s.checked_mul(1_000_000_000)?.checked_add(ns));
    whole.filter(|n| *n <= 1 << 62).ok_or_else(|| format!("{text} s is more than 2^62 ns"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_tools_are_read() {
        let ftrace = "  <idle>-0       [001] ..s1.    27.195951: hrtimer_expire_entry: hrtimer=00005 function=bpf_timer_cb now=27195946809";
        let cmd = " a [b]-12 [001] 27.195951123: hrtimer_expire_entry: hrtimer=0x5 function=bpf_timer_cb now=27195946809";
        let e = Event::of(ftrace).unwrap();
        assert_eq!((e.ns, e.name), (27_195_951_000, "hrtimer_expire_entry"));
        assert_eq!(e.number("now"), Ok(27_195_946_809));
        let e = Event::of(cmd).unwrap();
        assert_eq!((e.ns, e.field("hrtimer")), (27_195_951_123, Some("0x5")));
        assert!(Event::of("no line of a trace").is_err());
    }

    #[test]
    fn lost_events_are_seen() {
        assert!(lost("CPU:1 [LOST 12 EVENTS]").is_err());
        assert!(lost("# entries-in-buffer/entries-written: 10/12   #P:4").is_err());
        assert!(lost("# entries-in-buffer/entries-written: 12/12   #P:4").is_ok());
    }
}
