//! Cuts, swaps and repeats tokens of good files: nothing may panic, and every message must point
//! into the file.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use timerace_scenarios::diag::{self, Diagnostic, Style};
use timerace_scenarios::limits::ERRORS_MAX;
use timerace_scenarios::load;
use timerace_scenarios::source::Source;

/// The good files, each as its tokens.
fn corpus() -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ok");
    let mut files: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|at| at.is_file())
        .collect();
    files.sort();
    files.iter().map(|path| tokens(&fs::read_to_string(path).unwrap())).collect()
}

/// Words, numbers and single other characters; spaces stay with what is before them.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = false;
    for c in source.chars() {
        let part = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if (part && word) || c.is_whitespace() => last.push(c),
            _ => tokens.push(c.to_string()),
        }
        word = part;
    }
    tokens
}

/// Everything that may be asked of a file.
fn check(source: &str) {
    let opened = Source::of("x.ron", source);
    let checked = load::check_source(&opened, &[]);
    assert!(checked.scenario.is_some() || !checked.diagnostics.is_empty());
    assert!(checked.scenario.is_some() || checked.diagnostics.len() <= ERRORS_MAX);
    let ordered = |pair: &[Diagnostic]| pair[0].primary.0 <= pair[1].primary.0;
    assert!(checked.diagnostics.windows(2).all(ordered));
    let mut diags = checked.diagnostics;
    same_as_ron(source, &diags);
    if let Some(scenario) = &checked.scenario {
        for version in [(5, 15, 0), (6, 7, 0), (7, 3, 0)] {
            diags.extend(load::kernel_rules(scenario, version));
        }
        let text = scenario.canonical();
        let again = load::parse(&text, &[]);
        let again = again.unwrap_or_else(|diags| panic!("{diags:?}\n{source}\n{text}"));
        assert_eq!(again.canonical(), text);
    }
    for diag in &diags {
        assert!(!opened.render(diag, Style::Plain).is_empty() && !opened.short(diag).is_empty());
        // Its place is in the file, or in a built-in fragment behind it.
        let inside = opened.parts().iter().find(|part| {
            part.span.start <= diag.primary.0.start && diag.primary.0.end <= part.span.end
        });
        assert!(inside.is_some(), "{diag:?}");
        let mut places = std::iter::once(&diag.primary).chain(&diag.secondary);
        if places.all(|(span, _)| span.end <= source.len()) {
            check_message(diag, source);
        }
    }
}

/// The own reader of the notation refuses what RON refuses, and no more.
fn same_as_ron(source: &str, diags: &[Diagnostic]) {
    let valid = ron::from_str::<serde::de::IgnoredAny>(source).is_ok();
    let refused = diags.iter().find(|diag| diag.code == "E0101");
    // RON has bytes, ranges, more escapes and words in more scripts: no scenario needs them.
    let own = |diag: &Diagnostic| {
        let known = ["byte strings", "escape", "is no number"];
        !source.is_ascii() || known.iter().any(|part| diag.message.contains(part))
    };
    match refused {
        Some(diag) => assert!(!valid || own(diag), "{diag:?}\n{source}"),
        None => assert!(valid || diags.iter().any(|d| d.code == "E0111" || d.code == "E0105")),
    }
}

