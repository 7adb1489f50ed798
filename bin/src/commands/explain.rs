//! `timerace explain`: help on codes, classes, words of scenario files, rules of the model, kernels, built-in scenarios.

use crate::args::{Common, KernelArgs};
use crate::fail::{Fail, code};
use crate::output;
use std::fmt::Write as _;
use timerace_core::detect::{CLASSES, Class};
use timerace_kernel::versions::{FIXES, Fix, releases};
use timerace_kernel::{KernelVersion, versions::FixInfo};
use timerace_scenarios::diag::{CODES, explain as explain_code};
use timerace_scenarios::library::{self, Entry as LibraryEntry};
use timerace_scenarios::{costs, load, topics};

/// Prints help on one topic, or the list of topics.
pub fn explain(_: &Common, topic: Option<&str>) -> Result<u8, Fail> {
    let text = match topic {
        None => Some(list()),
        Some(topic) => about(topic),
    };
    let Some(text) = text else {
        let topic = topic.unwrap_or_default();
        let near = nearest(topic).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
        return Err(Fail::usage(format!(
            "error: there is no topic `{topic}`{near}\nhelp: `timerace explain` lists them"
        )));
    };
    output::print(&text);
    Ok(code::OK)
}

fn about(topic: &str) -> Option<String> {
    if topic == "limits" {
        // `limits:` of a scenario has this name too.
        let field = topics::find(topic).map(topics::Topic::text).collect::<String>();
        return Some(format!("{field}\n{}", limits()));
    }
    if let Some(info) = explain_code(topic) {
        return Some(info.text());
    }
    match topic {
        // `costs:` of timerace.ron has this name too.
        "costs" => return Some(costs::about()),
        "timerace.ron" => return Some(configuration()),
        "exit-codes" => return Some(EXIT_CODES.to_string()),
        "window" => return Some(WINDOW.to_string()),
        "never_any_bug" | "never_other_bug" => return Some(IMPLIED.to_string()),
        _ => {}
    }
    if let Some(class) = Class::from_name(&topic.to_ascii_uppercase().replace('-', "_")) {
        let head = format!("{}: {}", class.name(), class.meaning());
        return Some(format!("{head}\n\n{}\n{}", class.details(), shown_by(class)));
    }
    // The rule of one kernel may be called as the word of a scenario is.
    let words: Vec<String> = topics::find(topic).map(topics::Topic::text).collect();
    let mut all = words;
    all.extend(Fix::find(topic).map(|f| rule(f.info(), f)));
    all.extend(KernelVersion::parse(topic).ok().map(kernel));
    if !all.is_empty() {
        return Some(all.join("\n"));
    }
    let told: Vec<String> = scenarios_about(topic).map(story).collect();
    if !told.is_empty() {
        return Some(told.join("\n"));
    }
    let fragment = library::FRAGMENTS.iter().find(|(path, _)| *path == topic);
    fragment.map(|(_, text)| (*text).to_string())
}

/// Most scenarios that are named for a class.
const SHOWN: usize = 4;

/// Built-in scenarios that expect a finding of this class of some release, and how to see the first.
fn shown_by(class: Class) -> String {
    let kernel = |e: &LibraryEntry| {
        let scenario = load::check_source(&e.open(), &[]).scenario?;
        load::newest_with(&scenario, class).map(|kernel| (e.name(), kernel))
    };
    let all: Vec<_> = library::LIBRARY.iter().filter_map(kernel).take(SHOWN).collect();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    match all.first() {
        None => String::new(),
        Some((first, kernel)) => {
            let args = KernelArgs::of(*kernel);
            let without = args.without.iter().map(|fix| format!(" --without {fix}"));
            format!(
                "\nShown by: {}\nSee it: timerace explore {first} --kernel {}{}\n",
                names.join(", "),
                kernel.release(),
                without.collect::<String>()
            )
        }
    }
}

/// Built-in scenarios of this name, of this race (`R09`), or that refer to this (`CVE-2024-42239`).
fn scenarios_about(topic: &str) -> impl Iterator<Item = &'static LibraryEntry> {
    let exact = library::LIBRARY.iter().any(|e| e.name() == topic);
    let race = format!("{}-", topic.to_ascii_lowercase());
    let refers = move |e: &LibraryEntry, topic: &str| {
        let quoted = format!("\"{topic}\"");
        e.source.lines().any(|l| l.trim_start().starts_with("refs:") && l.contains(&quoted))
    };
    library::LIBRARY.iter().filter(move |e| match exact {
        true => e.name() == topic,
        false => e.name().starts_with(&race) || refers(e, topic),
    })
}

