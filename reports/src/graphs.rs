//! Graphs of a finding in the DOT language, for those who want to lay them out themselves. `race.svg` draws the same edges.

use crate::arrows::{Says, arrows, step_of};
use crate::facts::Facts;
use crate::graph_svg::{Edge, Graph, Node, graph_svg};
use crate::interleaving::{Detail, interleaving};
use crate::marks::edge_text;
use crate::origin::Origin;
use crate::theme::Theme;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use timerace_core::lockdep::LockGraph;
use timerace_core::record::{LockStep, Record, Wait};
use timerace_core::{CtxId, CtxKind};

/// `happens-before.dot`: the steps that matter for a finding (by index), a cluster per CPU. Solid edges order steps in every
/// run: the order of a context's own steps, a lock that is handed on, work that is queued before it runs. A dashed edge
/// without a place in the order joins the sides of the finding that nothing orders. `None`: no such finding.
pub fn happens_before_dot(rec: &Record, finding: usize) -> Option<String> {
    let f = rec.findings.get(finding)?;
    let facts = Facts::new(rec);
    let il = interleaving(rec, Some(finding), Detail::Chosen);
    let mut out = String::from(
        "digraph happens_before {\n    rankdir=TB;\n    node [shape=box, fontname=\"monospace\"];\n",
    );
    let rows: Vec<_> = il.rows.iter().filter_map(|r| step_of(r).map(|no| (no, r))).collect();
    for (i, column) in il.columns.iter().enumerate() {
        let _ = writeln!(
            out,
            "    subgraph cluster_{i} {{\n        label={};",
            quoted(&column.heading())
        );
        for (no, r) in rows.iter().filter(|(_, r)| r.column == i) {
            let bad = if r.mark.is_some() { ", style=bold, color=red" } else { "" };
            let _ = writeln!(
                out,
                "        s{no} [label={}{bad}];",
                quoted(&format!("{no}: {}", r.text))
            );
        }
        out.push_str("    }\n");
    }
    let mut last: BTreeMap<CtxId, u32> = BTreeMap::new();
    for (no, r) in &rows {
        if let Some(before) = last.insert(r.ctx, *no) {
            let _ = writeln!(out, "    s{before} -> s{no};");
        }
    }
    for a in arrows(&facts, Some(f), &il) {
        let (Some(from), Some(to)) = (step_of(&il.rows[a.from]), step_of(&il.rows[a.to])) else {
            continue;
        };
        let style = match a.says {
            Says::NotOrdered => ", style=dashed, color=red, constraint=false",
            _ => "",
        };
        let _ = writeln!(out, "    s{from} -> s{to} [label={}{style}];", quoted(a.label));
    }
    out.push_str("}\n");
    Some(out)
}

/// `waits-for.dot`: who waits for whom at a deadlock, the circle in bold, and where. `None`: it is no deadlock.
pub fn waits_for_dot(rec: &Record, finding: usize) -> Option<String> {
    let f = rec.findings.get(finding).filter(|f| !f.waits.is_empty())?;
    let facts = Facts::new(rec);
    let circle: BTreeSet<(CtxId, CtxId)> =
        facts.circle(&f.waits, f.at.ctx).iter().map(|w| (w.waiter, w.holder)).collect();
    let mut out =
        String::from("digraph waits_for {\n    node [shape=box, fontname=\"monospace\"];\n");
    let who: BTreeSet<CtxId> = f.waits.iter().flat_map(|w| [w.waiter, w.holder]).collect();
    for c in &who {
        let round = if facts.kind(*c) == CtxKind::Helper { ", shape=ellipse" } else { "" };
        let _ = writeln!(out, "    c{} [label={}{round}];", c.0, quoted(&facts.name_and_place(*c)));
    }
    for w in distinct(&f.waits) {
        let bold = if circle.contains(&(w.waiter, w.holder)) { ", style=bold" } else { "" };
        let label = quoted(&format!("{}: {}", w.func, w.text));
        let tip = quoted(&edge_text(&facts, w));
        let _ = writeln!(
            out,
            "    c{} -> c{} [label={label}, tooltip={tip}{bold}];",
            w.waiter.0, w.holder.0
        );
    }
    out.push_str("}\n");
    Some(out)
}

/// `lock-order.dot`: the classes of locks of a search, with lockdep's marks (hard interrupts, softirqs: `+` taken with them
/// on, `-` taken inside, `?` both, `.` neither), and an arrow from each class to those that were waited for under it. What
/// a finding's circle is made of is red; its interrupts are dashed. `None`: no lock was taken under another.
pub fn lock_order_dot(graph: &LockGraph, circles: &[&[LockStep]]) -> Option<String> {
    if graph.edges.is_empty() && circles.is_empty() {
        return None;
    }
    let mut out =
        String::from("digraph lock_order {\n    node [shape=box, fontname=\"monospace\"];\n");
    let bad: BTreeSet<(&str, &str, Option<&str>)> = circles
        .iter()
        .flat_map(|c| c.iter())
        .map(|a| (a.from.as_str(), a.to.as_str(), a.interrupt))
        .collect();
    for c in &graph.classes {
        let nmi = if c.in_nmi { ", in NMI" } else { "" };
        let label = format!("{} {{{}}}{nmi}", c.name, c.marks());
        let red = if bad.iter().any(|b| b.0 == c.name) { ", color=red" } else { "" };
        let _ = writeln!(out, "    {} [label={}{red}];", quoted(&c.name), quoted(&label));
    }
    for e in &graph.edges {
        let red = bad.contains(&(e.from.as_str(), e.to.as_str(), None));
        let red = if red { ", style=bold, color=red" } else { "" };
        let (from, to, func) = (quoted(&e.from), quoted(&e.to), quoted(&e.func));
        let _ = writeln!(out, "    {from} -> {to} [label={func}{red}];");
    }
    for (from, to, interrupt) in bad.iter().filter_map(|b| Some((b.0, b.1, b.2?))) {
        let (from, to, label) = (quoted(from), quoted(to), quoted(interrupt));
        let _ = writeln!(out, "    {from} -> {to} [label={label}, style=dashed, color=red];");
    }
    out.push_str("}\n");
    Some(out)
}

