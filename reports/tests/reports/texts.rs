//! The block of a finding, the table of steps, the saved schedule, and results for scripts.

use crate::{build, golden};
use timerace_core::Class;
use timerace_core::record::Record;
use timerace_reports::json;
use timerace_reports::origin::Origin;
use timerace_reports::schedule_ron::{self, SavedSchedule};
use timerace_reports::splat::splat;
use timerace_reports::steps::steps_table;

fn origin(scenario: &str) -> Origin {
    Origin {
        scenario: scenario.to_string(),
        file: format!("{scenario}.ron"),
        kernel: "v6.7".to_string(),
        options: Vec::new(),
        born_line: Some(9),
        fragments: Vec::new(),
    }
}

#[test]
fn blocks_of_known_races() {
    let block = |rec: &Record, name| splat(rec, 0, &origin(name));
    golden::check("splat-cancel-free.txt", &block(&build::cancel_free_uaf(true), "cancel-free"));
    golden::check("splat-mutual-cancel.txt", &block(&build::mutual_cancel(), "mutual-cancel"));
    golden::check("splat-init-uref.txt", &block(&build::init_uref_leak(), "init-uref"));
    golden::check("splat-interrupted.txt", &block(&build::interrupted(), "interrupted"));
}

#[test]
fn no_block_looks_like_a_report_of_a_real_kernel() {
    for rec in [build::cancel_free_uaf(false), build::mutual_cancel(), build::init_uref_leak()] {
        let text = splat(&rec, 0, &origin("x"));
        for foreign in ["BUG: KASAN", "BUG: KCSAN", "WARNING:", "possible circular locking"] {
            assert!(!text.contains(foreign), "{foreign} in {text}");
        }
    }
}

#[test]
fn options_are_repeated_and_quoted() {
    let mut o = origin("my file");
    o.options = vec!["--with".to_string(), "0281b919e175".to_string()];
    let expected = "timerace replay 'my file.ron' --kernel v6.7 --with 0281b919e175 \
                    --schedule '1x4,2!tick'";
    assert_eq!(o.replay("1x4,2!tick"), expected);
}

#[test]
fn tables_of_steps() {
    golden::check(
        "steps-cancel-free.txt",
        &steps_table(&build::cancel_free_uaf(true), None, false),
    );
    let until = steps_table(&build::cancel_free_uaf(true), Some(7), true);
    golden::check("steps-cancel-free-until.txt", &until);
    golden::check("steps-mutual-cancel.txt", &steps_table(&build::mutual_cancel(), None, false));
    golden::check("steps-three-cpus.txt", &steps_table(&build::three_cpus(), None, true));
}

#[test]
fn saved_schedules_are_read_back() {
    let mut rec = build::three_cpus();
    rec.steps[2].alt = 1;
    rec.steps[3].text = "printk(\"\\n\u{1}\u{fc}\")\n".to_string();
    let saved = SavedSchedule::of(&rec, "three", "v6.7");
    let text = saved.write();
    golden::check("schedule.ron", &text);
    assert_eq!(schedule_ron::read(&text), Ok(saved.clone()));
    let mut picks = rec.schedule.clone();
    picks.picks[2].alt = 1;
    assert_eq!(saved.picks(&rec.contexts), Ok(picks));
    assert_eq!(saved.first_difference(&rec), None);
    rec.steps[5].text = "call_rcu(&map->rcu)".to_string();
    assert_eq!(saved.first_difference(&rec).map(|d| d.0), Some(6));
}

#[test]
fn bad_schedules_are_refused_with_a_reason() {
    let good = SavedSchedule::of(&build::interrupted(), "s", "v6.7").write();
    let bad = |from: &str, to: &str| schedule_ron::read(&good.replacen(from, to, 1)).unwrap_err();
    assert_eq!(bad("schema: 1", "schema: 3"), "this schedule has schema 3, this timerace reads 1");
    assert!(bad("kernel:", "kernels:").contains("kernels"));
    assert!(bad("(1, \"load\", \"work()\")", "(1, \"load\")").contains("a step: (CPU"));
    assert!(bad("(1, \"load\"", "(99999, \"load\"").contains(':'));
    let saved = SavedSchedule::of(&build::interrupted(), "s", "v6.7");
    let fewer = &build::interrupted().contexts[..2];
    assert_eq!(saved.picks(fewer), Err("step 1: CPU1 has no `load` in this scenario".to_string()));
}

#[test]
fn replay_as_json() {
    let rec = build::init_uref_leak();
    golden::check(
        "replay.json",
        &json::text(&json::replay(&rec, &origin("init-uref"), "v6.6", Some(6))),
    );
}

/// Counts that no pointer stands for: who put the last reference, or that there never was one.
#[test]
fn a_count_that_is_used_up_says_who_had_the_reference() {
    let of = |first: &str, steps: &[(usize, &str)], value: &str| {
        let mut b = build::Build::new();
        let tasks = [b.task("a", 0), b.task("b", 1)];
        b.value("refs", first);
        let mut last = 0;
        for (task, after) in steps {
            last = b.step(tasks[*task], "refs += d", &[build::T::W("refs", after)]);
        }
        let at = b.side(last);
        b.finding(Class::Refcount, at, None, Some("refs"));
        let text = splat(&b.done("0", [1, 0, 0]), 0, &origin("counts"));
        assert!(text.contains(value), "{value}\n{text}");
    };
    let twice = "Count: step 1 (CPU0: refs += d) had put that reference of refs before.";
    of("1", &[(0, "0"), (1, "-1")], twice);
    of("1", &[(0, "0"), (1, "-1")], "One put too many of refs in step 2 by b on CPU1:");
    of("1", &[(0, "0"), (1, "-1")], "Put before in step 1 by a on CPU0:");
    of("1", &[(0, "0"), (1, "1")], "Reference of refs taken at 0 in step 2 by b on CPU1:");
    let taken = "Count: step 1 (CPU0: refs += d) put the last reference of refs: from";
    of("1", &[(0, "0"), (1, "1")], taken);
    of("0", &[(1, "-1")], "Count: refs is 0 from the start.");
}