/// What a built-in scenario is about, and how to have it.
fn story(entry: &LibraryEntry) -> String {
    let lines = entry.source.lines().take_while(|l| l.starts_with("//"));
    let lines: Vec<&str> = lines.map(|l| l.trim_start_matches('/').trim()).collect();
    let name = entry.name();
    let scenario = load::check_source(&entry.open(), &[]).scenario;
    let refs: Vec<String> =
        scenario.iter().flat_map(|s| s.refs.iter().map(|r| r.node.clone())).collect();
    let refs = match refs[..] {
        [] => String::new(),
        _ => format!("See: {}\n", refs.join(", ")),
    };
    format!(
        "{}\n\n{refs}Run it: timerace demo {name}    Have it: timerace demo {name} -o DIR\n",
        lines.join("\n")
    )
}

/// The fields of the configuration, with an example.
fn configuration() -> String {
    let mut out = String::from(
        "timerace.ron, in the folder of a project or above, says what flags, the environment and\n\
         scenarios leave open. `timerace check -v FILE` shows what is effective, and why.\n\n    \
         Config(\n        schema: 1,\n        scenarios: [\"scenarios/**/*.ron\"],\n        \
         kernels: [\"v6.7\", \"v6.8\"],\n    )\n\n",
    );
    for t in topics::topics().filter(|t| t.group == topics::Group::Config) {
        let _ = writeln!(out, "  {:<10} {}", t.name, t.text);
    }
    out
}

const WINDOW: &str = "window: what a scenario wants to come into

A `sometimes(..)` that names no bug, such as sometimes(overlap(\"cb0\", \"cb1\")), says which moment the
scenario is about. \"Window entered in 100 of 164 schedules\": in so many of the schedules that were
run all of these were true. A scenario that never comes into its window fails, since it tests
nothing. The \"Window:\" line of a finding is another one: nanoseconds, where durations count.
";

const IMPLIED: &str = "never_any_bug, never_other_bug: what nobody needs to write

Every scenario expects never(ANY_BUG). Where it expects a bug, by sometimes(USE_AFTER_FREE) or
always(..), it expects that there is none of another class: never_other_bug. `?` says that this was
not decided, as the search stopped at the first bug; --keep-going decides it. A `?` of this kind
fails nothing.
";

const EXIT_CODES: &str = "Exit codes:\n  \
    0    every expectation holds\n  \
    1    one does not: a bug was found, or one that should be found was not\n  \
    2    wrong usage, or a file that is wrong\n  \
    3    inconclusive: a bound was hit before all was decided (--allow-inconclusive of `test`)\n  \
    4    nothing was run\n  \
    5    a replay diverged: the schedule is for another kernel or scenario\n  \
    70   a mistake in timerace\n  \
    130  interrupted; what was written is marked as partial\n\
    `explore` and `run` of a scenario that expects a bug on this kernel exit with 0 when it is found.\n\
    `test --ksft-exit` has those of kselftest.\n";

/// A rule of the model: a fix, and the kernels that have it.
fn rule(info: &FixInfo, fix: Fix) -> String {
    let mut out = info.name.to_string();
    if let Some(commit) = info.commit {
        let _ = write!(out, " (commit {commit})");
    }
    let all = releases().into_iter().filter_map(|r| KernelVersion::of(r).ok());
    let (mainline, stable): (Vec<KernelVersion>, Vec<KernelVersion>) =
        all.filter(|k| k.has(fix)).partition(|k| k.release().patch == 0);
    let _ = writeln!(out, ": {}\n", info.what);
    let from = mainline
        .first()
        .map_or_else(|| "no mainline release".to_string(), |k| format!("{k} and later"));
    let names: Vec<String> = stable.iter().map(KernelVersion::to_string).collect();
    let also = if names.is_empty() { String::new() } else { format!("; {}", names.join(", ")) };
    let _ = writeln!(out, "In {from}{also}.");
    let name = info.commit.unwrap_or(info.name);
    let _ = writeln!(out, "Add or remove it: --with {name}, --without {name}");
    let commit = info.commit.map(|commit| format!("commit {commit}"));
    let about = commit.iter().flat_map(|commit| scenarios_about(commit));
    let shown: Vec<&str> = about.map(LibraryEntry::name).collect();
    if let Some(first) = shown.first() {
        let _ = writeln!(out, "What it is about: {}", shown.join(", "));
        let _ = writeln!(out, "See it: timerace demo {first}");
    }
    out
}

fn kernel(k: KernelVersion) -> String {
    let mut out = format!("{k} has these fixes:\n");
    for f in k.fixes() {
        let _ = writeln!(out, "  {:<28} {}", f.info().name, f.info().what);
    }
    out
}

/// What the program itself will not go beyond.
fn limits() -> String {
    use timerace_scenarios::limits::{
        CPUS_MAX, ERRORS_MAX, FILE_MAX_BYTES, LENGTH_MAX_NS, NESTING_MAX, TYPE_MAX_BYTES,
    };
    let explored = timerace_core::policy::Limits::default();
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let rows = [
        ("a scenario, schedule, certificate or costs file", mib(FILE_MAX_BYTES)),
        ("a recording or a trace, unpacked", mib(super::conform::MAX_BYTES)),
        ("a file of a saved result that is read back", mib(crate::saved::FILE_MAX_BYTES)),
        ("nesting of brackets", NESTING_MAX.to_string()),
        ("messages at once", ERRORS_MAX.to_string()),
        ("CPUs of a machine", CPUS_MAX.to_string()),
        ("elements of a map", timerace_kernel::MAX_ELEMENTS.to_string()),
        ("a struct", format!("{} KiB", TYPE_MAX_BYTES >> 10)),
        ("a duration", format!("{} days", LENGTH_MAX_NS / 86_400_000_000_000)),
        ("contexts that are explored", timerace_core::dpor::MAX_EXPLORED.to_string()),
        ("steps of one schedule (limits: steps)", explored.steps.to_string()),
        ("expiries of one schedule (limits: expiries)", explored.expiries.to_string()),
        ("a table of states (--max-memory)", mib(crate::search::MAX_MEMORY)),
        ("steps of a timed run (limits: steps)", super::run::MAX_STEPS.to_string()),
        ("... while its CPU does not get to a timer", super::run::PATIENCE.to_string()),
    ];
    let mut out = String::from(
        "Limits of the program; what is larger is refused or cut off, and never called a pass:\n",
    );
    for (what, most) in rows {
        let _ = writeln!(out, "  {what:<50} {most}");
    }
    out.push_str(
        "\nMemory: a search keeps at most 24 bytes for each state that it has seen and 11 for each final\n\
         state. A table larger than --max-memory ends it as inconclusive, unless the engine of traces,\n\
         which keeps no states, can go on alone. While a table grows it takes twice its size.\n",
    );
    out
}

/// Everything that there is help on, for suggestions.
fn names() -> impl Iterator<Item = &'static str> {
    let codes = CODES.iter().map(|c| c.code);
    let classes = CLASSES.into_iter().map(Class::name);
    let words = topics::topics().map(|t| t.name);
    let rules = FIXES.iter().map(|f| f.name);
    let more =
        ["exit-codes", "costs", "timerace.ron", "window", "never_any_bug", "never_other_bug"];
    let scenarios = library::LIBRARY.iter().map(|e| e.name());
    codes.chain(classes).chain(words).chain(rules).chain(scenarios).chain(more)
}

fn nearest(topic: &str) -> Option<&'static str> {
    let lower = topic.to_ascii_lowercase();
    timerace_scenarios::diag::nearest(&lower, names())
}