fn check_message(diag: &Diagnostic, source: &str) {
    let places = std::iter::once(&diag.primary).chain(&diag.secondary);
    for (span, _) in places {
        assert!(span.start <= span.end && span.end <= source.len(), "{diag:?}");
        assert!(
            source.is_char_boundary(span.start) && source.is_char_boundary(span.end),
            "{diag:?}"
        );
    }
    assert!(!diag.primary.1.is_empty(), "no label: {diag:?}");
    assert!(diag::explain(diag.code).is_some(), "{diag:?}");
    assert!(!diag.message.contains('\n'), "{diag:?}");
    let text = diag::render(diag, "x.ron", source, Style::Plain);
    assert!(text.starts_with(&format!("{}[{}]", diag.severity.word(), diag.code)));
    assert!(text.contains("  --> x.ron:"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(diag::short(diag, "x.ron", source).starts_with("x.ron:"));
    assert_eq!(diag::to_json(diag, "x.ron", source)["code"], diag.code);
}

/// One change of a list of tokens.
#[derive(Debug, Clone)]
enum Change {
    Cut(prop::sample::Index, usize),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, String),
    End(prop::sample::Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let any = any::<prop::sample::Index>;
    let junk = prop::sample::select(vec![
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "'",
        "\\",
        "//",
        "/*",
        "r#\"",
        "$x",
        "-",
        "..",
        "\"$p\"",
        "9999999999999999999999",
        "-1",
        "1.5",
        "0x",
        "\u{b5}",
        "\u{1b}",
        "self",
        "value",
        "NULL",
        "->",
        "+",
        "&&",
        "b\"",
        "#![",
        "\u{feff}",
        "@",
        "true",
        "f()",
        "f",
    ]);
    prop_oneof![
        (any(), 1..4_usize).prop_map(|(at, len)| Change::Cut(at, len)),
        any().prop_map(Change::Double),
        (any(), any()).prop_map(|(a, b)| Change::Swap(a, b)),
        (any(), junk).prop_map(|(at, text)| Change::Insert(at, text.to_string())),
        (any(), 0..4_u8).prop_map(|(at, rare)| Change::End(at, rare)),
    ]
}

fn apply(tokens: &mut Vec<String>, change: &Change) {
    if tokens.is_empty() {
        return;
    }
    let len = tokens.len();
    match change {
        Change::Cut(at, count) => {
            let at = at.index(len);
            tokens.drain(at..(at + count).min(len));
        }
        Change::Double(at) => {
            let at = at.index(len);
            let token = tokens[at].clone();
            tokens.insert(at, token);
        }
        Change::Swap(a, b) => tokens.swap(a.index(len), b.index(len)),
        Change::Insert(at, text) => tokens.insert(at.index(len), text.clone()),
        // Cutting the rest off is rare, or hardly anything else would be tried.
        Change::End(at, 0) => tokens.truncate(at.index(len)),
        Change::End(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn changed_files_never_panic(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..5),
    ) {
        let corpus = corpus();
        let mut tokens = corpus[file.index(corpus.len())].clone();
        changes.iter().for_each(|change| apply(&mut tokens, change));
        check(&tokens.concat());
    }

    #[test]
    fn any_text_is_answered(source in "\\PC{0,200}") {
        check(&source);
    }

    #[test]
    fn any_string_in_a_scenario_is_answered(
        text in "[a-z0-9_$\\[\\]().<>=&| +*-]{0,24}",
        place in 0..8_usize,
    ) {
        let body = match place {
            0 => format!("work(\"{text}\")"),
            1 => format!("bpf_timer_cancel(\"{text}\")"),
            2 => format!("if(\"{text}\", [])"),
            3 => format!("read(\"r\", \"{text}\")"),
            4 => format!("wait_until(\"{text}\")"),
            5 => format!("clock_step(CLOCK_REALTIME, \"{text}\")"),
            6 => format!("close(\"{text}\")"),
            _ => format!("bpf_map_update_elem(\"m[1]\", BPF_ANY, \"{text}\")"),
        };
        check(&format!(
            "(schema: 1, name: \"x\", machine: (cpus: 1), params: {{ \"p\": \"1us\" }}, \
             maps: {{ \"m\": HASH(max_entries: 1) }}, vars: {{ \"v\": int(0) }}, \
             progs: {{ \"p\": (type: TIMER_CB, body: [ {body} ]) }}, \
             tasks: {{ \"t\": (cpu: 0, body: [ {body} ]) }}, \
             expect: [ sometimes(final(\"{text}\")), on(\"{text}\", never(ANY_BUG)) ])"
        ));
    }
}

/// Each single token of each good file is left out once.
#[test]
fn every_missing_token_is_answered() {
    for tokens in corpus() {
        for skip in 0..tokens.len() {
            let mut rest = tokens.clone();
            rest.remove(skip);
            check(&rest.concat());
        }
    }
}
