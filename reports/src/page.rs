//! `report.html`: one file that opens from disk without network, in which a run is stepped through.
//!
//! The page is complete without script: the lines that matter, every step, the final values, the picture, the source. The
//! script only moves through what is there. A Content-Security-Policy allows that script and that style sheet by their
//! digests, and nothing else.

use crate::arrows::{Says, arrows, step_of};
use crate::facts::Facts;
use crate::interleaving::{Detail, Interleaving, Row, RowKind, interleaving};
use crate::num::{count, us};
use crate::origin::Origin;
use crate::passing::changes_text;
use crate::race_svg::race_svg;
use crate::race_text::{WIDTH, race_text};
use crate::splat::capital;
use crate::states::{Variable, variables};
use crate::svg::escaped;
use crate::theme::{Theme, css};
use crate::why::why;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use timerace_core::record::Record;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Of longer runs the page has the last [`WINDOW`] steps before the finding only.
pub const MOST_STEPS: usize = 20_000;

/// The steps before the finding that the page of a long run has.
pub const WINDOW: usize = 2_000;

/// Larger data is compressed.
const MOST_DATA: usize = 1 << 20;

/// What a page is made from, beside the run.
#[derive(Clone, Debug, Default)]
pub struct Page<'a> {
    /// The text of the scenario.
    pub source: &'a str,
    /// What the search covered, as `explore` prints it; empty for a single run.
    pub cover: &'a str,
    /// The theme to begin with; `Page` follows the system.
    pub theme: Option<Theme>,
    /// Of a timed run, what its page shows beside the steps.
    pub timed: Option<TimedParts>,
}

/// What the page of a timed run has beside its steps.
#[derive(Clone, Debug, Default)]
pub struct TimedParts {
    /// What it shows, in a sentence.
    pub title: String,
    /// Scenario, kernel, seed.
    pub about: String,
    /// The command that makes it again.
    pub command: String,
    /// What the CPUs did, in the colours of the page.
    pub timeline: Option<String>,
    /// How late callbacks were, on a light and on a dark page.
    pub latency: Option<[String; 2]>,
}

/// The page of a run and of one of its findings, by index.
pub fn report_html(
    rec: &Record,
    finding: Option<usize>,
    origin: &Origin,
    page: &Page<'_>,
) -> String {
    let (rec, cut) = shortened(rec, finding);
    let facts = Facts::new(&rec);
    let f = finding.and_then(|i| rec.findings.get(i));
    let timed = page.timed.as_ref();
    let title = match (f, timed) {
        (Some(f), _) => format!("BUG: {}", f.title()),
        (None, Some(t)) => t.title.clone(),
        (None, None) => format!("{}: step by step", origin.scenario),
    };
    let brief = f.map(|_| interleaving(&rec, finding, Detail::Chosen));
    let every = interleaving(&rec, finding, Detail::Steps);
    let data = data(&facts, finding, brief.as_ref(), &every);
    let style = style();
    let mut out = head(&title, &style, Some(SCRIPT), page.theme);
    let _ = write!(
        out,
        "<h1>{}</h1>\n<p class=\"sub\">{}</p>\n",
        escaped(&title),
        escaped(&timed.map_or_else(|| subtitle(&rec, origin), |t| t.about.clone()))
    );
    if cut > 0 {
        let steps = count(cut as u64, "earlier step", "earlier steps");
        let _ = writeln!(out, "<p class=\"sub\">Left out: {steps}; replay --full prints them.</p>");
    }
    if let Some(svg) = timed.and_then(|t| t.timeline.as_ref()) {
        let _ = writeln!(out, "<figure id=\"timeline\">{svg}</figure>");
    }
    out.push_str(CONTROLS);
    out.push_str("<div class=\"board\">\n<div>\n");
    if let Some(il) = &brief {
        out.push_str("<h2 class=\"noscript-only\">The lines that matter</h2>\n");
        steps_table(&mut out, "brief", &facts, il, false);
        out.push_str("<h2 class=\"noscript-only\">Every step</h2>\n");
    }
    steps_table(&mut out, if brief.is_some() { "every" } else { "brief" }, &facts, &every, true);
    out.push_str("</div>\n<aside>\n");
    let again = match timed {
        Some(t) => t.command.clone(),
        None => origin.replay_lines(&rec.text, 2),
    };
    aside(&mut out, &facts, finding, brief.as_ref(), &again);
    out.push_str("</aside>\n</div>\n");
    below(&mut out, &rec, finding, origin, page);
    out.push_str(&data_html(&data));
    let _ = writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>");
    out
}