/// `lock-order.svg`: the same as a picture, what interrupts add included. `None`: nothing to show, or too large.
pub fn lock_order_svg(
    graph: &LockGraph,
    circles: &[&[LockStep]],
    command: &str,
    theme: Theme,
) -> Option<String> {
    if graph.edges.is_empty() && circles.is_empty() {
        return None;
    }
    let steps = || circles.iter().flat_map(|c| c.iter());
    let bad: BTreeSet<(&str, &str)> = steps().map(|a| (a.from.as_str(), a.to.as_str())).collect();
    let at = |name: &str| graph.classes.iter().position(|c| c.name == name);
    let node = |c: &timerace_core::lockdep::LockClass| {
        let nmi = if c.in_nmi { ", in NMI" } else { "" };
        Node { label: format!("{} {{{}}}{nmi}", c.name, c.marks()), round: false }
    };
    let mut edges: Vec<Edge> = Vec::new();
    for e in &graph.edges {
        let bad = bad.contains(&(e.from.as_str(), e.to.as_str()));
        edges.push(Edge { from: at(&e.from)?, to: at(&e.to)?, label: e.func.clone(), bad });
    }
    let known = |from: usize, to: usize, label: &str, edges: &[Edge]| {
        edges.iter().any(|e| (e.from, e.to) == (from, to) && e.label == label)
    };
    for a in steps() {
        let Some(interrupt) = a.interrupt else { continue };
        let article = if interrupt == "NMI" { "an" } else { "a" };
        let (from, to, label) = (at(&a.from)?, at(&a.to)?, format!("in {article} {interrupt}"));
        if !known(from, to, &label, &edges) {
            edges.push(Edge { from, to, label, bad: true });
        }
    }
    let title = match steps().next() {
        Some(_) => "BUG: locks are taken in a circle",
        None => "The order in which locks are taken",
    };
    // A lock that is taken under no other one has no place in an order.
    let used: Vec<usize> = (0..graph.classes.len())
        .filter(|i| edges.iter().any(|e| e.from == *i || e.to == *i))
        .collect();
    let place = |i: usize| used.iter().position(|u| *u == i);
    for e in &mut edges {
        (e.from, e.to) = (place(e.from)?, place(e.to)?);
    }
    let graph = Graph {
        title: title.to_string(),
        about: "From each class to those waited for under it; marks as lockdep's: hard interrupts, softirqs."
            .to_string(),
        command: command.to_string(),
        nodes: used.iter().map(|i| node(&graph.classes[*i])).collect(),
        edges,
    };
    graph_svg(&graph, theme)
}

/// `waits-for.svg`: the same as a picture. `None`: it is no deadlock, or too large.
pub fn waits_for_svg(
    rec: &Record,
    finding: usize,
    origin: &Origin,
    theme: Theme,
) -> Option<String> {
    let f = rec.findings.get(finding).filter(|f| !f.waits.is_empty())?;
    let facts = Facts::new(rec);
    let circle: BTreeSet<(CtxId, CtxId)> =
        facts.circle(&f.waits, f.at.ctx).iter().map(|w| (w.waiter, w.holder)).collect();
    let who: BTreeSet<CtxId> = f.waits.iter().flat_map(|w| [w.waiter, w.holder]).collect();
    let who: Vec<CtxId> = who.into_iter().collect();
    let node = |c: &CtxId| Node {
        label: facts.name_and_place(*c),
        round: facts.kind(*c) == CtxKind::Helper,
    };
    let at = |c: CtxId| who.iter().position(|w| *w == c);
    let edge = |w: &Wait| {
        let cpu = if w.through_cpu { " (its CPU is taken)" } else { "" };
        Some(Edge {
            from: at(w.waiter)?,
            to: at(w.holder)?,
            label: format!("{}: {}{cpu}", w.func, w.text),
            bad: circle.contains(&(w.waiter, w.holder)),
        })
    };
    let graph = Graph {
        title: format!("BUG: {}", f.title()),
        about: "Who waits for whom, and where; the circle is bold.".to_string(),
        command: origin.replay(&rec.text),
        nodes: who.iter().map(node).collect(),
        edges: distinct(&f.waits).into_iter().filter_map(edge).collect(),
    };
    graph_svg(&graph, theme)
}

/// A context that waits for another one in one way is said once, however many things it waits for.
fn distinct(waits: &[Wait]) -> Vec<&Wait> {
    let mut out: Vec<&Wait> = Vec::new();
    for w in waits {
        let same = |o: &&&Wait| {
            (o.waiter, o.holder, &o.func, &o.text) == (w.waiter, w.holder, &w.func, &w.text)
        };
        if !out.iter().any(|o| same(&o)) {
            out.push(w);
        }
    }
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}
