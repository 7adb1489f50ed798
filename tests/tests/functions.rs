//! docs/functions.md names the model's functions beside the kernel's, and names all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A function of the model: its file below `kernel/src/`, its name, and the kernel functions that its documentation names.
struct Function {
    file: String,
    name: String,
    says: BTreeSet<String>,
    /// The documentation begins with one of them.
    stands_for_it: bool,
}

/// `` `f()` `` or `` `f(a, b)` `` in a text.
fn kernel_functions(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter_map(|q| Some(q.split_once('(')?.0.to_string())).collect()
}

fn functions_of(path: &Path, file: &str) -> Vec<Function> {
    let source = std::fs::read_to_string(path).expect("a source file");
    let (mut doc, mut all) = (String::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc += text;
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let name =
            line.split_once("fn ").map(|(before, after)| (before, after.split(['(', '<']).next()));
        let item = ["", "async ", "pub ", "pub(crate) ", "pub(super) "];
        if let Some((before, Some(name))) = name
            && item.iter().any(|i| before == *i || before.strip_suffix("async ") == Some(i))
        {
            let begins = doc.trim_start();
            let first = begins.strip_prefix('`').and_then(|t| t.split('`').next());
            let stands_for_it = first.is_some_and(|t| t.ends_with("()"));
            let says = kernel_functions(&doc);
            all.push(Function { file: file.into(), name: name.into(), says, stands_for_it });
        }
        doc.clear();
    }
    all
}

/// All functions below `kernel/src/` that are steps of the kernel: not those that boot, hold data, or write records.
fn functions() -> Vec<Function> {
    let src = top().join("kernel/src");
    let mut folders = vec![src.clone()];
    let mut all = Vec::new();
    let no_steps = ["boot", "world", "versions", "trace.rs", "raw.rs", "log.rs", "arg.rs"];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let file = path.strip_prefix(&src).expect("below it").to_string_lossy().into_owned();
            if no_steps.contains(&file.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                all.extend(functions_of(&path, &file));
            }
        }
    }
    all
}

/// A row of the table: kernel functions, and the model's file and function.
fn rows(page: &str) -> Vec<(BTreeSet<String>, String, String)> {
    let cells = |line: &str| line.split('|').map(|c| c.trim().to_string()).collect::<Vec<_>>();
    let table = page.lines().filter(|l| l.starts_with("| `")).map(cells);
    table
        .map(|c| {
            assert_eq!(c.len(), 7, "{c:?}");
            let model = c[4].trim_matches('`');
            let (file, name) = model.split_once(' ').expect("a file and a function");
            (kernel_functions(&c[1]), file.to_string(), name.to_string())
        })
        .collect()
}

#[test]
fn the_table_names_what_is_there() {
    let page = std::fs::read_to_string(top().join("docs/functions.md")).expect("the page");
    let (all, rows) = (functions(), rows(&page));
    assert!(rows.len() > 100, "{}", rows.len());
    for (kernel, file, name) in &rows {
        let there = all.iter().find(|f| f.file == *file && f.name == *name);
        let f = there.unwrap_or_else(|| panic!("kernel/src/{file} has no function {name}"));
        for k in kernel {
            assert!(f.says.contains(k), "the documentation of {file} {name} does not name {k}()");
        }
    }
}

#[test]
fn the_table_names_all_that_is_there() {
    let page = std::fs::read_to_string(top().join("docs/functions.md")).expect("the page");
    let rows = rows(&page);
    let missing: Vec<String> = functions()
        .iter()
        .filter(|f| f.stands_for_it && !rows.iter().any(|r| r.1 == f.file && r.2 == f.name))
        .map(|f| format!("{} {}", f.file, f.name))
        .collect();
    assert!(missing.is_empty(), "docs/functions.md lacks {missing:#?}");
}