/// The run without the steps that are too many (more than [`MOST_STEPS`] leave the last [`WINDOW`] up to the finding), and
/// how many these are.
pub fn shortened(rec: &Record, finding: Option<usize>) -> (Cow<'_, Record>, usize) {
    if rec.steps.len() <= MOST_STEPS {
        return (Cow::Borrowed(rec), 0);
    }
    let at = finding.and_then(|i| rec.findings.get(i)).map(|f| f.at.step as usize);
    let end = at.unwrap_or(rec.steps.len()).max(WINDOW).min(rec.steps.len());
    let cut = end.saturating_sub(WINDOW);
    // All but the steps is small: a copy of those would be as large as the run.
    let rec = Record {
        contexts: rec.contexts.clone(),
        steps: rec.steps[cut..end].to_vec(),
        findings: rec.findings.clone(),
        marks: rec.marks.clone(),
        schedule: rec.schedule.clone(),
        text: rec.text.clone(),
        switches: rec.switches,
        preemptions: rec.preemptions,
        interrupts: rec.interrupts,
        ended: rec.ended.clone(),
        state: rec.state,
        passing: rec.passing.clone(),
        times: rec.times.clone(),
    };
    (Cow::Owned(rec), cut)
}

fn subtitle(rec: &Record, origin: &Origin) -> String {
    format!(
        "{} on kernel {}, schedule {}: {}, {}, {}",
        origin.file,
        origin.kernel,
        rec.text,
        count(rec.steps.len() as u64, "step", "steps"),
        count(rec.switches.into(), "switch", "switches"),
        count(rec.preemptions.into(), "preemption", "preemptions"),
    )
}

fn style() -> String {
    format!("{}{STYLE}", base())
}

/// The colours of a page, light or dark as the system or the page's own theme says.
pub(crate) fn base() -> String {
    let (light, dark) = (css(Theme::Light), css(Theme::Dark));
    format!(
        ":root{{{light}color-scheme:light}}\n\
         @media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}color-scheme:dark}}}}\n\
         @media screen{{:root[data-theme=dark]{{{dark}color-scheme:dark}}}}\n"
    )
}

/// The head of a page that allows this style, this script if there is one, and nothing else.
pub(crate) fn head(title: &str, style: &str, script: Option<&str>, theme: Option<Theme>) -> String {
    let digest = |text: &str| base64(&Sha256::digest(text.as_bytes()));
    let theme = match theme {
        Some(Theme::Dark) => " data-theme=\"dark\"",
        Some(Theme::Light) => " data-theme=\"light\"",
        _ => "",
    };
    let script =
        script.map_or_else(String::new, |s| format!(" script-src 'sha256-{}';", digest(s)));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"{theme}>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}';\
         {script} base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{style}</style>\n\
         </head>\n<body>\n",
        digest(style),
        escaped(title),
    )
}

const CONTROLS: &str = "<div class=\"controls needs-script\" role=\"toolbar\" aria-label=\"Steps\">\n\
<button id=\"back\" type=\"button\">\u{25c0} back</button>\n\
<button id=\"step\" type=\"button\">step \u{25b6}</button>\n\
<button id=\"bug\" type=\"button\">to the bug</button>\n\
<input id=\"slider\" type=\"range\" min=\"1\" aria-label=\"Step\">\n\
<output id=\"where\" for=\"slider\"></output>\n\
<button id=\"all\" type=\"button\" aria-pressed=\"false\">every step</button>\n\
<button id=\"theme\" type=\"button\">light or dark</button>\n\
<button id=\"copy\" type=\"button\">copy as text</button>\n\
<button id=\"keys\" type=\"button\" aria-label=\"keys\">?</button>\n</div>\n\
<dialog id=\"help\" aria-label=\"Keys\"><h2>Keys</h2>\n<table class=\"state\"><tbody>\n\
<tr><td><kbd>\u{2190}</kbd> <kbd>h</kbd></td><td>one step back</td></tr>\n\
<tr><td><kbd>\u{2192}</kbd> <kbd>l</kbd></td><td>one step on</td></tr>\n\
<tr><td><kbd>shift</kbd> with these</td><td>to the next switch</td></tr>\n\
<tr><td><kbd>Home</kbd> <kbd>End</kbd></td><td>first and last step</td></tr>\n\
<tr><td><kbd>b</kbd></td><td>to the bug</td></tr>\n\
<tr><td><kbd>a</kbd></td><td>every step, or the lines that matter</td></tr>\n\
<tr><td><kbd>c</kbd></td><td>copy the run as text</td></tr>\n\
<tr><td><kbd>t</kbd></td><td>light or dark</td></tr>\n\
</tbody></table>\n<button id=\"close\" type=\"button\">close</button></dialog>\n";

