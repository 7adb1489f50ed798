//! `timerace gen`: man pages and completions, from the definition of the command line, and the reference of scenario files,
//! from the words that their reader knows.

use crate::args::{Cli, GenKind};
use crate::fail::{Fail, code};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;
use timerace_reports::out_dir::write_file;
use timerace_scenarios::topics;

/// Writes them into a folder.
pub fn generate(kind: GenKind, dir: &Path) -> Result<u8, Fail> {
    std::fs::create_dir_all(dir)
        .map_err(|e| Fail::usage(format!("error: cannot create {}: {e}", dir.display())))?;
    for (name, bytes) in files(kind) {
        write_file(&dir.join(name), &bytes).map_err(|e| Fail::usage(format!("error: {e}")))?;
    }
    Ok(code::OK)
}

/// Names and contents.
fn files(kind: GenKind) -> Vec<(String, Vec<u8>)> {
    match kind {
        GenKind::Man => man(),
        GenKind::Completions => {
            [Shell::Bash, Shell::Zsh, Shell::Fish].into_iter().map(completion).collect()
        }
        GenKind::Reference => {
            vec![("reference.md".to_string(), topics::reference().into_bytes())]
        }
    }
}

fn completion(shell: Shell) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "timerace", &mut bytes);
    let name = match shell {
        Shell::Zsh => "_timerace".to_string(),
        shell => format!("timerace.{shell}"),
    };
    (name, bytes)
}

/// One page for the program and one for each command.
fn man() -> Vec<(String, Vec<u8>)> {
    // What the environment says is no default of the program.
    let mut cli = Cli::command().mut_args(|arg| arg.hide_env_values(true));
    cli.build();
    let mut pages = vec![("timerace.1".to_string(), page(cli.clone()))];
    for command in cli.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        let name = format!("timerace-{}", command.get_name());
        // Flags of every command stand in the page of the program.
        let command = command.clone().mut_args(|arg| {
            let global = arg.is_global_set();
            arg.hide(global).hide_env_values(true)
        });
        pages.push((format!("{name}.1"), page(command)));
    }
    pages
}

fn page(command: clap::Command) -> Vec<u8> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_string();
    let last = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = command.after_help(clap::builder::Resettable::Reset);
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command)
        .title(name)
        .source(concat!("timerace ", env!("CARGO_PKG_VERSION")))
        .manual("timerace")
        .render(&mut bytes)
        .expect("a vector takes everything that is written");
    bytes.extend(last_section(&last).into_bytes());
    bytes
}

/// What stands below the flags, its lines as they are.
fn last_section(text: &str) -> String {
    let (title, text) = match text.split_once(':') {
        Some(("Examples", rest)) => ("EXAMPLES", rest),
        Some(("Exit codes", rest)) => ("EXIT STATUS", rest),
        _ => ("NOTES", text),
    };
    let line = |l: &str| format!("{}\n", l.trim_start().replace('\\', "\\e").replace('-', "\\-"));
    let lines: String = text.trim().lines().map(line).collect();
    match title {
        // In these the columns matter.
        "EXAMPLES" => format!(".SH {title}\n.nf\n{lines}.fi\n"),
        title => format!(".SH {title}\n{lines}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `timerace gen man docs/man` and `gen completions docs/completions` write them anew.
    /// `timerace gen reference docs` writes it anew.
    #[test]
    fn the_reference_is_that_of_this_reader() {
        for (name, bytes) in files(GenKind::Reference) {
            let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(&name);
            let kept = std::fs::read(&page).unwrap_or_default();
            assert!(
                kept == bytes,
                "docs/{name} is old; write it anew: cargo run -- gen reference docs"
            );
        }
    }

    #[test]
    fn man_pages_and_completions_are_those_of_this_command_line() {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
        for (kind, folder) in [(GenKind::Man, "man"), (GenKind::Completions, "completions")] {
            let dir = docs.join(folder);
            let made = files(kind);
            for (name, bytes) in &made {
                let kept = std::fs::read(dir.join(name)).unwrap_or_default();
                assert!(
                    kept == *bytes,
                    "docs/{folder}/{name} is old; write it anew: cargo run -- gen {folder} docs/{folder}"
                );
            }
            let there = std::fs::read_dir(&dir).map(Iterator::count).unwrap_or(0);
            assert_eq!(there, made.len(), "docs/{folder} holds something else");
        }
    }
}
