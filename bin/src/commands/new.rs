//! `timerace new`: a commented scenario to start from.

use crate::args::{Common, Kind};
use crate::fail::{Fail, code};
use crate::output;
use std::io::Write;
use std::path::Path;
use timerace_scenarios::library;

/// Writes a scenario; never over an existing file.
pub fn new(common: &Common, kind: Kind, file: &Path) -> Result<u8, Fail> {
    let from = match kind {
        Kind::Periodic => "periodic-under-net-rx",
        Kind::Cancel => "r07-cancel-free-uaf",
        Kind::Uref => "r06-timer-init-uref",
        Kind::Lru => "r14-lru-wait",
        Kind::Raw => "r07-raw",
    };
    let entry = library::find(from).expect("the templates are in the library");
    let name = scenario_name(file);
    let text = entry.source.replace(&format!("name: \"{from}\""), &format!("name: \"{name}\""));
    let text = with_advice(&text, kind);
    let shown = file.display();
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(|e| match e
            .kind()
        {
            std::io::ErrorKind::AlreadyExists => {
                Fail::usage(format!("error: {shown} exists; nothing was written"))
            }
            _ => Fail::usage(format!("error: {shown}: {e}")),
        })?;
    if let Err(e) = out.write_all(text.as_bytes()) {
        let _ = std::fs::remove_file(file);
        return Err(Fail::usage(format!("error: {shown}: {e}")));
    }
    let next = match kind {
        Kind::Periodic => format!("timerace run {shown}"),
        Kind::Raw => format!("timerace explore {shown}"),
        _ => format!("timerace explore {shown} --kernel v6.7"),
    };
    output::note(common, &format!("wrote {shown}; next: {next}"));
    Ok(code::OK)
}

/// What to do next and where to read on, between the story and the scenario.
fn with_advice(text: &str, kind: Kind) -> String {
    let story = text.lines().take_while(|l| l.starts_with("//")).map(|l| l.len() + 1).sum();
    let (story, scenario) = text.split_at(story);
    let next = match kind {
        Kind::Periodic => {
            "//   timerace run FILE --seeds 1..10       how late callbacks are, and why\n\
             //   timerace sweep FILE --axis period=50us..1ms/50us\n"
        }
        _ => {
            "//   timerace explore FILE --kernel v6.7   every interleaving, or the first bug\n\
             //   timerace test FILE --kernel v6.7 --kernel v6.7+COMMIT    without and with one fix\n\
             //   timerace test FILE --kernel v6.1..v6.12                  releases\n"
        }
    };
    let advice = "// maps, progs:  what exists before the start; `init:` arms timers.\n\
                  // tasks, cpus:  who does what where; steps of different CPUs race with each other.\n\
                  // params:       values for \"$name\"; --set name=value replaces one.\n\
                  // use:          load from fragments: use: [\"common/background-load.ron\"].\n\
                  // ret(..):      what a call may return besides success; anything else is a finding.\n\
                  // expect:       what must hold; never(ANY_BUG) is implied. sometimes(..): that the race was reached.\n";
    format!(
        "// An example to make your own scenario of. Its story:\n//\n{story}//\n{advice}//\n\
         //   timerace check FILE                  every problem of this file\n{next}\
         //   timerace explain WORD                any word of this file; without WORD the list\n{scenario}"
    )
}

/// The file's name as a scenario may be called: `[a-z0-9-]+`.
fn scenario_name(file: &Path) -> String {
    let stem = file.file_stem().map(|s| s.to_string_lossy().to_ascii_lowercase());
    let name: String = stem
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "scenario".to_string() } else { name.to_string() }
}
