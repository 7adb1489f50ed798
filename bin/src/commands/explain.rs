//! `timerace explain`: help on codes, classes and built-in scenarios.

use crate::args::Common;
use crate::fail::{Fail, code};
use crate::output;
use timerace_core::detect::{CLASSES, Class};
use timerace_scenarios::diag::{CODES, explain as explain_code};
use timerace_scenarios::library;

/// Prints help on one topic, or the list of topics.
pub fn explain(_: &Common, topic: Option<&str>) -> Result<u8, Fail> {
    let Some(topic) = topic else {
        output::print(&list());
        return Ok(code::OK);
    };
    if let Some(info) = explain_code(topic) {
        output::print(&info.text());
    } else if let Some(class) = Class::from_name(&topic.to_ascii_uppercase().replace('-', "_")) {
        output::print(&format!("{}: {}\n", class.name(), class.meaning()));
    } else if let Some(entry) = library::find(topic) {
        let story = entry.source.lines().take_while(|l| l.starts_with("//"));
        let story: Vec<&str> = story.map(|l| l.trim_start_matches('/').trim()).collect();
        output::print(&format!("{}\n", story.join("\n")));
    } else if let Some((_, text)) = library::FRAGMENTS.iter().find(|(path, _)| *path == topic) {
        output::print(text);
    } else {
        return Err(Fail::usage(format!(
            "error: there is no topic `{topic}`; `timerace explain` lists them"
        )));
    }
    Ok(code::OK)
}

fn list() -> String {
    let mut text = String::from("Codes of messages:\n");
    for c in CODES {
        text.push_str(&format!("  {}  {}\n", c.code, c.title));
    }
    text.push_str("\nClasses of findings:\n");
    for c in CLASSES {
        text.push_str(&format!("  {:<22} {}\n", c.name(), c.meaning()));
    }
    text.push_str("\nBuilt-in scenarios:\n");
    for e in library::LIBRARY {
        text.push_str(&format!("  {:<26} {}\n", e.name(), e.title()));
    }
    text.push_str("\nBuilt-in fragments, for `use: [..]`:\n");
    for (path, source) in library::FRAGMENTS {
        let title = source.lines().next().unwrap_or_default().trim_start_matches('/').trim();
        text.push_str(&format!("  {path:<26} {title}\n"));
    }
    text
}