/// The rows as a table with a column per CPU.
fn steps_table(out: &mut String, id: &str, facts: &Facts<'_>, il: &Interleaving, anchors: bool) {
    let timed = facts.rec.steps.iter().any(|s| s.at.0 > 0);
    let _ = write!(
        out,
        "<div class=\"steps\" id=\"{id}\">\n<table>\n<thead><tr><th scope=\"col\">step</th>"
    );
    if timed {
        out.push_str("<th scope=\"col\" class=\"time\">\u{b5}s</th>");
    }
    for c in &il.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(&c.heading()));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &il.rows {
        row_html(out, facts, il, row, anchors, timed);
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn row_html(
    out: &mut String,
    facts: &Facts<'_>,
    il: &Interleaving,
    row: &Row,
    anchors: bool,
    timed: bool,
) {
    let no = step_of(row);
    let mut classes = Vec::new();
    match row.kind {
        RowKind::Waiting => classes.push("waiting"),
        RowKind::Call | RowKind::Entry(None) => classes.push("call"),
        RowKind::Gap => classes.push("gap"),
        _ => {}
    }
    if row.mark.is_some() || row.kind == RowKind::Waiting {
        classes.push("bad");
    }
    out.push_str("<tr");
    if !classes.is_empty() {
        let _ = write!(out, " class=\"{}\"", classes.join(" "));
    }
    match no {
        Some(no) => {
            let id = if anchors { format!(" id=\"step-{no}\"") } else { String::new() };
            let _ = write!(
                out,
                " data-step=\"{no}\"{id}><th class=\"no\" scope=\"row\"><a href=\"#step-{no}\">{no}</a></th>"
            );
        }
        None => out.push_str("><th class=\"no\"></th>"),
    }
    if timed {
        let at = no.and_then(|n| facts.index_of(n)).map(|i| us(facts.rec.steps[i].at.0));
        let _ = write!(out, "<td class=\"time\">{}</td>", at.unwrap_or_default());
    }
    out.push_str(&"<td></td>".repeat(row.column));
    let depth = match row.depth.min(9) {
        0 => String::new(),
        d => format!(" class=\"d{d}\""),
    };
    let _ = write!(out, "<td{depth}><code>{}</code>", line_html(row));
    if let Some(c) = &row.comment {
        let _ = write!(out, " <code class=\"remark\">// {}</code>", escaped(c));
    }
    if let Some(m) = &row.mark {
        let _ = write!(out, "<span class=\"reason\">{}</span>", escaped(&m.reason));
    }
    let rest = il.columns.len().saturating_sub(row.column + 1);
    let _ = writeln!(out, "</td>{}</tr>", "<td></td>".repeat(rest));
}

/// The line, the wrong part underlined.
fn line_html(row: &Row) -> String {
    let Some(m) = &row.mark else { return escaped(&row.text) };
    let chars: Vec<char> = row.text.chars().collect();
    let start = m.start.min(chars.len());
    let end = (m.start + m.len).min(chars.len());
    let part = |c: &[char]| escaped(&c.iter().collect::<String>());
    format!("{}<u>{}</u>{}", part(&chars[..start]), part(&chars[start..end]), part(&chars[end..]))
}

/// Beside the steps: what happens in one, the values after it, the command.
fn aside(
    out: &mut String,
    facts: &Facts<'_>,
    finding: Option<usize>,
    brief: Option<&Interleaving>,
    again: &str,
) {
    let why = finding
        .and_then(|i| facts.rec.findings.get(i))
        .and_then(|f| brief.and_then(|il| why(facts, f, il)));
    let _ = writeln!(
        out,
        "<h2>At this step</h2>\n<div class=\"note\" id=\"note\" aria-live=\"polite\"><p>{}</p></div>",
        escaped(why.as_deref().unwrap_or("The end of the run."))
    );
    if let Some(p) = &facts.rec.passing {
        let text = match changes_text(facts, p) {
            told if told.is_empty() => format!("Another order: {}.", p.text),
            told => capital(&format!("{told}: {}.", p.text)),
        };
        let _ = writeln!(out, "<h2>Nearest schedule that passes</h2>\n<p>{}</p>", escaped(&text));
    }
    let (near, far) = split_states(facts, brief);
    out.push_str("<h2>Values after the step</h2>\n");
    states_table(out, &near);
    if !far.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>{}</summary>",
            count(far.len() as u64, "other variable", "other variables")
        );
        states_table(out, &far);
        out.push_str("</details>\n");
    }
    let _ = write!(
        out,
        "<h2>Again</h2>\n<pre>{}</pre>\n<p class=\"keys needs-script\"><kbd>\u{2190}</kbd> <kbd>\u{2192}</kbd> step, with \
         <kbd>shift</kbd> to the next switch <kbd>b</kbd> bug <kbd>a</kbd> every step <kbd>t</kbd> theme \
         <kbd>c</kbd> copy <kbd>?</kbd> all keys</p>\n",
        escaped(again)
    );
}

