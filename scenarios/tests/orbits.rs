//! Interchangeable tasks are found in what a scenario declares, and change no verdict.
#![allow(clippy::unwrap_used)]

use timerace_core::Machine;
use timerace_core::dpor::{Ignore, Options};
use timerace_core::exec::Exec;
use timerace_core::result::Exploration;
use timerace_core::states::explore_states;
use timerace_kernel::{Kernel, KernelVersion};
use timerace_scenarios::{load, lower};

/// One freer and two cancellers with a flag each; what the freer waits for, and what the second canceller does.
fn text(wait: &str, second: &str, cpu: u16) -> String {
    let cancel = |flag: &str| {
        format!(
            r#"write("{flag}", 1), lock("L"), read("p", "slot"), unlock("L"),
               if("p != NULL", [ fetch_add("r", "p->word", 1) ]), write("{flag}", 0)"#
        )
    };
    let second = if second.is_empty() { cancel("in2") } else { second.to_string() };
    format!(
        r#"Scenario(schema: 1, name: "orbit", machine: (cpus: 3),
            types: {{ "obj": [ u64("word") ] }},
            vars: {{ "L": raw_spinlock, "slot": new("obj"), "in1": int(0), "in2": int(0) }},
            tasks: {{
                "freer": (cpu: 0, body: [ lock("L"), xchg("p", "slot", NULL), unlock("L"),
                    if("p != NULL", [ {wait} free("p") ]) ]),
                "c1": (cpu: 1, body: [ {} ]),
                "c2": (cpu: {cpu}, body: [ {second} ]),
            }},
            expect: [ never(ANY_BUG) ],
        )"#,
        cancel("in1")
    )
}

fn boot(text: &str) -> (Machine, Kernel) {
    let scenario = load::parse(text, &[]).unwrap();
    let world = lower::lower(&scenario, text, KernelVersion::newest()).unwrap();
    timerace_kernel::boot(&world, false).unwrap()
}

fn search(text: &str, symmetry: bool) -> Exploration {
    let (machine, model) = boot(text);
    let mut exec = Exec::new(&machine, &model);
    let options = Options { keep_going: true, ..Options::default() };
    let r = explore_states(&mut exec, symmetry, &options, &mut Ignore);
    assert!(r.complete);
    r
}

#[test]
fn what_is_alike_is_found_and_changes_no_verdict() {
    for (wait, bug) in [(r#"wait_until("in1 == 0 && in2 == 0"),"#, false), ("", true)] {
        let text = text(wait, "", 2);
        let (machine, _) = boot(&text);
        let [orbit] = machine.orbits() else { panic!("{:?}", machine.orbits()) };
        assert_eq!(orbit.members.len(), 2);
        // The flag and the word of the CPU.
        assert!(orbit.members.iter().all(|m| m.objects.len() == 2), "{orbit:?}");
        let (with, without) = (search(&text, true), search(&text, false));
        let classes = |e: &Exploration| {
            e.findings.iter().map(|f| f.class).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(classes(&with), classes(&without));
        assert_eq!(with.failing > 0, bug);
        assert!(with.states * 3 < without.states * 2, "{} of {}", with.states, without.states);
    }
}

#[test]
fn what_differs_is_told_apart() {
    let both = r#"wait_until("in1 == 0 && in2 == 0"),"#;
    for (why, text) in [
        ("the freer waits for one of them", text(r#"wait_until("in1 == 0"),"#, "", 2)),
        (
            "it looks at one before the other",
            text(r#"wait_until("in1 == 0"), wait_until("in2 == 0"),"#, "", 2),
        ),
        ("they do different things", text(both, r#"write("in2", 1), write("in2", 0)"#, 2)),
        (
            "they write different values",
            text(both, "", 2).replace(r#"write("in2", 1)"#, r#"write("in2", 2)"#),
        ),
        ("one shares its CPU", text(both, "", 0)),
        (
            "the variables begin differently",
            text(both, "", 2).replace(r#""in2": int(0)"#, r#""in2": int(7)"#),
        ),
    ] {
        assert!(boot(&text).0.orbits().is_empty(), "{why}");
    }
}
