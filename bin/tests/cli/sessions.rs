//! The console sessions of the manual and the README say what the program prints.
//!
//! A page is played from top to bottom in one folder, beside which lie the project's `scenarios` and `tests`: a block ```` ```ron NAME ```` is written as a file of that name, each
//! `$ ` line of a ```` ```console ```` block is run by `sh`, and what it prints must stand below it. Blocks with `ignore`
//! are for the reader only. Of jobs in ```` ```yaml ```` blocks the lines `timerace test ..` are run and must succeed. `TIMERACE_BLESS=1` writes the pages anew.

use crate::support::Dir;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A piece of a page.
enum Piece {
    /// As it is: text, and blocks that are no sessions.
    Text(String),
    /// The commands of a session, as they stand on the page, with the prompt.
    Session(Vec<String>),
    /// A job of CI.
    Job(String),
    /// A block that is a file for the sessions below it.
    File { name: String, text: String },
}

fn pieces(page: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            pieces.push(Piece::Text(format!("{line}\n")));
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
        let text: String = block.iter().map(|l| format!("{l}\n")).collect();
        pieces.push(match info.split_once(' ') {
            Some(("ron", name)) => Piece::File { name: name.into(), text },
            _ if info == "console" => Piece::Session(commands(&block)),
            _ if info == "yaml" => Piece::Job(text),
            _ => Piece::Text(format!("```{info}\n{text}```\n")),
        });
    }
    pieces
}

/// Lines with a prompt, and those that continue them.
fn commands(block: &[&str]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continued = false;
    for line in block {
        match commands.last_mut() {
            Some(c) if continued => c.push_str(&format!("\n{line}")),
            _ if line.starts_with("$ ") => commands.push((*line).to_string()),
            // What was printed.
            _ => continue,
        }
        continued = line.ends_with('\\');
    }
    commands
}

/// Plays a page; the page as it should be.
fn play(page: &str, dir: &Dir) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_timerace")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    for folder in ["scenarios", "tests"] {
        std::os::unix::fs::symlink(root.join(folder), dir.0.join(folder)).unwrap();
    }
    let mut status = 0;
    let mut out = String::new();
    for piece in pieces(page) {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Job(text) => {
                let commands: Vec<&str> =
                    text.lines().filter_map(|l| Some(&l[l.find("timerace test ")?..])).collect();
                assert!(!commands.is_empty(), "a job without `timerace test`:\n{text}");
                for command in commands {
                    let mut sh = Command::new("sh");
                    sh.args(["-c", command]).current_dir(&dir.0).env("PATH", &path);
                    let ran = sh.env_remove("TIMERACE_KERNEL").output().unwrap();
                    assert!(ran.status.success(), "{command}: {ran:?}");
                }
                out.push_str(&format!("```yaml\n{text}```\n"));
            }
            Piece::File { name, text } => {
                dir.file(&name, text.as_bytes());
                out.push_str(&format!("```ron {name}\n{text}```\n"));
            }
            Piece::Session(commands) => {
                out.push_str("```console\n");
                for shown in commands {
                    let command = shown.strip_prefix("$ ").unwrap();
                    // As on a terminal, where both streams meet and `$?` is the code of the command before.
                    let script = format!("exec 2>&1\n(exit {status})\n{command}");
                    let ran = Command::new("sh")
                        .args(["-c", &script])
                        .current_dir(&dir.0)
                        .env("PATH", &path)
                        .env("NO_COLOR", "1")
                        .env_remove("TIMERACE_KERNEL")
                        .env_remove("TIMERACE_COLOR")
                        .output()
                        .unwrap();
                    status = ran.status.code().unwrap_or(-1);
                    out.push_str(&format!("{shown}\n{}", String::from_utf8(ran.stdout).unwrap()));
                }
                out.push_str("```\n");
            }
        }
    }
    out
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

#[test]
fn the_sessions_of_the_manual_are_what_the_program_prints() {
    let mut sessions = 0;
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        sessions += page.matches("```console\n").count();
        let played = play(&page, &Dir::new(&format!("session-{name}")));
        if std::env::var_os("TIMERACE_BLESS").is_some() {
            std::fs::write(&path, played).unwrap();
        } else {
            let differ = page.lines().zip(played.lines()).find(|(is, should)| is != should);
            assert!(
                page == played,
                "{} differs at {differ:?}; TIMERACE_BLESS=1 accepts",
                path.display()
            );
        }
    }
    assert!(sessions > 20, "only {sessions} sessions were found");
}

#[test]
fn every_page_stands_in_the_table_of_contents() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let contents = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    for path in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let linked = contents.contains(&format!("({name})"));
        assert!(
            linked || ["SUMMARY.md", "README.md"].contains(&name.as_str()),
            "{name} is not linked"
        );
    }
    let links = contents.split('(').skip(1).filter_map(|l| l.split_once(')'));
    for (link, _) in links {
        assert!(docs.join(link).is_file(), "{link} does not exist");
    }
}
