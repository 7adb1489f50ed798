//! The folders `ok/` and `err/`: files that must load, and files with their messages.
//!
//! `TIMERACE_BLESS=1` writes the messages anew; they are reviewed as diffs.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use timerace_scenarios::diag::{self, Style};
use timerace_scenarios::load;
use timerace_scenarios::source::Source;

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "ron")).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A file with its fragments, whose names are those in the folder.
fn open(path: &Path) -> Source {
    let text = load::read_file(path).unwrap();
    let folder = path.parent().unwrap().join("fragments");
    let mut fragments = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let at = entry.unwrap().path();
        fragments.insert(format!("fragments/{}", name(&at)), fs::read_to_string(&at).unwrap());
    }
    Source::with_fragments(&name(path), &text, fragments)
}

/// Everything that is said about a file, for every kernel if it loads.
fn messages(path: &Path) -> String {
    let source = open(path);
    let checked = load::check_source(&source, &[]);
    let mut text = source.render_all(&checked.diagnostics, Style::Plain);
    let Some(scenario) = &checked.scenario else { return text };
    for version in [(5, 15, 0), (6, 1, 0), (6, 12, 0), (6, 19, 0), (7, 3, 0)] {
        let diags = load::kernel_rules(scenario, version);
        if !diags.is_empty() {
            text += &format!("\n== v{}.{} ==\n\n", version.0, version.1);
            text += &source.render_all(&diags, Style::Plain);
        }
    }
    text
}

#[test]
fn good_files_load_without_a_word() {
    let files = files("ok");
    assert!(files.len() >= 13);
    for path in files {
        let source = open(&path);
        let checked = load::check_source(&source, &[]);
        let text = source.render_all(&checked.diagnostics, Style::Plain);
        assert!(checked.scenario.is_some() && checked.diagnostics.is_empty(), "{text}");
    }
}

#[test]
fn broken_files_give_their_messages() {
    let files = files("err");
    assert!(files.len() >= 45);
    let bless = std::env::var_os("TIMERACE_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let found = messages(&path);
        assert_ne!(found, "no problems\n", "{}", name(&path));
        let golden = path.with_extension("txt");
        if bless {
            fs::write(&golden, &found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!("== {} ==\n{found}", name(&path)));
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} differ; TIMERACE_BLESS=1 accepts\n{}", wrong.join("\n"));
}

#[test]
fn messages_are_ascii_and_have_no_trailing_spaces() {
    for path in files("err") {
        let text = messages(&path);
        let source = fs::read_to_string(&path).unwrap();
        assert!(text.is_ascii() || !source.is_ascii(), "{}", name(&path));
        assert!(text.lines().all(|line| line == line.trim_end()), "{}", name(&path));
    }
}

#[test]
fn each_broken_file_shows_the_code_in_its_name_or_its_place() {
    for path in files("err") {
        let number = name(&path)[..3].parse::<u32>();
        assert!(number.is_ok(), "{}: names start with a number", name(&path));
    }
}

/// A scenario and its canonical text mean the same, and the text is stable.
#[test]
fn the_canonical_text_is_a_scenario_again() {
    for path in files("ok") {
        let scenario = load::check_source(&open(&path), &[]).scenario.unwrap();
        let text = scenario.canonical();
        let again = load::parse(&text, &[]).unwrap_or_else(|diags| {
            panic!("{}", diag::render_all(&diags, &name(&path), &text, Style::Plain))
        });
        assert_eq!(again.canonical(), text, "{}", name(&path));
        assert_eq!(again.digest(), scenario.digest());
    }
}
