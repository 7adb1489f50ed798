//! `matrix.svg`: scenario by kernel. Neighbouring kernels with the same outcome share one cell, so that a race is a bar from
//! the release that brought it to the last one without its fix.

use crate::num::count;
use crate::svg::{Anchor, Area, Canvas, PX, Units, fitted, wrapped};
use crate::table::{Case, CaseState};
use crate::theme::{Font, Theme};
use std::collections::BTreeMap;

const MARGIN: Units = 28 * PX;
const ROW: Units = 24 * PX;
const TOP: Units = 118 * PX;
/// Width of one kernel.
const CELL: Units = 64 * PX;
/// Of a single cell whose word must fit.
const WIDE: Units = 118 * PX;

/// A command that is longer does not widen the picture: it takes several lines.
const LONGEST: Units = 700 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const NAME: Font = Font::mono(115);
const WORD: Font = Font::mono(105);
const AXIS: Font = Font::sans(115).weight(600);

/// What is said of a scenario on a kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    /// Expectations hold, and nothing was found.
    Clean,
    /// They hold, and these classes were found.
    Finds(String),
    Failed,
    Incomplete,
}

/// The picture; cases in the order of the suite.
pub fn matrix_svg(cases: &[Case], command: &str, theme: Theme) -> String {
    let mut kernels: Vec<&str> = Vec::new();
    let mut scenarios: Vec<&str> = Vec::new();
    let mut at: BTreeMap<(&str, &str), Outcome> = BTreeMap::new();
    for c in cases.iter().filter(|c| c.state != CaseState::Skipped) {
        if !kernels.contains(&c.kernel.as_str()) {
            kernels.push(&c.kernel);
        }
        if !scenarios.contains(&c.scenario.as_str()) {
            scenarios.push(&c.scenario);
        }
        at.insert((&c.scenario, &c.kernel), outcome(c));
    }
    let mut canvas = Canvas::new(theme);
    let p = canvas.colours;
    let names = scenarios.iter().map(|s| NAME.width(s)).max().unwrap_or(0);
    let left = MARGIN + names + 20 * PX;
    let heads = kernels.iter().map(|k| AXIS.width(k) + 14 * PX).max().unwrap_or(0);
    let cell = heads.max(if kernels.len() <= 8 { WIDE } else { CELL });
    let failed = cases.iter().filter(|c| c.state == CaseState::Failed).count();
    let title = match failed {
        0 => "Every expectation holds".to_string(),
        n => count(n as u64, "case fails", "cases fail"),
    };
    let about = format!(
        "{} on {}: {}",
        count(scenarios.len() as u64, "scenario", "scenarios"),
        count(kernels.len() as u64, "kernel", "kernels"),
        "a bar names what is found there, as expected",
    );
    let width = (left + cell * kernels.len() as Units + MARGIN)
        .max(2 * MARGIN + SUBTITLE.width(&about))
        .max(2 * MARGIN + NAME.width(command).min(LONGEST));
    canvas.text((MARGIN, 36 * PX), TITLE, Anchor::Start, p.ink, &title);
    canvas.text((MARGIN, 60 * PX), SUBTITLE, Anchor::Start, p.muted, &about);
    for (k, kernel) in kernels.iter().enumerate() {
        let x = left + cell * k as Units + cell / 2;
        canvas.text((x, TOP - 12 * PX), AXIS, Anchor::Middle, p.ink, kernel);
    }
    for (s, scenario) in scenarios.iter().enumerate() {
        let y = TOP + ROW * s as Units;
        canvas.text((MARGIN, y + 16 * PX), NAME, Anchor::Start, p.ink, scenario);
        let mut k = 0;
        while k < kernels.len() {
            let here = at.get(&(*scenario, kernels[k]));
            let same = |k: &&&str| at.get(&(*scenario, **k)) == here;
            let n = kernels[k..].iter().take_while(same).count();
            if let Some(o) = here {
                let x = left + cell * k as Units;
                let area = Area { x, y: y + PX, w: cell * n as Units - 3 * PX, h: ROW - 3 * PX };
                let last = kernels[k + n - 1];
                let tip = format!("{scenario}, {} to {last}: {}", kernels[k], word(o));
                bar(&mut canvas, area, o, &tip);
            }
            k += n;
        }
    }
    let mut y = TOP + ROW * scenarios.len() as Units + 10 * PX;
    for line in wrapped(command, NAME, width - 2 * MARGIN) {
        y += 18 * PX;
        canvas.text((MARGIN, y), NAME, Anchor::Start, p.muted, &line);
    }
    canvas.finish(width, y + 18 * PX, &title, &about)
}

fn outcome(c: &Case) -> Outcome {
    match (c.state, c.note.strip_prefix("finds ")) {
        (CaseState::Failed, _) => Outcome::Failed,
        (CaseState::Incomplete, _) => Outcome::Incomplete,
        (CaseState::Ok | CaseState::Skipped, Some(classes)) => Outcome::Finds(classes.to_string()),
        (CaseState::Ok | CaseState::Skipped, None) => Outcome::Clean,
    }
}

fn word(o: &Outcome) -> &str {
    match o {
        Outcome::Clean => "ok",
        Outcome::Finds(classes) => classes,
        Outcome::Failed => "FAIL",
        Outcome::Incomplete => "cut off",
    }
}

fn bar(canvas: &mut Canvas, area: Area, o: &Outcome, tip: &str) {
    let p = canvas.colours;
    let (fill, edge, ink, weight) = match o {
        Outcome::Clean => (p.page, p.grid, p.ordered, 400),
        Outcome::Finds(_) => (p.late_fill, p.late, p.ink, 400),
        Outcome::Failed => (p.bug_fill, p.bug, p.bug, 700),
        Outcome::Incomplete => (p.blocked, p.muted, p.ink, 400),
    };
    canvas.group("", Some(tip));
    canvas.rect(area, 3 * PX, fill, Some(edge));
    let font = WORD.weight(weight);
    let text = fitted(word(o), font, area.w - 6 * PX);
    let at = (area.x + area.w / 2, area.y + area.h / 2 + 4 * PX);
    canvas.text(at, font, Anchor::Middle, ink, &text);
    canvas.close();
}