/// The variables that the lines which matter touch, and the others; each with its number in the data.
type Numbered = Vec<(usize, Variable)>;

fn split_states(facts: &Facts<'_>, brief: Option<&Interleaving>) -> (Numbered, Numbered) {
    let shown: Option<BTreeSet<_>> = brief.map(|il| {
        let steps = il.rows.iter().filter_map(step_of).filter_map(|no| facts.index_of(no));
        steps.flat_map(|i| facts.rec.steps[i].touches.iter().map(|t| t.obj)).collect()
    });
    let all = variables(facts.rec).into_iter().enumerate();
    all.partition(|(_, v)| shown.as_ref().is_none_or(|s| s.contains(&v.obj)))
}

fn states_table(out: &mut String, vars: &[(usize, Variable)]) {
    out.push_str("<table class=\"state\">\n<tbody>\n");
    for (i, v) in vars {
        let value = v.at(usize::MAX);
        let freed = if value == "FREED" { " class=\"freed\"" } else { "" };
        let _ = writeln!(
            out,
            "<tr data-v=\"{i}\"{freed}><td>{}</td><td>{}</td></tr>",
            escaped(&v.name),
            escaped(value)
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

/// Below the steps: the picture, the text, the certificate, the source.
fn below(out: &mut String, rec: &Record, finding: Option<usize>, origin: &Origin, page: &Page<'_>) {
    if finding.is_some() {
        let text = race_text(&interleaving(rec, finding, Detail::Chosen), WIDTH);
        let svg = race_svg(rec, finding, origin, Theme::Page);
        let _ = write!(
            out,
            "<h2>The race</h2>\n<figure>{svg}</figure>\n<h2>As text</h2>\n<pre id=\"text\">{}</pre>\n",
            escaped(&text)
        );
    } else {
        let text = crate::steps::steps_table(rec, None, false);
        let _ = write!(out, "<h2>As text</h2>\n<pre id=\"text\">{}</pre>\n", escaped(&text));
    }
    if let Some([light, dark]) = page.timed.as_ref().and_then(|t| t.latency.as_ref()) {
        let _ = writeln!(
            out,
            "<h2>Latency</h2>\n<figure class=\"light-only\">{light}</figure>\n<figure class=\"dark-only\">{dark}</figure>"
        );
    }
    if !page.cover.is_empty() {
        let _ = writeln!(out, "<h2>What was searched</h2>\n<pre>{}</pre>", escaped(page.cover));
    }
    if !page.source.is_empty() {
        let _ = writeln!(out, "<h2>{}</h2>\n<ol class=\"source\">", escaped(&origin.file));
        for (i, line) in page.source.lines().enumerate() {
            // Each fragment counts its own lines.
            if let Some((_, name)) = origin.fragments.iter().find(|f| f.0 as usize == i + 1) {
                let name = escaped(name);
                let _ = writeln!(out, "</ol>\n<h2>{name}</h2>\n<ol class=\"source\">");
            }
            let _ = writeln!(out, "<li id=\"line-{}\">{}</li>", i + 1, escaped(line));
        }
        out.push_str("</ol>\n");
    }
}

/// What the script needs beside the tables. Steps: context, line, stack; all by number.
fn data(
    facts: &Facts<'_>,
    finding: Option<usize>,
    brief: Option<&Interleaving>,
    every: &Interleaving,
) -> Value {
    let rec = facts.rec;
    let f = finding.and_then(|i| rec.findings.get(i));
    let mut stacks: Vec<String> = vec![String::new()];
    let mut known: BTreeMap<String, usize> = BTreeMap::from([(String::new(), 0)]);
    let steps: Vec<Value> = rec
        .steps
        .iter()
        .map(|s| {
            let names: Vec<&str> = s.stack.iter().map(|c| c.name.as_str()).collect();
            let text = names.join(" > ");
            let at = *known.entry(text.clone()).or_insert_with(|| {
                stacks.push(text);
                stacks.len() - 1
            });
            json!([s.ctx.0, s.line.unwrap_or(0), at])
        })
        .collect();
    let first = rec.steps.first().map_or(1, |s| s.no);
    let vars: Vec<Value> = variables(rec)
        .iter()
        .map(|v| {
            let at = |i: usize| i + first as usize - 1;
            let changes: Vec<Value> = v.changes.iter().map(|(i, t)| json!([at(*i), t])).collect();
            json!([v.name, v.first, changes])
        })
        .collect();
    let who: Vec<String> = (0..rec.contexts.len())
        .map(|c| facts.name_and_place(timerace_core::CtxId(c as u16)))
        .collect();
    let drawn = arrow_data(facts, f, brief.unwrap_or(every));
    let last = every.rows.iter().rev().find_map(step_of).unwrap_or(0);
    // What shows at the end of the run only is shown there.
    let bug = f.map(|f| facts.locate(f, &f.at).map_or(last, |i| rec.steps[i].no));
    let why = f.and_then(|f| why(facts, f, brief.unwrap_or(every)));
    json!({
        "steps": steps, "stacks": stacks, "vars": vars, "who": who, "arrows": drawn, "first": first,
        "last": last, "bug": bug, "why": why,
    })
}

fn arrow_data(
    facts: &Facts<'_>,
    f: Option<&timerace_core::record::FindingRecord>,
    il: &Interleaving,
) -> Vec<Value> {
    let all = arrows(facts, f, il);
    let number = |row: usize| step_of(&il.rows[row]);
    let mut out = Vec::new();
    for a in &all {
        let (Some(from), Some(to)) = (number(a.from), number(a.to)) else { continue };
        let (says, words) = match a.says {
            Says::Ordered => {
                ("ordered", format!("Comes after step {from} in every run: {}.", a.label))
            }
            // The reason is said where the finding shows.
            Says::NotOrdered => ("not", String::new()),
            Says::Waits => ("waits", String::new()),
        };
        out.push(json!([from, to, says, a.label, words]));
    }
    out
}

/// The data of the script; of a long run compressed, which browsers can undo by themselves.
fn data_html(data: &Value) -> String {
    let text = data_text(data);
    if text.len() <= MOST_DATA {
        return format!("<script type=\"application/json\" id=\"run\">{text}</script>\n");
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let bytes = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish());
    let bytes = bytes.unwrap_or_else(|_| unreachable!("memory takes every byte"));
    let text = base64(&bytes);
    format!("<script type=\"text/plain\" id=\"run\" data-gzip=\"\">{text}</script>\n")
}

/// JSON that no markup can end.
fn data_text(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word =
            three.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63] as char;
            out.push(if i <= three.len() { digit } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn digits_of_base64() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
