//! `states.svg`: the final states of a search as a picture: an arrow from the start to each, with the number of schedules.
//! The first state shows all values that differ anywhere, the others what is different from the first.

use crate::final_states::{FinalState, FinalStates};
use crate::num::{count, grouped};
use crate::svg::{Anchor, Area, Canvas, Dash, PX, Towards, Units, fitted, num, wrapped};
use crate::theme::{Font, Theme};

/// More final states are left to the tools that read DOT.
pub const MOST_STATES: usize = 16;
/// More values of a state are counted only.
pub const MOST_VALUES: usize = 14;

const MARGIN: Units = 28 * PX;
const TOP: Units = 88 * PX;
/// Between the start and the states: room for arrows and their numbers.
const GAP: Units = 170 * PX;
const LINE: Units = 18 * PX;
const PAD: Units = 12 * PX;
/// Between two states.
const BELOW: Units = 16 * PX;
/// Between a name and its value.
const COLUMN: Units = 18 * PX;
const START_HEIGHT: Units = 34 * PX;
/// Of the longest schedule; a longer one is cut.
const SCHEDULE: Units = 460 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const HEADING: Font = Font::sans(130).weight(600);
const NUMBER: Font = Font::sans(120);
const VALUE: Font = Font::mono(115);
const SMALL: Font = Font::mono(105);

const ABOUT: &str = "On arrows: how many end there. The first state has every value that is not the same everywhere, the others \
                     what they have different.";
const CUT_OFF: &str = "The search did not run every schedule: there may be others.";

/// A line of a box.
enum Line {
    Heading { text: String, bad: bool },
    Value { name: String, value: String },
    Note(String),
}

impl Line {
    fn width(&self, names: Units) -> Units {
        match self {
            Line::Heading { text, .. } => HEADING.width(text),
            Line::Value { value, .. } => names + COLUMN + VALUE.width(value),
            Line::Note(text) => SMALL.width(text),
        }
    }
}

/// The picture; `None`: there is but one final state, or too many to be read as a picture.
pub fn final_states_svg(f: &FinalStates, command: &str, theme: Theme) -> Option<String> {
    let n = f.states.len();
    if !(2..=MOST_STATES).contains(&n) {
        return None;
    }
    let boxes: Vec<Vec<Line>> = (0..n).map(|i| lines(f, i)).collect();
    let all = || boxes.iter().flatten();
    let name = |l: &Line| match l {
        Line::Value { name, .. } => VALUE.width(name),
        _ => 0,
    };
    let names = all().map(name).max().unwrap_or(0);
    let wide = all().map(|l| l.width(names)).max().unwrap_or(0) + 2 * PAD;
    let start = format!("{} {}", grouped(f.schedules()), f.counted);
    let left = MARGIN + HEADING.width(&start) + 2 * PAD;
    let x = left + GAP;
    let (title, mut about) = (f.title(), vec![ABOUT]);
    if !f.complete {
        about.push(CUT_OFF);
    }
    let width = (x + wide).max(MARGIN + TITLE.width(&title)) + MARGIN;
    let mut c = Canvas::new(theme);
    let p = c.colours;
    c.text((MARGIN, 36 * PX), TITLE, Anchor::Start, p.ink, &title);
    let mut y = 60 * PX;
    for line in about.iter().flat_map(|t| wrapped(t, SUBTITLE, width - 2 * MARGIN)) {
        c.text((MARGIN, y), SUBTITLE, Anchor::Start, p.muted, &line);
        y += LINE;
    }
    let top = TOP.max(y + 8 * PX);
    y = top;
    let mut areas = Vec::new();
    for b in &boxes {
        let h = LINE * b.len() as Units + 2 * PAD - 4 * PX;
        areas.push(Area { x, y, w: wide, h });
        y += h + BELOW;
    }
    let middle = (top + y - BELOW) / 2;
    for (s, a) in f.states.iter().zip(&areas) {
        arrow(&mut c, (left, middle), *a, s);
    }
    let at = Area { x: MARGIN, y: middle - START_HEIGHT / 2, w: left - MARGIN, h: START_HEIGHT };
    c.rect(at, START_HEIGHT / 2, p.panel, Some(p.edge));
    c.text(((MARGIN + left) / 2, middle + 5 * PX), HEADING, Anchor::Middle, p.ink, &start);
    for (b, a) in boxes.iter().zip(&areas) {
        state(&mut c, b, *a, names);
    }
    y += 18 * PX;
    for line in wrapped(command, VALUE, width - 2 * MARGIN) {
        c.text((MARGIN, y), VALUE, Anchor::Start, p.muted, &line);
        y += LINE;
    }
    Some(c.finish(width, y + 6 * PX, &title, ABOUT))
}

fn lines(f: &FinalStates, i: usize) -> Vec<Line> {
    let s = &f.states[i];
    let found = f.findings(s).unwrap_or_else(|| "no finding".to_string());
    let mut out = vec![Line::Heading { text: format!("{}: {found}", i + 1), bad: s.failing > 0 }];
    let news = f.news(i);
    let shown = news.iter().take(MOST_VALUES);
    out.extend(
        shown.map(|(name, value)| Line::Value { name: name.to_string(), value: value.to_string() }),
    );
    let more = news.len().saturating_sub(MOST_VALUES) as u64;
    if more > 0 {
        out.push(Line::Note(format!("and {} (states.dot)", count(more, "value", "values"))));
    }
    out.push(Line::Note(fitted(&format!("--schedule {}", s.schedule), SMALL, SCHEDULE)));
    out
}

fn arrow(c: &mut Canvas, (x0, y0): (Units, Units), a: Area, s: &FinalState) {
    let p = c.colours;
    let (ink, wide) = if s.failing > 0 { (p.bug, 220) } else { (p.muted, 130) };
    let (x1, y1) = (a.x, a.y + a.h / 2);
    let [p0, p1, p2, p3, p4] =
        [(x0, y0), (x0 + GAP / 2, y0), (x0 + GAP / 4, y1), (x1 - GAP / 3, y1), (x1 - 8 * PX, y1)]
            .map(|(x, y)| format!("{} {}", num(x), num(y)));
    c.path(&format!("M{p0}C{p1} {p2} {p3}L{p4}"), ink, wide, Dash::Solid);
    c.head((x1, y1), Towards::Right, ink);
    let text = if s.failing > 0 { p.bug } else { p.ink };
    c.label((x1 - 14 * PX, y1 - 7 * PX), NUMBER, Anchor::End, text, &grouped(s.schedules));
}

fn state(c: &mut Canvas, lines: &[Line], a: Area, names: Units) {
    let p = c.colours;
    let bad = matches!(lines.first(), Some(Line::Heading { bad: true, .. }));
    c.rect(a, 4 * PX, p.panel, Some(if bad { p.bug } else { p.edge }));
    let x = a.x + PAD;
    let mut y = a.y + PAD + 9 * PX;
    for l in lines {
        match l {
            Line::Heading { text, bad } => {
                let ink = if *bad { p.bug } else { p.ink };
                c.text((x, y), HEADING, Anchor::Start, ink, text);
            }
            Line::Value { name, value } => {
                c.text((x, y), VALUE, Anchor::Start, p.muted, name);
                c.text((x + names + COLUMN, y), VALUE, Anchor::Start, p.ink, value);
            }
            Line::Note(text) => c.text((x, y), SMALL, Anchor::Start, p.muted, text),
        }
        y += LINE;
    }
}
