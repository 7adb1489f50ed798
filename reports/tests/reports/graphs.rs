//! Graphs of findings, and the matrix of a suite.

use crate::{build, golden, svg};
use std::collections::BTreeSet;
use timerace_core::ends::End;
use timerace_core::lockdep::{LockClass, LockEdge, LockGraph};
use timerace_core::record::{LockStep, Record, Side};
use timerace_core::result::{Engine, Exploration};
use timerace_core::schedule::Schedule;
use timerace_core::{Class, CtxId};
use timerace_reports::final_states::FinalStates;
use timerace_reports::final_states_svg::{MOST_STATES, final_states_svg};
use timerace_reports::graph_svg::{Edge, Graph, MOST_EDGES, Node, graph_svg};
use timerace_reports::graphs::{happens_before_dot, waits_for_dot, waits_for_svg};
use timerace_reports::happens_before_svg::happens_before_svg;
use timerace_reports::lock_order::LockOrder;
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
fn what_is_not_ordered_stands_at_any_height() {
    let origin = Origin { file: "c.ron".into(), kernel: "v6.7".into(), ..Origin::default() };
    let rec = build::cancel_free_uaf(false);
    for theme in [Theme::Light, Theme::Dark] {
        svg::check("happens-before", &happens_before_svg(&rec, 0, &origin, theme).unwrap());
    }
    let drawn = happens_before_svg(&rec, 0, &origin, Theme::Light).unwrap();
    golden::check("happens-before.svg", &drawn);
    let height = |step: &str| -> f64 {
        let text = drawn.split("<text").find(|t| t.contains(&format!(">{step}: "))).unwrap();
        text.split_once("y=\"").unwrap().1.split('"').next().unwrap().parse().unwrap()
    };
    // The lock is handed on in step 4; the use in step 14 came after the free in step 12, and need not.
    assert!(height("4") < height("7") && height("7") < height("12"));
    assert!(height("4") < height("14") && height("14") < height("12"));
    assert_eq!(drawn.matches(">not ordered<").count(), 1);
    assert_eq!(drawn.matches(">unlock \u{2192} lock<").count(), 1);
    assert_eq!(happens_before_svg(&rec, 9, &origin, Theme::Light), None);
    assert_eq!(happens_before_svg(&build::mutual_cancel(), 0, &origin, Theme::Light), None);
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

/// Edges that bend away to both sides pass between the lines of their labels.
#[test]
fn labels_are_not_struck_by_edges() {
    let node = |i: usize| Node { label: format!("lock {i} of some length"), round: false };
    let edge = |to: usize| Edge {
        from: 0,
        to,
        label: "a_function_with_a_long_name".to_string(),
        bad: false,
    };
    let graph = Graph {
        nodes: (0..3).map(node).collect(),
        edges: (1..3).map(edge).collect(),
        ..Graph::default()
    };
    let drawn = graph_svg(&graph, Theme::Light).unwrap();
    let number = |t: &str| t.parse::<f64>().unwrap();
    let curve = |d: &str| -> Vec<(f64, f64)> {
        let (start, rest) = d[1..].split_once('V').unwrap();
        let (x0, _) = start.split_once(' ').unwrap();
        let (y0, rest) = rest.split_once('C').unwrap();
        let c: Vec<f64> = rest.split('V').next().unwrap().split(' ').map(number).collect();
        let (x0, y0) = (number(x0), number(y0));
        let at = |t: f64, p: [f64; 4]| {
            let u = 1.0 - t;
            u * u * u * p[0] + 3.0 * u * u * t * p[1] + 3.0 * u * t * t * p[2] + t * t * t * p[3]
        };
        let point = |i: u32| {
            let t = f64::from(i) / 100.0;
            (at(t, [x0, c[0], c[2], c[4]]), at(t, [y0, c[1], c[3], c[5]]))
        };
        (0..=100).map(point).collect()
    };
    let paths: Vec<&str> = drawn.split("<path d=\"").skip(1).collect();
    let edges: Vec<_> = paths
        .iter()
        .filter(|d| d.contains('C'))
        .map(|d| curve(d.split('"').next().unwrap()))
        .collect();
    assert_eq!(edges.len(), 2);
    let mut labels = 0;
    for t in drawn.split("<text ").skip(1).filter(|t| t.contains("a_function_with")) {
        let of = |name: &str| {
            number(t.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap())
        };
        let (x, y, size) = (of("x"), of("y"), of("font-size"));
        let wide = 0.602 * size * 27.0;
        for (px, py) in edges.iter().flatten() {
            let on = (x..x + wide).contains(px) && (y - 0.7 * size..y + 2.0).contains(py);
            assert!(!on, "the edge at {px} {py} strikes the label at {x} {y}");
        }
        labels += 1;
    }
    assert_eq!(labels, 2);
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
    let order = LockOrder::of(&locks(), &[&nmi]).unwrap();
    for theme in [Theme::Light, Theme::Dark] {
        let drawn = order.svg(command, theme).unwrap();
        svg::check("lock-order", &drawn);
        assert!(drawn.contains(">in an NMI</text>") && drawn.contains(">hrtimer_start</text>"));
        assert!(drawn.contains("timer-&gt;lock {+-}, in NMI"), "{drawn}");
        assert!(!drawn.contains("alone"), "a lock without an order has no place in it");
    }
    let drawn = order.svg(command, Theme::Light).unwrap();
    golden::check("lock-order.svg", &drawn);
    let dot = order.dot();
    check_dot(&dot);
    assert_eq!((dot.matches("style=dashed").count(), dot.matches("color=red").count()), (1, 2));
    let saved = serde_json::json!({ "locks": order.json() });
    assert_eq!(LockOrder::read(&saved), Some(order));
    assert_eq!(LockOrder::read(&serde_json::json!({ "locks": { "classes": [1] } })), None);
    let calm = LockOrder::of(&locks(), &[]).unwrap().svg(command, Theme::Light).unwrap();
    assert!(calm.contains("The order in which locks are taken") && !calm.contains("in an NMI"));
    assert_eq!(LockOrder::of(&LockGraph::default(), &[]), None);
}

/// A run that leaves the count at `count`, frees the timer or not, and writes a word of the timer.
fn run(count: &str, freed: bool, word: &str, text: &str) -> Record {
    let mut b = build::Build::new();
    let c = b.task("cancel", 0);
    b.step(c, "t->word = w", &[build::T::W("bpf_hrtimer #1.word", word)]);
    b.step(c, "refs--", &[build::T::W("refs", count)]);
    if freed {
        b.step(c, "kfree(t)", &[build::T::Life("bpf_hrtimer #1", "FREED")]);
    }
    b.done(text, [0, 0, 0])
}

fn search(ends: &[(u64, u64)], engine: Engine) -> Exploration {
    let end = |(schedules, failing): &(u64, u64)| End {
        schedules: *schedules,
        failing: *failing,
        classes: (*failing > 0).then_some(Class::UseAfterFree).into_iter().collect(),
        schedule: Schedule::default(),
    };
    Exploration { engine, ends: ends.iter().map(end).collect(), ..crate::results::exploration() }
}

#[test]
fn final_states_are_merged_where_no_known_value_differs() {
    let runs = [
        run("1", false, "7", "0x3,1"),
        run("0", true, "5", "0"),
        // Only a word of freed memory is different.
        run("0", true, "6", "0x2,1x9,0"),
        run("1", false, "8", "1"),
    ];
    let e = search(&[(1, 0), (40, 0), (12, 3), (9, 9)], Engine::Traces);
    let f = FinalStates::of(&e, &runs).unwrap();
    let all: Vec<_> = f.states.iter().map(|s| (s.schedules, s.failing)).collect();
    assert_eq!(all, [(52, 3), (9, 9), (1, 0)]);
    assert_eq!(f.states[0].schedule, "0", "the simplest of them");
    assert_eq!(f.news(0), [("bpf_hrtimer #1", "FREED"), ("refs", "0")]);
    let alive = [("bpf_hrtimer #1", "alive"), ("bpf_hrtimer #1.word", "8"), ("refs", "1")];
    assert_eq!(f.news(1), alive);
    let dot = f.dot().unwrap();
    check_dot(&dot);
    golden::check("states.dot", &dot);
    let command = "timerace explore r.ron --kernel v6.7";
    for theme in [Theme::Light, Theme::Dark] {
        svg::check("states", &final_states_svg(&f, command, theme).unwrap());
    }
    let drawn = final_states_svg(&f, command, Theme::Light).unwrap();
    golden::check("states.svg", &drawn);
    assert!(drawn.contains("3 final states of 62 schedules"));
    assert!(drawn.contains("USE_AFTER_FREE in 3 of 52 schedules"), "{drawn}");
    assert!(drawn.contains("USE_AFTER_FREE in all 9 schedules"), "{drawn}");
    assert!(!drawn.contains("there may be others"));
    let saved = serde_json::json!({ "outcomes": f.json(), "complete": true, "engine": "traces" });
    assert_eq!(FinalStates::read(&saved), Some(f));
    assert_eq!(FinalStates::read(&serde_json::json!({ "outcomes": [1] })), None);
}

#[test]
fn final_states_that_are_not_to_be_drawn() {
    let of = |n: u64, engine| {
        let runs: Vec<Record> =
            (0..n).map(|i| run(&i.to_string(), false, "7", &format!("0x{i}"))).collect();
        FinalStates::of(&search(&vec![(1, 0); n as usize], engine), &runs)
    };
    assert_eq!(of(2, Engine::States), None, "states do not count schedules");
    assert_eq!(of(0, Engine::Traces), None);
    let one = of(1, Engine::Traces).unwrap();
    assert_eq!((one.dot(), final_states_svg(&one, "", Theme::Light)), (None, None));
    let many = of(MOST_STATES as u64 + 1, Engine::Traces).unwrap();
    assert!(many.dot().is_some() && final_states_svg(&many, "", Theme::Light).is_none());
    let mut sample = of(2, Engine::Sample).unwrap();
    sample.complete = false;
    let drawn = final_states_svg(&sample, "timerace explore", Theme::Dark).unwrap();
    assert!(drawn.contains("2 final states of 2 executions"), "{drawn}");
    assert!(drawn.contains("there may be others"), "{drawn}");
}
