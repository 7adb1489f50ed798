//! `index.html`: the matrix of a suite as a page, each cell a link to its folder. Plain HTML without script.

use crate::num::count;
use crate::page::{base, head};
use crate::svg::escaped;
use crate::table::{Case, CaseState};
use crate::theme::Theme;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page/suite.css");

/// A case and where to read more about it: a file below the page, with `/` between folders.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The case.
    pub case: Case,
    /// The file; `None`: there is none.
    pub to: Option<String>,
}

const STATES: [(CaseState, &str); 4] = [
    (CaseState::Ok, "ok"),
    (CaseState::Failed, "failed"),
    (CaseState::Incomplete, "incomplete"),
    (CaseState::Skipped, "skipped"),
];

impl Linked {
    /// The case as a result keeps it, so that the page can be made again.
    pub fn value(&self) -> Value {
        let c = &self.case;
        let state = STATES.iter().find(|(s, _)| *s == c.state).map(|s| s.1);
        json!({
            "scenario": c.scenario, "kernel": c.kernel, "state": state, "count": c.count, "note": c.note,
            "details": c.details, "repeat": c.repeat, "to": self.to,
        })
    }

    /// The case of such a value; `None`: it is none.
    pub fn of(v: &Value) -> Option<Linked> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let state = STATES.iter().find(|(_, name)| v["state"] == **name)?.0;
        let details: Option<Vec<String>> = v["details"].as_array()?.iter().map(text).collect();
        let case = Case {
            scenario: text(&v["scenario"])?,
            kernel: text(&v["kernel"])?,
            state,
            count: v["count"].as_u64(),
            note: text(&v["note"])?,
            details: details?,
            repeat: text(&v["repeat"]),
        };
        Some(Linked { case, to: text(&v["to"]) })
    }
}

/// The page; cases in the order of the suite. Without a theme it follows the system.
pub fn index_html(cases: &[Linked], command: &str, theme: Option<Theme>) -> String {
    let mut kernels: Vec<&str> = Vec::new();
    let mut scenarios: Vec<&str> = Vec::new();
    let mut at: BTreeMap<(&str, &str), &Linked> = BTreeMap::new();
    for l in cases {
        let (scenario, kernel) = (l.case.scenario.as_str(), l.case.kernel.as_str());
        if !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
        at.insert((scenario, kernel), l);
    }
    let n = |state| cases.iter().filter(|l| l.case.state == state).count() as u64;
    let failed = n(CaseState::Failed);
    let title = match failed {
        0 => "Every expectation holds".to_string(),
        n => count(n, "case fails", "cases fail"),
    };
    let style = format!("{}{STYLE}", base());
    let mut out = head(&title, &style, None, theme);
    let _ = writeln!(out, "<h1>{}</h1>", escaped(&title));
    let _ = writeln!(
        out,
        "<p class=\"sub\">{} on {}: {} ok, {failed} failed, {} incomplete, {} skipped</p>",
        count(scenarios.len() as u64, "scenario", "scenarios"),
        count(kernels.len() as u64, "kernel", "kernels"),
        n(CaseState::Ok),
        n(CaseState::Incomplete),
        n(CaseState::Skipped),
    );
    out.push_str("<div class=\"wide\">\n<table>\n<thead><tr><th scope=\"col\">scenario</th>");
    for k in &kernels {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(k));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for s in &scenarios {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escaped(s));
        for k in &kernels {
            match at.get(&(*s, *k)) {
                Some(l) => cell(&mut out, l),
                None => out.push_str("<td></td>"),
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    details(&mut out, cases);
    let _ = writeln!(out, "<pre>{}</pre>\n</body>\n</html>", escaped(command));
    out
}

fn cell(out: &mut String, l: &Linked) {
    let found = l.case.note.strip_prefix("finds ");
    let (class, word) = match (l.case.state, found) {
        (CaseState::Ok, Some(classes)) => ("finds", classes),
        (CaseState::Ok, None) => ("ok", "ok"),
        (CaseState::Failed, _) => ("fail", "FAIL"),
        (CaseState::Incomplete, _) => ("cut", "cut off"),
        (CaseState::Skipped, _) => ("skip", "skipped"),
    };
    let tip = format!("{} on {}: {}", l.case.scenario, l.case.kernel, l.case.note);
    let _ = write!(out, "<td class=\"{class}\" title=\"{}\">", escaped(&tip));
    let _ = match &l.to {
        Some(to) => write!(out, "<a href=\"{}\">{}</a></td>", address(to), escaped(word)),
        None => write!(out, "{}</td>", escaped(word)),
    };
}

/// What is wrong, and the command that shows it.
fn details(out: &mut String, cases: &[Linked]) {
    for l in cases.iter().filter(|l| !l.case.details.is_empty()) {
        let c = &l.case;
        let _ = writeln!(out, "<h2>{} on {}</h2>\n<ul>", escaped(&c.scenario), escaped(&c.kernel));
        for line in &c.details {
            let _ = writeln!(out, "<li>{}</li>", escaped(line));
        }
        out.push_str("</ul>\n");
        if let Some(repeat) = &c.repeat {
            let _ = writeln!(out, "<pre>{}</pre>", escaped(repeat));
        }
    }
}

/// The path as a link: what means something in an address is written by its number.
fn address(path: &str) -> String {
    let mut out = String::new();
    for b in path.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                out.push(char::from(b));
            }
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(scenario: &str, kernel: &str, state: CaseState, note: &str) -> Case {
        let (scenario, kernel) = (scenario.to_string(), kernel.to_string());
        let (details, repeat) = match state {
            CaseState::Failed => (vec!["<b>".to_string()], Some("timerace replay x".to_string())),
            _ => (Vec::new(), None),
        };
        Case { scenario, kernel, state, count: None, note: note.to_string(), details, repeat }
    }

    #[test]
    fn every_case_has_a_cell_with_a_word_and_a_link() {
        let to = |t: &str| Some(t.to_string());
        let cases = [
            Linked {
                case: case("a", "v6.7", CaseState::Ok, "finds LEAK"),
                to: to("a/v6.7/report.html"),
            },
            Linked {
                case: case("a", "v6.8", CaseState::Ok, "complete"),
                to: to("a/v6.8/cover.txt"),
            },
            Linked {
                case: case("b<", "v6.7", CaseState::Failed, "never"),
                to: to("b[x=1 us]/v6.7/report.html"),
            },
            Linked { case: case("b<", "v6.8", CaseState::Skipped, "no timers"), to: None },
        ];
        let again: Vec<Linked> =
            cases.iter().map(|l| Linked::of(&l.value()).expect("the case")).collect();
        let page = index_html(&again, "timerace test .", None);
        assert_eq!(page, index_html(&cases, "timerace test .", None));
        for part in [
            "1 case fails",
            "2 scenarios on 2 kernels: 2 ok, 1 failed, 0 incomplete, 1 skipped",
            "<a href=\"a/v6.7/report.html\">LEAK</a>",
            "<a href=\"a/v6.8/cover.txt\">ok</a>",
            "<a href=\"b%5Bx%3D1%20us%5D/v6.7/report.html\">FAIL</a>",
            "<th scope=\"row\">b&lt;</th>",
            ">skipped</td>",
            "<li>&lt;b&gt;</li>",
            "default-src 'none'; style-src 'sha256-",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(!page.contains("<script") && !page.contains("script-src"));
    }
}
