//! Graphs of findings, and the matrix of a suite.

use crate::{build, golden, svg};
use std::collections::BTreeSet;
use timerace_core::CtxId;
use timerace_core::lockdep::{LockClass, LockEdge, LockGraph};
use timerace_core::record::{LockStep, Side};
use timerace_reports::graph_svg::{Edge, Graph, MOST_EDGES, Node, graph_svg};
use timerace_reports::graphs::{happens_before_dot, lock_order_svg, waits_for_dot, waits_for_svg};
use timerace_reports::matrix_svg::matrix_svg;
use timerace_reports::origin::Origin;
use timerace_reports::table::{Case, CaseState};
use timerace_reports::theme::Theme;

/// Every edge joins nodes that are declared.
fn check_dot(text: &str) {
    let node = |l: &str| l.trim().split_once(" [").map(|(n, _)| n.to_string());
    let nodes: BTreeSet<String> =
        text.lines().filter(|l| !l.contains(" -> ")).filter_map(node).collect();
    let mut edges = 0;
    for line in text.lines().filter(|l| l.contains(" -> ")) {
        let ends = line.split(" [").next().unwrap().trim_end_matches(';');
        for end in ends.split(" -> ") {
            assert!(nodes.contains(end.trim()), "{end} in {line}");
        }
        edges += 1;
    }
    assert!(edges > 0 && text.matches('{').count() == text.matches('}').count(), "{text}");
}

#[test]
fn happens_before_has_the_lock_and_lacks_the_sides() {
    let text = happens_before_dot(&build::cancel_free_uaf(false), 0).unwrap();
    check_dot(&text);
    golden::check("happens-before.dot", &text);
    assert!(text.contains("unlock \u{2192} lock") && text.contains("style=dashed"), "{text}");
    assert_eq!(happens_before_dot(&build::cancel_free_uaf(false), 9), None);
}

#[test]
fn who_waits_for_whom_is_a_circle_in_a_deadlock_only() {
    let text = waits_for_dot(&build::mutual_cancel(), 0).unwrap();
    check_dot(&text);
    golden::check("waits-for.dot", &text);
    assert_eq!(text.matches("style=bold").count(), 2);
    assert_eq!(waits_for_dot(&build::cancel_free_uaf(false), 0), None);
}

fn case(scenario: &str, kernel: &str, state: CaseState, note: &str) -> Case {
    Case {
        scenario: scenario.to_string(),
        kernel: kernel.to_string(),
        state,
        count: None,
        note: note.to_string(),
        details: Vec::new(),
        repeat: None,
    }
}

#[test]
fn neighbours_with_the_same_outcome_share_a_bar() {
    let kernels = ["v5.15", "v6.1", "v6.6", "v6.7", "v6.8", "v6.9", "v6.10", "v6.11", "v6.12"];
    let mut cases = Vec::new();
    for (i, k) in kernels.iter().enumerate() {
        let note = if i < 4 { "finds USE_AFTER_FREE" } else { "complete" };
        cases.push(case("r07-cancel-free-uaf", k, CaseState::Ok, note));
        let state = if i == 6 { CaseState::Failed } else { CaseState::Ok };
        cases.push(case("lru-evict-running-callback", k, state, "complete"));
        let state = if i == 8 { CaseState::Incomplete } else { CaseState::Ok };
        cases.push(case("start-vs-delete", k, state, "finds DEADLOCK, USE_AFTER_FREE"));
    }
    let command = "timerace test scenarios --kernel v5.15..v6.12";
    let drawn = matrix_svg(&cases, command, Theme::Light);
    svg::check("matrix", &drawn);
    golden::check("matrix.svg", &drawn);
    assert_eq!(drawn.matches(">USE_AFTER_FREE<").count(), 1);
    assert_eq!(drawn.matches(">FAIL<").count(), 1);
    assert!(drawn.contains("r07-cancel-free-uaf, v5.15 to v6.7: USE_AFTER_FREE"));
    svg::check("dark", &matrix_svg(&cases, command, Theme::Dark));
    svg::check("nothing", &matrix_svg(&[], command, Theme::Light));
    let long = format!("timerace test{}", " races/r07-cancel-free-uaf.ron".repeat(20));
    let drawn = matrix_svg(&cases, &long, Theme::Light);
    svg::check("a long command", &drawn);
    assert!(drawn.matches("races/r07-cancel-free-uaf.ron</text>").count() > 3, "{drawn}");
}