fn list() -> String {
    let mut text = String::from("Codes of messages:\n");
    for c in CODES {
        let _ = writeln!(text, "  {}  {}", c.code, c.title);
    }
    text.push_str("\nClasses of findings:\n");
    for c in CLASSES {
        let _ = writeln!(text, "  {:<22} {}", c.name(), c.meaning());
    }
    let mut group = None;
    for t in topics::topics() {
        if group != Some(t.group) {
            group = Some(t.group);
            let _ = writeln!(text, "\n{}:", t.group.words());
        }
        let first = t.text.split_inclusive(". ").next().unwrap_or_default().trim_end();
        let _ = writeln!(text, "  {:<30} {first}", t.name);
    }
    text.push_str("\nRules of the model, which kernels have or lack:\n");
    for f in &FIXES {
        let _ = writeln!(text, "  {:<30} {}", f.name, f.what);
    }
    text.push_str("\nMore: exit-codes, costs, limits, timerace.ron.\n");
    text.push_str("\nKernels: a release such as v6.7; `timerace kernels` lists them.\n");
    text.push_str("\nBuilt-in scenarios:\n");
    for e in library::LIBRARY {
        let _ = writeln!(text, "  {:<26} {}", e.name(), e.title());
    }
    text.push_str("\nBuilt-in fragments, for `use: [..]`:\n");
    for (path, source) in library::FRAGMENTS {
        let title = source.lines().next().unwrap_or_default().trim_start_matches('/').trim();
        let _ = writeln!(text, "  {path:<26} {title}");
    }
    text
}
