//! The log with vector clocks is read back, and says the same as the edges of the record.

use crate::{build, golden};
use std::collections::BTreeMap;
use timerace_core::record::Record;
use timerace_reports::shiviz::{MOST_STEPS, shiviz};

type Clock = BTreeMap<String, u32>;

/// An event as the program that reads such files sees it.
struct Event {
    no: u32,
    host: String,
    clock: Clock,
}

/// Two lines an event, below the regular expression and the empty delimiter. A host's own count goes up by one, from one.
fn read(log: &str) -> Vec<Event> {
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some(r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"));
    assert_eq!(lines.next(), Some(""));
    let mut events: Vec<Event> = Vec::new();
    while let Some(event) = lines.next() {
        let (no, _) = event.split_once(": ").unwrap();
        let (host, clock) = lines.next().unwrap().split_once(' ').unwrap();
        let clock: Clock = serde_json::from_str(clock).unwrap();
        let mine = events.iter().rev().find(|e| e.host == host).map_or(0, |e| e.clock[host]);
        assert_eq!(clock[host], mine + 1, "{event}");
        for (other, n) in clock.iter().filter(|(other, _)| *other != host) {
            let known = events.iter().any(|e| e.host == *other && e.clock[other] == *n);
            assert!(known, "{event}: event {n} of {other} does not exist");
        }
        events.push(Event { no: no.parse().unwrap(), host: host.to_string(), clock });
    }
    events
}

fn is_before(a: &Clock, b: &Clock) -> bool {
    a != b && a.iter().all(|(host, n)| b.get(host).is_some_and(|m| n <= m))
}

/// For each step of a record, by index, whether a way of edges leads from the step with this index to it.
fn reached(rec: &Record, from: usize) -> Vec<bool> {
    let mut yes = vec![false; rec.steps.len()];
    for (i, s) in rec.steps.iter().enumerate().skip(from + 1) {
        let no = rec.steps[from].no;
        let by = |no: u32| rec.steps[..i].iter().position(|s| s.no == no).is_some_and(|j| yes[j]);
        let own = (from..i).any(|j| rec.steps[j].ctx == s.ctx && (j == from || yes[j]));
        yes[i] = own || s.after.iter().any(|e| e.from == no || by(e.from));
    }
    yes
}

/// One clock is before another if, and only if, the one step comes before the other.
pub fn check(rec: &Record) {
    let Some(log) = shiviz(rec) else { return };
    let events = read(&log);
    let shown: Vec<usize> = (0..rec.steps.len()).filter(|i| !rec.steps[*i].quiet).collect();
    assert_eq!(events.len(), shown.len());
    for (a, i) in events.iter().zip(&shown) {
        assert_eq!(a.no, rec.steps[*i].no);
        let yes = reached(rec, *i);
        for (b, j) in events.iter().zip(&shown) {
            let (x, y) = (rec.steps[*i].no, rec.steps[*j].no);
            assert_eq!(is_before(&a.clock, &b.clock), yes[*j], "steps {x} and {y}\n{log}");
        }
    }
}

#[test]
fn clocks_agree_with_the_edges_of_the_record() {
    let uaf = build::cancel_free_uaf(false);
    for rec in [&uaf, &build::mutual_cancel(), &build::three_cpus(), &build::interrupted()] {
        check(rec);
    }
    let log = shiviz(&uaf).unwrap();
    golden::check("trace.shiviz", &log);
    assert_eq!(log.matches("// BUG: use-after-free").count(), 1);
}

#[test]
fn names_of_hosts_are_words_and_different() {
    let mut rec = build::mutual_cancel();
    for c in &mut rec.contexts {
        c.cpu = None;
        c.name = "two words".to_string();
    }
    check(&rec);
    let hosts: Vec<String> = read(&shiviz(&rec).unwrap()).into_iter().map(|e| e.host).collect();
    assert!(hosts.contains(&"two_words".to_string()) && hosts.contains(&"two_words#1".to_string()));
}

#[test]
fn a_run_of_very_many_steps_has_none() {
    assert_eq!(shiviz(&build::repeated(MOST_STEPS + 1)), None);
}