#[test]
fn who_waits_for_whom_is_drawn() {
    let origin = Origin { file: "m.ron".into(), kernel: "v6.8".into(), ..Origin::default() };
    let rec = build::mutual_cancel();
    let drawn = waits_for_svg(&rec, 0, &origin, Theme::Light).unwrap();
    golden::check("waits-for.svg", &drawn);
    for theme in [Theme::Light, Theme::Dark] {
        svg::check("waits-for", &waits_for_svg(&rec, 0, &origin, theme).unwrap());
    }
    let mut twice = rec.clone();
    let again = twice.findings[0].waits.clone();
    twice.findings[0].waits.extend(again);
    assert_eq!(waits_for_svg(&twice, 0, &origin, Theme::Light).as_ref(), Some(&drawn));
    assert_eq!(waits_for_dot(&twice, 0), waits_for_dot(&rec, 0));
    let f = &rec.findings[0];
    for w in &f.waits {
        assert!(drawn.contains(&w.func), "{}", w.func);
    }
    assert_eq!(waits_for_svg(&build::cancel_free_uaf(false), 0, &origin, Theme::Light), None);
}

#[test]
fn graphs_of_any_shape_have_their_texts_apart() {
    let node = |i: usize| Node {
        label: format!("context {i} on CPU{}", i % 3),
        round: i.is_multiple_of(4),
    };
    let edge = |(from, to): (usize, usize)| {
        let label = format!("bpf_timer_cancel: while (base->running == timer {from})");
        Edge { from, to, label, bad: (from + to).is_multiple_of(2) }
    };
    for shape in 0..MOST_EDGES {
        let n = 1 + shape % 9;
        let edges = (0..shape).map(|i| edge((i * 7 % n, (i * i + shape) % n)));
        let graph = Graph {
            title: "BUG: deadlock".into(),
            about: "who waits".into(),
            command: "timerace replay x.ron".into(),
            nodes: (0..n).map(node).collect(),
            edges: edges.collect(),
        };
        svg::check(&format!("shape {shape}"), &graph_svg(&graph, Theme::Dark).unwrap());
    }
}

fn locks() -> LockGraph {
    let class = |name: &str, in_nmi| LockClass {
        name: name.to_string(),
        in_hardirq: false,
        irqs_on: true,
        in_softirq: true,
        softirqs_on: false,
        in_nmi,
    };
    let edge = |from: &str, to: &str, func: &str| LockEdge {
        from: from.to_string(),
        to: to.to_string(),
        func: func.to_string(),
    };
    LockGraph {
        classes: vec![
            class("alone", false),
            class("cpu_base->lock", false),
            class("timer->lock", true),
            class("timers.bucket.lock", false),
        ],
        edges: vec![
            edge("timer->lock", "cpu_base->lock", "hrtimer_start"),
            edge("timers.bucket.lock", "timer->lock", "bpf_timer_cancel_and_free"),
        ],
    }
}

#[test]
fn the_order_of_locks_is_a_picture_and_interrupts_close_the_circle() {
    let side = |step| Side {
        step,
        ctx: CtxId(0),
        func: "bpf_timer_cancel_and_free".to_string(),
        text: "spin_lock(&timer->lock)".to_string(),
    };
    let nmi = [LockStep {
        from: "timer->lock".to_string(),
        to: "timer->lock".to_string(),
        interrupt: Some("NMI"),
        held: side(3),
        taken: side(9),
    }];
    let command = "timerace explore nmi.ron --kernel v6.19";
    for theme in [Theme::Light, Theme::Dark] {
        let drawn = lock_order_svg(&locks(), &[&nmi], command, theme).unwrap();
        svg::check("lock-order", &drawn);
        assert!(drawn.contains(">in an NMI</text>") && drawn.contains(">hrtimer_start</text>"));
        assert!(drawn.contains("timer-&gt;lock {+-}, in NMI"), "{drawn}");
        assert!(!drawn.contains("alone"), "a lock without an order has no place in it");
    }
    let drawn = lock_order_svg(&locks(), &[&nmi], command, Theme::Light).unwrap();
    golden::check("lock-order.svg", &drawn);
    let calm = lock_order_svg(&locks(), &[], command, Theme::Light).unwrap();
    assert!(calm.contains("The order in which locks are taken") && !calm.contains("in an NMI"));
    assert_eq!(lock_order_svg(&LockGraph::default(), &[], command, Theme::Light), None);
}
