//! The picture of an interleaving.

use crate::{build, golden, svg};
use timerace_core::record::Record;
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::origin::Origin;
use timerace_reports::race_svg::race_svg;
use timerace_reports::theme::Theme;

fn origin(scenario: &str) -> Origin {
    Origin {
        scenario: scenario.to_string(),
        file: format!("{scenario}.ron"),
        kernel: "v6.7".to_string(),
        ..Origin::default()
    }
}

fn records() -> [(&'static str, Record); 5] {
    [
        ("cancel-free", build::cancel_free_uaf(true)),
        ("mutual-cancel", build::mutual_cancel()),
        ("init-uref", build::init_uref_leak()),
        ("three-cpus", build::three_cpus()),
        ("interrupted", build::interrupted()),
    ]
}

#[test]
fn pictures_of_known_races() {
    for (name, rec) in records() {
        let light = race_svg(&rec, Some(0), &origin(name), Theme::Light);
        svg::check(name, &light);
        golden::check(&format!("race-{name}.svg"), &light);
        assert_eq!(light, race_svg(&rec, Some(0), &origin(name), Theme::Light));
        let dark = race_svg(&rec, Some(0), &origin(name), Theme::Dark);
        svg::check(name, &dark);
        assert!(dark.contains("#0f1318") && !dark.contains("#ffffff"), "{name}");
    }
}

#[test]
fn the_picture_has_the_lines_and_the_numbers_of_the_text() {
    for (name, rec) in records() {
        let il = interleaving(&rec, Some(0), Detail::Chosen);
        let drawn = race_svg(&rec, Some(0), &origin(name), Theme::Light);
        let doc = roxmltree::Document::parse(&drawn).unwrap();
        let texts: Vec<&str> = doc.descendants().filter_map(|n| n.text()).collect();
        for row in &il.rows {
            assert!(texts.contains(&row.text.as_str()), "{name}: {}", row.text);
        }
        for s in il.rows.iter().filter_map(timerace_reports::arrows::step_of) {
            assert!(texts.contains(&s.to_string().as_str()), "{name}: step {s}");
        }
    }
}

#[test]
fn what_is_not_ordered_is_dashed_and_says_so() {
    let drawn = race_svg(&build::cancel_free_uaf(false), Some(0), &origin("x"), Theme::Light);
    for part in [">not ordered<", "stroke-dasharray", ">unlock \u{2192} lock<", ">FREED<"] {
        assert!(drawn.contains(part), "{part}");
    }
    // In a deadlock nothing is missing: they wait.
    let drawn = race_svg(&build::mutual_cancel(), Some(0), &origin("x"), Theme::Light);
    assert!(drawn.contains(">waits for<") && !drawn.contains("not ordered"), "{drawn}");
}

#[test]
fn a_run_without_a_finding_and_one_without_steps_are_drawn_too() {
    let rec = build::three_cpus();
    svg::check("without", &race_svg(&rec, None, &origin("three"), Theme::Light));
    let empty = build::Build::new().rec;
    svg::check("empty", &race_svg(&empty, Some(0), &origin("empty"), Theme::Light));
}

#[test]
fn of_a_hundred_thousand_steps_the_picture_has_the_few_that_matter() {
    let rec = build::repeated(100_000 / 14 + 1);
    assert!(rec.steps.len() >= 100_000);
    let drawn = race_svg(&rec, Some(0), &origin("long"), Theme::Light);
    svg::check("long", &drawn);
    assert!(drawn.len() < 30_000, "{}", drawn.len());
    let at = rec.findings[0].at.step.to_string();
    assert!(drawn.contains(&format!(">{at}<")), "step {at}");
}
