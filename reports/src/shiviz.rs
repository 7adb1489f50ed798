//! `trace.shiviz`: the steps with vector clocks, in the text format of ShiViz, which draws them as a space-time diagram with
//! a line down for each context. Steps that touch the same thing, which one of them writes, are ordered, and what follows
//! from that; two steps without a way down the page from one to the other could as well come the other way round.

use crate::facts::Facts;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use timerace_core::CtxId;
use timerace_core::record::Record;

/// Longer runs have too many events for a diagram of all of them.
pub const MOST_STEPS: usize = 5_000;

/// The first line of a file says how to read it, the second what parts several runs: nothing here.
const HEAD: &str = "(?<event>.*)\\n(?<host>\\S*) (?<clock>{.*})\n\n";

/// The log of a run; `None`: it is too long, or no step is shown. What belongs to the step beside it (the mask of a lock) is
/// no event, but orders.
pub fn shiviz(rec: &Record) -> Option<String> {
    let shown = rec.steps.iter().filter(|s| !s.quiet).count();
    if shown == 0 || shown > MOST_STEPS {
        return None;
    }
    let facts = Facts::new(rec);
    let hosts = hosts(&facts);
    let mut out = String::from(HEAD);
    // Events of each context that come before a step, or are it.
    let mut clocks: Vec<Vec<u32>> = Vec::with_capacity(rec.steps.len());
    let mut last: BTreeMap<CtxId, usize> = BTreeMap::new();
    for (i, s) in rec.steps.iter().enumerate() {
        let mut clock = vec![0; hosts.len()];
        for before in facts.before(i).map(|(from, _)| from).chain(last.insert(s.ctx, i)) {
            for (mine, theirs) in clock.iter_mut().zip(&clocks[before]) {
                *mine = (*mine).max(*theirs);
            }
        }
        if !s.quiet {
            clock[s.ctx.index()] += 1;
            let bad = rec.findings.iter().filter(|f| f.at.step == s.no && f.at.ctx == s.ctx);
            let bad: String = bad.map(|f| format!("  // BUG: {}", f.title())).collect();
            let text = s.text.replace(['\n', '\r'], " ");
            let _ = writeln!(out, "{}: {text}{bad}", s.no);
            let _ = writeln!(out, "{} {}", hosts[s.ctx.index()], json(&hosts, &clock));
        }
        clocks.push(clock);
    }
    Some(out)
}

/// `CPU1:cancel`: a word for each context, all different.
fn hosts(facts: &Facts<'_>) -> Vec<String> {
    let word = |c: CtxId| {
        let name = match facts.spec(c).and_then(|s| s.cpu) {
            Some(cpu) => format!("{cpu}:{}", facts.name(c)),
            None => facts.name(c),
        };
        name.split_whitespace().collect::<Vec<_>>().join("_")
    };
    let mut taken = BTreeSet::new();
    let mut unique = |i: usize| {
        let word = word(CtxId(i as u16));
        let name = if taken.contains(&word) { format!("{word}#{i}") } else { word };
        taken.insert(name.clone());
        name
    };
    let known = facts.rec.contexts.len();
    let used = facts.rec.steps.iter().map(|s| s.ctx.index() + 1).max().unwrap_or(0);
    (0..known.max(used)).map(&mut unique).collect()
}

fn json(hosts: &[String], clock: &[u32]) -> Value {
    let known = hosts.iter().zip(clock).filter(|(_, n)| **n > 0);
    Value::Object(known.map(|(h, n)| (h.clone(), Value::from(*n))).collect::<Map<_, _>>())
}
