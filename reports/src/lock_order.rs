//! The order in which a search saw locks taken, as a graph: lockdep's two rules are about its circles.

use crate::graph_svg::{Edge, Graph, Node, graph_svg};
use crate::graphs::quoted;
use crate::theme::Theme;
use serde_json::{Value, json};
use std::fmt::Write as _;
use timerace_core::lockdep::LockGraph;
use timerace_core::record::LockStep;

/// A class of locks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Class {
    name: String,
    /// lockdep's marks: hard interrupts, softirqs; `+` taken with them on, `-` taken inside, `?` both, `.` neither.
    marks: String,
    in_nmi: bool,
    bad: bool,
}

impl Class {
    fn label(&self) -> String {
        let nmi = if self.in_nmi { ", in NMI" } else { "" };
        format!("{} {{{}}}{nmi}", self.name, self.marks)
    }
}

/// From a class to one that was waited for under it, or that an interrupt takes which can come meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrow {
    from: String,
    to: String,
    /// The function that waited, or the interrupt.
    label: String,
    interrupt: bool,
    bad: bool,
}

/// The classes of locks of a search, and an arrow from each to those that were waited for under it. What the circle of a
/// finding is made of is marked; its interrupts are arrows too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOrder {
    classes: Vec<Class>,
    arrows: Vec<Arrow>,
}

impl LockOrder {
    /// What a search saw, and the circles of its findings. `None`: no lock was taken under another.
    pub fn of(graph: &LockGraph, circles: &[&[LockStep]]) -> Option<LockOrder> {
        let steps = || circles.iter().flat_map(|c| c.iter());
        let bad_class = |name: &str| steps().any(|s| s.from == name);
        let classes = graph.classes.iter().map(|c| Class {
            name: c.name.clone(),
            marks: c.marks(),
            in_nmi: c.in_nmi,
            bad: bad_class(&c.name),
        });
        let bad = |from: &str, to: &str| {
            steps().any(|s| s.interrupt.is_none() && s.from == from && s.to == to)
        };
        let mut arrows: Vec<Arrow> = graph
            .edges
            .iter()
            .map(|e| Arrow {
                from: e.from.clone(),
                to: e.to.clone(),
                label: e.func.clone(),
                interrupt: false,
                bad: bad(&e.from, &e.to),
            })
            .collect();
        for s in steps() {
            let Some(interrupt) = s.interrupt else { continue };
            let article = if interrupt == "NMI" { "an" } else { "a" };
            let arrow = Arrow {
                from: s.from.clone(),
                to: s.to.clone(),
                label: format!("in {article} {interrupt}"),
                interrupt: true,
                bad: true,
            };
            if !arrows.contains(&arrow) {
                arrows.push(arrow);
            }
        }
        (!arrows.is_empty()).then(|| LockOrder { classes: classes.collect(), arrows })
    }

    /// As it stands in `result.json`.
    pub fn json(&self) -> Value {
        let class = |c: &Class| json!({ "name": c.name, "marks": c.marks, "in_nmi": c.in_nmi, "bad": c.bad });
        let arrow = |a: &Arrow| json!({ "from": a.from, "to": a.to, "label": a.label, "interrupt": a.interrupt, "bad": a.bad });
        json!({
            "classes": self.classes.iter().map(class).collect::<Value>(),
            "arrows": self.arrows.iter().map(arrow).collect::<Value>(),
        })
    }

    /// What the result of a search says of it; `None`: nothing, or nothing that can be read.
    pub fn read(result: &Value) -> Option<LockOrder> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let class = |v: &Value| {
            Some(Class {
                name: text(&v["name"])?,
                marks: text(&v["marks"])?,
                in_nmi: v["in_nmi"].as_bool()?,
                bad: v["bad"].as_bool()?,
            })
        };
        let arrow = |v: &Value| {
            Some(Arrow {
                from: text(&v["from"])?,
                to: text(&v["to"])?,
                label: text(&v["label"])?,
                interrupt: v["interrupt"].as_bool()?,
                bad: v["bad"].as_bool()?,
            })
        };
        let v = &result["locks"];
        Some(LockOrder {
            classes: v["classes"].as_array()?.iter().map(class).collect::<Option<_>>()?,
            arrows: v["arrows"].as_array()?.iter().map(arrow).collect::<Option<_>>()?,
        })
    }

    /// `lock-order.dot`. What is wrong is red; interrupts are dashed.
    pub fn dot(&self) -> String {
        let mut out =
            String::from("digraph lock_order {\n    node [shape=box, fontname=\"monospace\"];\n");
        for c in &self.classes {
            let red = if c.bad { ", color=red" } else { "" };
            let _ = writeln!(out, "    {} [label={}{red}];", quoted(&c.name), quoted(&c.label()));
        }
        for a in &self.arrows {
            let style = match (a.interrupt, a.bad) {
                (true, _) => ", style=dashed, color=red",
                (false, true) => ", style=bold, color=red",
                (false, false) => "",
            };
            let (from, to, label) = (quoted(&a.from), quoted(&a.to), quoted(&a.label));
            let _ = writeln!(out, "    {from} -> {to} [label={label}{style}];");
        }
        out.push_str("}\n");
        out
    }

    /// `lock-order.svg`. `None`: too large.
    pub fn svg(&self, command: &str, theme: Theme) -> Option<String> {
        // A lock that is taken under no other one has no place in an order.
        let used = |c: &&Class| self.arrows.iter().any(|a| a.from == c.name || a.to == c.name);
        let used: Vec<&Class> = self.classes.iter().filter(used).collect();
        let at = |name: &str| used.iter().position(|c| c.name == name);
        let edge = |a: &Arrow| {
            let (from, to) = (at(&a.from)?, at(&a.to)?);
            Some(Edge { from, to, label: a.label.clone(), bad: a.bad })
        };
        let title = if self.arrows.iter().any(|a| a.bad) {
            "BUG: locks are taken in a circle"
        } else {
            "The order in which locks are taken"
        };
        let graph = Graph {
            title: title.to_string(),
            about: "From each class to those waited for under it; marks as lockdep's: hard interrupts, softirqs."
                .to_string(),
            command: command.to_string(),
            nodes: used.iter().map(|c| Node { label: c.label(), round: false }).collect(),
            edges: self.arrows.iter().map(edge).collect::<Option<_>>()?,
        };
        graph_svg(&graph, theme)
    }
}
