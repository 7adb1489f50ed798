//! Shrinking a scenario: what goes, what stays, and how the text looks afterwards.
#![allow(clippy::unwrap_used)]

use timerace_scenarios::load;
use timerace_scenarios::shrink::{
    Answer, Shrunk, Size, shrink, with_expectation, without_expectation,
};
use timerace_scenarios::source::Source;

const SOURCE: &str = r#"// Header.
Scenario(
    schema: 1,
    name: "x",
    machine: (cpus: 4, hz: 1000),

    vars: {
        "a": int(0),   // needed
        // Nobody needs b.
        "b": int(0),   // not needed
    },
    maps: {
        "m": HASH(max_entries: 16, init: { 1: present, 2: present }),
    },
    progs: {
        "p": (type: SYSCALL, body: [ bpf_map_delete_elem("m[1]") ]),
    },
    tasks: {
        "one": (cpu: 1, body: [
            // First this.
            write("a", 1),
            write("b", 1), write("a", 7),
            repeat(3, [
                write("b", 2),
                // The one that matters.
                write("a", 2),
            ]),
        ]),
        "two": (cpu: 3, body: [ prog_run("p"), read("r", "a"), write("b", 3) ]),
    },
    cpus: {
        2: [ every("1ms", irq("2us")), prog_run("p") ],
    },

    expect: [
        sometimes(overlap("one", "two")),
        never(ANY_BUG),
        sometimes(called("p")),
        sometimes(final("b == 3")),
    ],
)
"#;

/// What is asked for: tasks `one` and `two` on two CPUs, with these texts.
fn needs<'a>(texts: &'a [&'a str]) -> impl FnMut(&Source) -> Answer + 'a {
    move |source| {
        let source = source.own_text();
        let s = load::parse(source, &[]).expect("only what checks is asked about");
        let two = s.tasks.len() == 2 && s.tasks[0].1.cpu.node != s.tasks[1].1.cpu.node;
        let all = texts.iter().all(|t| source.contains(t));
        if two && all { Answer::Yes } else { Answer::No }
    }
}

fn shrunk(texts: &[&str]) -> Shrunk {
    shrink(&Source::of("x.ron", SOURCE), &[], &mut needs(texts))
}

#[test]
fn what_is_not_needed_goes_and_the_rest_keeps_its_form() {
    let s = shrunk(&["write(\"a\", 2)", "read(\"r\", \"a\")"]);
    let expected = r#"// Header.
Scenario(
    schema: 1,
    name: "x",
    machine: (cpus: 2, hz: 1000),

    vars: {
        "a": int(0),   // needed
    },
    tasks: {
        "one": (cpu: 0, body: [
            // The one that matters.
            write("a", 2),
        ]),
        "two": (cpu: 1, body: [ read("r", "a") ]),
    },

    expect: [
        sometimes(overlap("one", "two")),
        never(ANY_BUG),
    ],
)
"#;
    assert_eq!(s.source, expected);
    assert_eq!(s.undecided, 0);
    let size = |text| Size::of(&load::parse(text, &[]).unwrap());
    let (before, after) = (size(SOURCE), size(&s.source));
    assert_eq!((before.cpus, before.tasks, before.map_entries, before.events), (4, 3, 2, 1));
    assert_eq!((after.cpus, after.tasks, after.operations), (2, 2, 2));
    assert_eq!((after.map_entries, after.events), (0, 0));
}

#[test]
fn numbers_shrink_too() {
    let s = shrunk(&["init: { 1: present", "repeat(", "prog_run(\"p\"), read"]);
    for part in ["max_entries: 1,", "init: { 1: present }", "repeat(1, ["] {
        assert!(s.source.contains(part), "{part}: {}", s.source);
    }
    assert!(s.source.contains("sometimes(called(\"p\"))"));
}

#[test]
fn no_single_piece_can_be_left_out() {
    let s = shrunk(&["write(\"b\", 3)", "write(\"a\", 7)"]);
    let again = shrink(
        &Source::of("x.ron", &s.source),
        &[],
        &mut needs(&["write(\"b\", 3)", "write(\"a\", 7)"]),
    );
    assert_eq!((again.source, again.undecided), (s.source, 0));
}

#[test]
fn what_was_not_decided_is_counted() {
    let s = shrink(&Source::of("x.ron", SOURCE), &[], &mut |_| Answer::Undecided);
    assert_eq!(s.source, SOURCE);
    assert!(s.undecided > 10);
}

#[test]
fn expectations_come_and_go() {
    let line = SOURCE.lines().position(|l| l.contains("never(ANY_BUG)")).unwrap() as u32 + 1;
    let without = without_expectation(SOURCE, line).unwrap();
    assert!(!without.contains("ANY_BUG") && load::parse(&without, &[]).is_ok());
    assert_eq!(without_expectation(SOURCE, 1), None);
    let with = with_expectation(&without, "sometimes(DEADLOCK)").unwrap();
    assert_eq!(load::parse(&with, &[]).unwrap().expect.len(), 4);
    for list in ["", ", expect: []", ", expect: [ ],"] {
        let text = format!("Scenario(schema: 1, name: \"x\", machine: (cpus: 1){list})");
        let with = with_expectation(&text, "sometimes(DEADLOCK)").unwrap();
        assert_eq!(load::parse(&with, &[]).unwrap().expect.len(), 1, "{with}");
    }
}
