//! Expectations, judged on small models.
#![allow(clippy::unwrap_used)]

mod judge_support;

use judge_support::brute::{Brute, P};
use judge_support::toy::{Draw, Op, Program, boot};
use std::collections::BTreeMap;
use timerace_core::Mem;
use timerace_core::bounded::explore_bounded;
use timerace_core::dpor::{Options, explore};
use timerace_core::exec::Exec;
use timerace_core::result::Exploration;
use timerace_core::result::Verdict;
use timerace_kernel::world::{FieldIx, MapId, VarId};
use timerace_kernel::{KernelVersion, World};
use timerace_scenarios::ast::Scenario;
use timerace_scenarios::judge::{FinalState, Judge, Judged, Samples, exit_code, verdict};
use timerace_scenarios::lower::lower;
use timerace_scenarios::{diag, load};

fn scenario(rest: &str, expect: &str) -> (String, Scenario) {
    // The functions of the toy programs.
    let functions = ["f", "g", "h", "nothing"].map(|f| format!("\"{f}\": (type: TC, body: [])"));
    let progs = functions.join(", ");
    let source = format!(
        "Scenario(schema: 1, name: \"t\", machine: (cpus: 1), progs: {{ {progs} }},\n\
         maps: {{ \"m\": HASH(max_entries: 4) }}, {rest}\nexpect: [\n{expect}\n])"
    );
    let scenario = load::parse(&source, &[]).unwrap_or_else(|diags| {
        panic!("{}", diag::render_all(&diags, "t.ron", &source, diag::Style::Plain))
    });
    (source, scenario)
}

fn world(scenario: &Scenario, source: &str, kernel: &str) -> World {
    lower(scenario, source, KernelVersion::parse(kernel).unwrap()).unwrap()
}

/// Explores a program and judges it: results, the search, and what the judge says besides.
struct Done {
    results: Vec<Judged>,
    search: Exploration,
    bounds_hit: bool,
    window: u64,
}

impl Done {
    fn ok(&self, name: &str) -> Option<bool> {
        self.results.iter().find(|j| j.name == name).unwrap_or_else(|| panic!("no {name}")).ok
    }

    fn verdict(&self) -> (Verdict, u8) {
        let found = !self.search.findings.is_empty();
        (verdict(found, &self.results, self.bounds_hit), exit_code(&self.results, self.bounds_hit))
    }
}

fn judged(program: &Program, expect: &str, keep_going: bool) -> Done {
    judged_with(program, "", expect, "v6.7", &mut |exec, judge| {
        let keep_going = keep_going || judge.needs_keep_going();
        explore(exec, &Options { keep_going, ..Options::default() }, judge)
    })
}

type Searches<'s> =
    dyn FnMut(&mut Exec<'_, judge_support::toy::Toy>, &mut Judge<'_>) -> Exploration + 's;

fn judged_with(
    program: &Program,
    rest: &str,
    expect: &str,
    kernel: &str,
    search: &mut Searches<'_>,
) -> Done {
    let (source, scenario) = scenario(rest, expect);
    let world = world(&scenario, &source, kernel);
    let (machine, toy) = boot(program);
    let mut exec = Exec::new(&machine, &toy);
    let mut judge = Judge::new(&scenario, &source, &world, None);
    let search = search(&mut exec, &mut judge);
    Done {
        results: judge.results(&search),
        bounds_hit: judge.bounds_hit(&search),
        window: judge.window_entered(),
        search,
    }
}

fn call(name: &'static str, inside: Vec<Op>) -> Vec<Op> {
    let mut ops = vec![Op::Start, Op::Enter(name)];
    ops.extend(inside);
    ops.push(Op::Leave(0));
    ops
}

