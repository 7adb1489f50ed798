//! The page of a run: what it holds without script, and what its policy allows.

use crate::{browser, build};
use sha2::{Digest, Sha256};
use std::io::Read as _;
use std::path::Path;
use timerace_core::record::Record;
use timerace_reports::interleaving::{Detail, END, RowKind, interleaving};
use timerace_reports::origin::Origin;
use timerace_reports::page::{MOST_STEPS, Page, report_html};
use timerace_reports::race_svg::race_svg;
use timerace_reports::theme::Theme;

const SOURCE: &str = "Scenario(\n    name: \"a < b & c\",\n)\n";

fn page(rec: &Record) -> String {
    let origin = Origin { file: "x.ron".into(), kernel: "v6.7".into(), ..Origin::default() };
    report_html(
        rec,
        Some(0),
        &origin,
        &Page { source: SOURCE, cover: "PASS", theme: None, timed: None },
    )
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

#[test]
fn without_script_everything_is_there() {
    for rec in [build::cancel_free_uaf(true), build::mutual_cancel(), build::three_cpus()] {
        let text = page(&rec);
        assert_eq!(text, page(&rec));
        for s in rec.steps.iter().filter(|s| !s.quiet) {
            assert!(text.contains(&format!(" id=\"step-{}\"", s.no)), "step {}", s.no);
        }
        let il = interleaving(&rec, Some(0), Detail::Chosen);
        let brief = between(&text, "id=\"brief\"", "</table>");
        assert_eq!(brief.matches("<tr").count(), il.rows.len() + 1);
        assert!(text.contains("<svg") && text.contains("<pre id=\"text\">CPU"));
        assert!(text.contains("<li id=\"line-2\">    name: &quot;a &lt; b &amp; c&quot;,</li>"));
        assert!(text.contains("<pre>PASS</pre>"));
        // Two tables have headings, which only a running script takes away.
        for heading in ["The lines that matter", "Every step"] {
            assert!(text.contains(&format!("<h2 class=\"noscript-only\">{heading}</h2>")));
        }
        let hidden = text.split(['{', '}']).filter(|rule| rule.contains(".noscript-only"));
        assert!(hidden.into_iter().all(|rule| rule.contains(".script .noscript-only")));
    }
}

#[test]
fn the_policy_allows_the_page_itself_and_no_network() {
    let text = page(&build::cancel_free_uaf(false));
    let policy = between(&text, "Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    let bytes = |part: &str| Sha256::digest(part.as_bytes());
    for part in [between(&text, "<style>", "</style>"), between(&text, "<script>", "</script>")] {
        let hash = bytes(part);
        let found = policy
            .split('\'')
            .filter_map(|w| w.strip_prefix("sha256-"))
            .any(|w| decoded(w) == hash[..]);
        assert!(found, "the policy refuses {}", &part[..40]);
    }
    for outside in
        ["http://", "https://", " style=\"", " onclick", "src=", "<link", "@import", "url("]
    {
        let rest = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains(outside), "{outside}");
    }
}

fn decoded(text: &str) -> Vec<u8> {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u32> = text.chars().filter_map(|c| digits.find(c)).map(|d| d as u32).collect();
    let word = |c: &[u32]| c.iter().fold(0, |w, d| w << 6 | d) << (6 * (4 - c.len()));
    let bytes =
        |c: &[u32]| (0..c.len() - 1).map(|i| (word(c) >> (16 - 8 * i)) as u8).collect::<Vec<_>>();
    bits.chunks(4).flat_map(bytes).collect()
}

#[test]
fn the_data_cannot_end_its_element_and_names_steps_by_number() {
    let mut rec = build::cancel_free_uaf(false);
    rec.contexts[0].name = "</script><b>".to_string();
    let text = page(&rec);
    let data = between(&text, "id=\"run\">", "</script>");
    let v: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(v["steps"].as_array().unwrap().len(), rec.steps.len());
    assert_eq!(v["bug"], rec.findings[0].at.step);
    assert_eq!(v["who"][0], "</script><b> on CPU1");
    let freed = rec.findings[0].other.as_ref().unwrap().step;
    let object = v["vars"].as_array().unwrap().iter().find(|v| v[0] == "bpf_hrtimer #1").unwrap();
    assert_eq!(object[2], serde_json::json!([[freed - 1, "FREED"]]));
    let arrows = v["arrows"].as_array().unwrap();
    assert!(arrows.iter().any(|a| a[2] == "not" && a[0] == freed), "{arrows:?}");
}

#[test]
fn a_thousand_steps_stay_small_and_a_long_run_keeps_the_end() {
    let text = page(&build::repeated(60));
    assert!(text.len() < 500_000, "{}", text.len());
    let long = build::repeated(MOST_STEPS / 10);
    let text = page(&long);
    let at = long.findings[0].at.step;
    assert!(text.contains("earlier steps") && text.contains(&format!(" id=\"step-{at}\"")));
    assert!(!text.contains(" id=\"step-4\""));
}

#[test]
fn large_data_is_compressed_and_comes_back_whole() {
    let mut many = build::repeated(900);
    for s in &mut many.steps {
        let no = s.no;
        s.stack
            .iter_mut()
            .for_each(|c| c.name = format!("a_function_with_a_rather_long_name_{no}"));
    }
    let text = page(&many);
    let packed = between(&text, "id=\"run\" data-gzip=\"\">", "</script>");
    let mut data = String::new();
    flate2::read::GzDecoder::new(&decoded(packed)[..]).read_to_string(&mut data).unwrap();
    assert!(data.len() > 1 << 20 && packed.len() < data.len() / 4, "{}", data.len());
    let v: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(v["steps"].as_array().unwrap().len(), many.steps.len());
    assert_eq!(v["bug"], many.findings[0].at.step);
    assert_eq!(text, page(&many));
}

/// The script unpacks the data itself: each step is walked to, forward and back, and an address names one.
#[test]
fn a_page_with_compressed_data_works_in_a_browser() {
    let mut rec = build::repeated(60);
    for s in &mut rec.steps {
        let name = format!("step_{}_{}", s.no, "with_a_very_long_name_".repeat(70));
        s.stack.iter_mut().for_each(|c| c.name.clone_from(&name));
    }
    let text = page(&rec);
    assert!(text.contains("data-gzip"), "{}", text.len());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compressed-page");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("report.html"), &text).unwrap();
    let Some(dom) = browser::open(&dir, "report.html#selftest") else { return };
    let walked = dom.split_once("data-selftest=\"").map(|(_, t)| t.split('"').next().unwrap());
    let shown = rec.steps.iter().filter(|s| !s.quiet).count();
    let enough = walked.and_then(|w| w.strip_prefix("ok ")).and_then(|n| n.parse::<usize>().ok());
    assert!(enough.is_some_and(|n| n >= shown), "{walked:?} of {shown}");
    let dom = browser::open(&dir, "report.html#step=500").unwrap();
    assert!(dom.contains("<body data-step=\"500\">"));
    assert!(dom.contains("step_500_with_a_very_long_name_"), "its function stands in the note");
}

#[test]
fn a_long_run_without_a_finding_is_drawn_from_its_end() {
    let mut long = build::repeated(100);
    long.findings.clear();
    let il = interleaving(&long, None, Detail::End);
    let steps = il.rows.iter().filter(|r| matches!(r.kind, RowKind::Step(_))).count();
    assert_eq!(steps, END);
    let all = long.steps.iter().filter(|s| !s.quiet).count();
    assert_eq!(il.left_out, all - END);
    let drawn = race_svg(&long, None, &Origin::default(), Theme::Light);
    assert!(drawn.contains("steps before these; replay prints them"));
}
