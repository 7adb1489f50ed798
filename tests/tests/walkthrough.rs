//! `docs/adding-a-fix.md` shows code that is in the repository.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Blocks of a language, each with the text before it.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<(&'t str, &'t str)> {
    let fence = format!("```{language}\n");
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = text[at..].find(&fence) {
        let begin = at + begin;
        let body = begin + fence.len();
        let end = body + text[body..].find("```").expect("a block ends");
        found.push((&text[..begin], &text[body..end]));
        at = end + 3;
    }
    found
}

/// The last file that a text names in backquotes.
fn last_file<'t>(text: &'t str, ending: &str) -> &'t str {
    let mut names = text.split('`').filter(|t| t.ends_with(ending) && t.contains('/'));
    names.next_back().expect("a file is named before its code")
}

#[test]
fn its_code_is_in_the_files_that_it_names() {
    let doc = read("docs/adding-a-fix.md");
    let rust = blocks(&doc, "rust");
    assert!(rust.len() > 4);
    for (before, code) in rust {
        let name = last_file(before, ".rs");
        let file = read(name);
        for line in code.lines().filter(|l| !l.trim().is_empty()) {
            assert!(file.contains(line.trim()), "{name} has no line `{}`", line.trim());
        }
    }
    let (_, ron) = blocks(&doc, "ron")[0];
    let file = read("scenarios/library/races/r07-cancel-free-uaf.ron");
    assert!(file.contains(ron), "the expectations of R07 are others");
}

#[test]
fn its_files_exist() {
    for page in ["docs/adding-a-fix.md", "docs/model.md", "docs/races.md"] {
        let text = read(page);
        let names = text.split('`').skip(1).step_by(2).filter(|t| !t.contains(' '));
        for name in names.filter(|t| t.ends_with(".rs") && t.contains('/')) {
            read(name);
        }
    }
}
