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
use timerace_core::record::{Record, Wait};
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

/// A text as a string of DOT.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", unquoted(text))
}

/// The same without its quotation marks, to be part of one.
pub(crate) fn unquoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}