#[test]
fn functions_overlap_unless_a_lock_orders_them() {
    let expect = "sometimes(overlap(\"f\", \"g\")), sometimes(after(called(\"f\"), called(\"g\"))),
                  sometimes(after(returned(\"f\", 0), called(\"g\")))";
    let free = Program::of(vec![call("f", vec![Op::Read(0)]), call("g", vec![Op::Read(0)])]);
    let done = judged(&free, expect, false);
    // One trace, and yet each order is one of its orders.
    assert_eq!(done.search.schedules, 1);
    assert_eq!(done.ok("sometimes_overlap"), Some(true));
    assert_eq!(done.ok("sometimes_called"), Some(true));
    assert_eq!(done.ok("sometimes_called_2"), Some(true));
    assert_eq!(done.ok("never_any_bug"), Some(true));
    assert_eq!(done.verdict(), (Verdict::Pass, 0));

    let locked = || vec![Op::Lock, Op::Write(0), Op::Unlock];
    let ordered = Program::of(vec![call("f", locked()), call("g", locked())]);
    let done = judged(&ordered, expect, false);
    assert_eq!(done.search.schedules, 2);
    assert_eq!(done.ok("sometimes_overlap"), Some(false));
    assert_eq!(done.ok("sometimes_called"), Some(true));
    assert_eq!(done.verdict(), (Verdict::Failed, 1));
}

#[test]
fn who_calls_whom_is_no_overlap_but_within() {
    let nested = call("f", vec![Op::Read(0), Op::Enter("g"), Op::Read(1), Op::Leave(7)]);
    let expect = "never(overlap(\"f\", \"g\")), always(within(\"f\", returned(\"g\", 7))),
                  never(within(\"g\", called(\"f\"))), never(within(\"f\", called(\"f\"))),
                  always(during(running(\"f\"), called(\"g\"))), sometimes(returned(\"f\", 1))";
    let done = judged(&Program::of(vec![nested]), expect, false);
    let oks: Vec<Option<bool>> = done.results.iter().map(|j| j.ok).collect();
    let yes = Some(true);
    assert_eq!(oks, [yes, yes, yes, yes, yes, Some(false), yes]);
}

#[test]
fn calls_without_steps_are_points_and_open_ones_last_to_the_end() {
    // f takes no step, between two of its context; g brackets nothing else.
    let point = vec![Op::Start, Op::Write(0), Op::Enter("f"), Op::Leave(0), Op::Write(1)];
    let g = call("g", vec![Op::Write(0), Op::Write(1)]);
    let done = judged(
        &Program::of(vec![point, g]),
        "sometimes(overlap(\"f\", \"g\")), never(after(returned(\"f\", 0), called(\"nothing\")))",
        false,
    );
    assert_eq!(done.ok("sometimes_overlap"), Some(true));
    // Two contexts wait for each other for ever, inside of their functions.
    let stuck = |name, v, w| call(name, vec![Op::Write(v), Op::WaitFor(w, 5)]);
    let done = judged(
        &Program::of(vec![stuck("f", 0, 1), stuck("g", 1, 0)]),
        "sometimes(within(\"f\", DEADLOCK)), sometimes(within(\"g\", DEADLOCK)),
         always(overlap(\"f\", \"g\")), never(returned(\"f\", 0)), never(within(\"h\", DEADLOCK)),
         sometimes(within(\"f\", USE_AFTER_FREE))",
        true,
    );
    let oks: Vec<Option<bool>> = done.results.iter().map(|j| j.ok).collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(oks, [yes, yes, yes, yes, yes, no, yes]);
    assert_eq!(done.results[6].name, "never_other_bug");
}

#[test]
fn a_bug_that_is_expected_fails_nothing_and_others_are_refused() {
    let program = Program::of(vec![call("f", vec![Op::Free]), call("g", vec![Op::Use])]);
    let both = "sometimes(within(\"g\", USE_AFTER_FREE))";
    let done = judged(&program, both, false);
    assert!(done.search.stopped && !done.search.complete);
    assert_eq!(done.ok("sometimes_use_after_free"), Some(true));
    assert!(done.results[0].bug_expected);
    // The rest of the space was not looked at.
    assert_eq!(done.ok("never_other_bug"), None);
    assert_eq!(done.verdict(), (Verdict::Bug, 0));
    assert_eq!(judged(&program, both, true).ok("never_other_bug"), Some(true));

    // Freed by f: the other side counts too.
    assert_eq!(judged(&program, "sometimes(within(\"f\", ANY_BUG))", false).verdict().1, 0);
    let done = judged(&program, "", false);
    assert_eq!((done.ok("never_any_bug"), done.verdict()), (Some(false), (Verdict::Bug, 1)));
    let done = judged(&program, "sometimes(DOUBLE_FREE)", true);
    assert_eq!(done.ok("sometimes_double_free"), Some(false));
    assert_eq!(done.ok("never_other_bug"), Some(false));
    let done = judged(&program, "never(ANY_BUG)", true);
    assert_eq!((done.results.len(), done.ok("never_any_bug")), (1, Some(false)));
    let done = judged(&program, "always(USE_AFTER_FREE), never(leaked(\"obj\"))", false);
    assert_eq!(done.ok("always_use_after_free"), Some(false));
    assert_eq!(done.ok("never_leaked"), Some(true));
}

#[test]
fn a_known_bug_is_a_failure_when_it_is_gone() {
    let bad = Program::of(vec![call("f", vec![Op::Free]), call("g", vec![Op::Use])]);
    let good = Program::of(vec![call("f", vec![Op::Read(0)])]);
    let expect = "known_bug(\"commit 0281b919e175\", never(USE_AFTER_FREE))";
    let done = judged(&bad, expect, false);
    assert_eq!(done.ok("known_bug_never_use_after_free"), Some(true));
    assert_eq!(done.results[0].known_bug.as_deref(), Some("commit 0281b919e175"));
    assert!(done.results[0].bug_expected);
    assert_eq!(done.verdict(), (Verdict::Bug, 0));
    assert_eq!(judged(&good, expect, false).verdict(), (Verdict::Failed, 1));
}

#[test]
fn expectations_for_other_kernels_are_absent_and_names_stay() {
    let expect = "on(\"lacks 0281b919e175\", sometimes(USE_AFTER_FREE)),
                  on(\"has 0281b919e175\", never(ANY_BUG)),
                  on(\">= v6.8\", sometimes(called(\"f\"))),
                  sometimes(called(\"f\")),
                  on(\"v6.1..v6.7\", hold(lock: \"m.lru_lock\", max: \"15us\"))";
    let program = Program::of(vec![call("f", vec![Op::Read(0)])]);
    let names = |kernel: &str| -> Vec<String> {
        let done = judged_with(&program, "", expect, kernel, &mut |exec, judge| {
            explore(exec, &Options::default(), judge)
        });
        done.results.iter().map(|j| format!("{}:{}", j.name, j.line)).collect()
    };
    assert_eq!(
        names("v6.7"),
        [
            "sometimes_use_after_free:4",
            "sometimes_called_2:7",
            "hold_m_lru_lock:8",
            "never_other_bug:1"
        ]
    );
    assert_eq!(names("v6.9"), ["never_any_bug:5", "sometimes_called:6", "sometimes_called_2:7"]);
}

#[test]
fn names_say_what_happens() {
    let expect = "sometimes(during(running(\"f\"), evicted(\"m[1]\"))),
                  never(after(uref_zero(\"m\"), entered(\"f\"))),
                  sometimes(within(\"f\", overlap(\"f\", \"g\"))),
                  never(final(\"m[1] == NULL\")), count(schedules: 2),
                  latency(of: \"m[7]\", max: \"1us\"), drift(of: \"m\", max: \"1us\"),
                  never(CALLBACK_AFTER_UREF)";
    let done = judged(&Program::of(vec![call("f", vec![Op::Read(0)])]), expect, false);
    let names: Vec<&str> = done.results.iter().map(|j| j.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "sometimes_evicted",
            "never_entered",
            "sometimes_overlap",
            "never_final",
            "count",
            "latency_m_7",
            "drift_m",
            "never_callback_after_uref",
            "never_any_bug"
        ]
    );
    // Nobody knows the values at the end here, and limits are for timed runs.
    let oks: Vec<Option<bool>> = done.results.iter().map(|j| j.ok).collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(oks, [no, yes, no, None, no, None, None, yes, yes]);
    assert!(done.bounds_hit);
}

/// Variables of the toy; element 1 is there, its counter is 3.
struct End<'t>(&'t judge_support::toy::Toy);

impl FinalState for End<'_> {
    fn var(&self, mem: &Mem, var: VarId) -> Option<i64> {
        Some(mem.peek(self.0.var(var.index())) as i64)
    }
    fn var_member(&self, _: &Mem, _: VarId, _: FieldIx) -> Option<i64> {
        None
    }
    fn elem_present(&self, _: &Mem, _: MapId, key: i64) -> bool {
        key == 1
    }
    fn elem_member(&self, _: &Mem, _: MapId, key: i64, field: FieldIx) -> Option<i64> {
        (key == 1 && field == FieldIx(0)).then_some(3)
    }
}

#[test]
fn values_at_the_end_are_looked_up() {
    let program = Program::of(vec![call("f", vec![Op::Write(0), Op::Write(1)])]);
    let source = "Scenario(schema: 1, name: \"t\", machine: (cpus: 1),
        types: { \"e\": [ int(\"n\"), bpf_timer(\"t\") ] },
        vars: { \"x\": int(0), \"y\": int(0), \"p\": new(\"e\") },
        maps: { \"m\": HASH(max_entries: 4, value: \"e\") },
        progs: { \"f\": (type: TC, body: []) },
        expect: [
            always(final(\"x == 1 && y == 1\")),
            never(final(\"x != 1 || y > 1\")),
            always(final(\"m[1] != NULL && m[2] == NULL\")),
            always(final(\"m[1].n == 3\")),
            sometimes(final(\"m[2].n != 3\")),
            sometimes(final(\"p->n == 0\")),
            always(after(returned(\"f\", 0), final(\"x == 1\"))),
            never(within(\"f\", final(\"x == 1\"))),
        ])";
    let scenario = load::parse(source, &[]).unwrap();
    let world = world(&scenario, source, "v6.7");
    let (machine, toy) = boot(&program);
    let end = End(&toy);
    let mut exec = Exec::new(&machine, &toy);
    let mut judge = Judge::new(&scenario, source, &world, Some(&end));
    let search = explore(&mut exec, &Options::default(), &mut judge);
    let oks: Vec<Option<bool>> = judge.results(&search).iter().map(|j| j.ok).collect();
    let (yes, no) = (Some(true), Some(false));
    // What is not there has no value: no comparison with it holds.
    assert_eq!(oks, [yes, yes, yes, yes, no, no, yes, yes, yes]);
}

#[test]
fn samples_are_judged_by_the_orders_that_ran() {
    use timerace_core::policy::Random;
    use timerace_core::sample::sample;
    let program = Program::of(vec![
        call("f", vec![Op::Write(0), Op::Write(1)]),
        call("g", vec![Op::Write(0), Op::Write(1)]),
    ]);
    let expect = "sometimes(overlap(\"f\", \"g\")), never(called(\"h\")), never(called(\"f\"))";
    let done = judged_with(&program, "", expect, "v6.7", &mut |exec, judge| {
        let options = Options { max_schedules: Some(50), ..Options::default() };
        sample(exec, "random", &mut Random::new(1), &options, judge)
    });
    // A sample shows what there is, never what there is not.
    let oks: Vec<Option<bool>> = done.results.iter().map(|j| j.ok).collect();
    assert_eq!(oks, [Some(true), None, Some(false), None]);
    assert!(done.bounds_hit);
}

#[test]
fn schedules_are_counted_and_windows_entered() {
    // Two writers in either order; one reads what the other wrote.
    let program = Program::of(vec![call("f", vec![Op::Write(0)]), call("g", vec![Op::Write(0)])]);
    let done = judged(&program, "count(schedules: 2, failing: 0)", false);
    assert_eq!(done.ok("count"), Some(true));
    let done = judged(&program, "count(schedules: 3)", false);
    assert_eq!(done.results[0].detail.as_deref(), Some("schedules: 2, not 3"));
    let done = judged(&program, "sometimes(after(called(\"f\"), called(\"g\")))", false);
    assert_eq!((done.window, done.search.schedules), (1, 2));
    let (source, scenario) = scenario("", "sometimes(called(\"f\"))");
    let world = world(&scenario, &source, "v6.7");
    let judge = Judge::new(&scenario, &source, &world, None);
    assert!(judge.has_window() && !judge.needs_keep_going() && !judge.bug_expected());
}

#[test]
fn bounds_of_the_scenario_are_its_scope() {
    let program = Program::of(vec![
        call("f", vec![Op::Write(0), Op::Write(1)]),
        call("g", vec![Op::Write(0), Op::Write(1)]),
    ]);
    let declared = "explore: (preemptions: 0),";
    let bounded = |rest: &str, expect: &str, narrowed: bool| {
        judged_with(&program, rest, expect, "v6.7", &mut |exec, judge| {
            if narrowed {
                judge.narrowed();
            }
            explore_bounded(exec, 0, &Options::default(), judge)
        })
    };
    let done = bounded(declared, "", false);
    assert!(!done.search.complete);
    assert_eq!(done.verdict(), (Verdict::Pass, 0));
    assert_eq!(bounded(declared, "", true).verdict(), (Verdict::Inconclusive, 3));
    assert_eq!(bounded("", "", false).verdict(), (Verdict::Inconclusive, 3));
    // What was seen was seen; what was not may have been merged away.
    let done = bounded(declared, "sometimes(called(\"f\")), never(called(\"h\"))", false);
    assert_eq!((done.ok("sometimes_called"), done.ok("never_called")), (Some(true), None));
    assert_eq!(done.verdict(), (Verdict::Inconclusive, 3));

    let cut = judged_with(&program, "", "sometimes(called(\"h\"))", "v6.7", &mut |exec, judge| {
        explore(exec, &Options { max_schedules: Some(1), ..Options::default() }, judge)
    });
    assert_eq!((cut.ok("sometimes_called"), cut.ok("never_any_bug")), (None, None));
    assert_eq!(cut.verdict(), (Verdict::Inconclusive, 3));
}

#[test]
fn timed_runs_judge_limits_and_what_was_found() {
    use timerace_core::dpor::View;
    use timerace_core::policy::Ended;
    use timerace_core::timed::{Costs, TimedOptions, Unwatched, run_timed};
    let program = Program::of(vec![call("f", vec![Op::Free, Op::Use])]);
    let (source, scenario) = scenario(
        "",
        "never(USE_AFTER_FREE), never(DOUBLE_FREE), sometimes(called(\"f\")), never(called(\"f\")),
         latency(of: \"m\", p50: \"2us\", max: \"9us\"), latency(of: \"m[7]\", p99: \"1us\"),
         latency(of: \"m[8]\", max: \"1us\"), drift(of: \"m\", max: \"2us\"),
         drift(of: \"m[8]\", max: \"2us\"), hold(lock: \"m.lru_lock\", max: \"15us\"),
         hold(lock: \"m.bucket.lock\", max: \"15us\")",
    );
    let world = world(&scenario, &source, "v6.7");
    let mut judge = Judge::new(&scenario, &source, &world, None);
    let (machine, toy) = boot(&program);
    let costs = Costs::default();
    let options = TimedOptions { costs, max_steps: 1000, ..TimedOptions::default() };
    let (_run, exec) = run_timed(&machine, &toy, &options, &mut Unwatched);
    let ended = Ended::Complete;
    exec.machine().with_mem(|mem| {
        judge.timed(&View::linear(&machine, mem, &ended, &[]), false);
    });
    let mut samples = Samples::default();
    for late in [1_000, 2_000, 3_000, 9_000] {
        samples.add("m[7]", late);
    }
    samples.add("mm[7]", 1_000_000);
    samples.drifts.insert("m[7]".to_string(), 2_001);
    samples.held.insert("m.lru_lock".to_string(), 15_000);
    let results = judge.timed_results(&samples);
    let oks: Vec<Option<bool>> = results.iter().map(|j| j.ok).collect();
    let (yes, no) = (Some(true), Some(false));
    // What was not tried does not hold: a timer that never expired, a lock that nobody took.
    assert_eq!(oks, [no, yes, None, None, yes, no, no, no, no, yes, no, no]);
    assert_eq!(results[7].detail.as_deref(), Some("drift of m: 2001ns > 2us"));
    assert_eq!(results[5].detail.as_deref(), Some("p99 of m[7]: 9us > 1us"));
}

/// The files of the handbook on the model of the kernel.
#[test]
fn the_handbook_is_right_about_its_files() {
    for (name, kernel, code) in [
        ("ring-3", "v6.7", 0),
        ("r07-raw", "v6.7", 0),
        ("r06-timer-init-uref", "v6.6", 0),
        ("r06-timer-init-uref", "v6.7", 0),
    ] {
        let path = format!("{}/tests/ok/{name}.ron", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        let scenario = load::parse(&source, &[]).unwrap();
        let world = world(&scenario, &source, kernel);
        let (machine, model) = timerace_kernel::boot(&world, false).unwrap();
        let mut exec = Exec::new(&machine, &model);
        let mut judge = Judge::new(&scenario, &source, &world, None);
        let options = Options { keep_going: judge.needs_keep_going(), ..Options::default() };
        let search = explore(&mut exec, &options, &mut judge);
        let results = judge.results(&search);
        assert_eq!(exit_code(&results, judge.bounds_hit(&search)), code, "{name}: {results:#?}");
        assert!(results.iter().all(|j| j.ok != Some(false)));
        if search.complete {
            assert!(results.iter().all(|j| j.ok == Some(true)), "{name}: {results:#?}");
        }
    }
}

/// Random programs: what the judge says of traces is what is true of all schedules.
#[test]
fn judgements_agree_with_every_order() {
    let programs: u64 =
        std::env::var("TIMERACE_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut tally: BTreeMap<(usize, bool), u32> = BTreeMap::new();
    let mut given_up = 0;
    for seed in 0..programs {
        let draw = &mut Draw::new(seed);
        let program = Program::random(draw);
        let predicates: Vec<P> = (0..12).map(|_| P::random(draw, 2)).collect();
        let brute = Brute::of(&program, &predicates);
        let mut expect = String::new();
        for p in &predicates {
            expect += &format!("sometimes({p}), never({p}), always({p}),\n");
        }
        let done = judged(&program, &expect, true);
        assert!(done.search.complete);
        for (i, p) in predicates.iter().enumerate() {
            let ok = |at: usize| done.results[3 * i + at].ok;
            let some = brute.possible[i];
            // Where one of the two gives up, there is nothing to compare.
            let all = brute.avoidable[i].map(|avoidable| !avoidable);
            let all = all.filter(|_| ok(2).is_some());
            given_up += u32::from(all.is_none());
            let found = (ok(0), ok(1), all.and(ok(2)));
            let want = (Some(some), Some(!some), all);
            assert_eq!(found, want, "seed {seed}: {p} on {program:#?}");
            *tally.entry((p.depth(), some)).or_default() += 1;
        }
    }
    assert!(u64::from(given_up) < programs / 4, "{given_up} given up");
    // Neither answer is a rare one.
    for (key, n) in &tally {
        assert!(u64::from(*n) > programs / 10, "{key:?}: {n}");
    }
}
