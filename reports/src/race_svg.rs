//! `race.svg`: the interleaving of a finding as a picture. Columns of CPUs with time running down, what orders them and
//! what does not as arrows, the variables that matter beside it, and below, in words, why it is possible.
//!
//! The rows are those of `race.txt`: see [`crate::interleaving`].

use crate::arrows::{Arrow, Says, arrows, step_of};
use crate::facts::{Facts, is_lock};
use crate::gutter::{Gutters, Lane};
use crate::interleaving::{Detail, Interleaving, Row, RowKind, interleaving};
use crate::num::{count, us};
use crate::order::{missing, other_step};
use crate::origin::Origin;
use crate::states::{Variable, short_value, variables};
use crate::svg::{Anchor, Area, Canvas, Dash, PX, Towards, Units, fitted, num, wrapped};
use crate::theme::{Font, Theme};
use crate::why::why;
use timerace_core::record::{FindingRecord, Record};

const MARGIN: Units = 28 * PX;
const ROW: Units = 27 * PX;
/// A row with a mark has a second line for the reason.
const REASON: Units = 15 * PX;
const INDENT: Units = 18 * PX;
/// Where the first row begins.
const TOP: Units = 124 * PX;
/// Columns of variables.
const STATES: usize = 4;
/// The widest value of a variable.
const VALUE: Units = 180 * PX;
/// The narrowest picture.
const NARROWEST: Units = 720 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const HEADING: Font = Font::sans(130).weight(600);
const SMALL: Font = Font::mono(110);
const CODE: Font = Font::mono(125);
const REMARK: Font = Font::mono(115);
const LABEL: Font = Font::sans(110).weight(600);
const BODY: Font = Font::sans(125);

/// The picture of a finding of a run, by index; without such a finding, of the last steps that are not quiet.
pub fn race_svg(rec: &Record, finding: Option<usize>, origin: &Origin, theme: Theme) -> String {
    let facts = Facts::new(rec);
    let f = finding.and_then(|i| rec.findings.get(i));
    let il = interleaving(rec, finding, if f.is_some() { Detail::Chosen } else { Detail::End });
    Picture::new(&facts, f, &il, Canvas::new(theme)).draw(origin)
}

struct Picture<'a> {
    facts: &'a Facts<'a>,
    finding: Option<&'a FindingRecord>,
    il: &'a Interleaving,
    timed: bool,
    arrows: Vec<Arrow>,
    gutters: Gutters,
    /// Left end of each column, and its width.
    columns: Vec<(Units, Units)>,
    /// Top of each row, and the end of the last one.
    tops: Vec<Units>,
    /// The variables beside it: left end and width of each.
    states: Vec<(Variable, Units, Units)>,
    width: Units,
    canvas: Canvas,
}

impl<'a> Picture<'a> {
    fn new(
        facts: &'a Facts<'a>,
        finding: Option<&'a FindingRecord>,
        il: &'a Interleaving,
        canvas: Canvas,
    ) -> Picture<'a> {
        let timed = facts.rec.steps.iter().any(|s| s.at.0 > 0);
        let arrows = arrows(facts, finding, il);
        let of = |row: usize| il.rows[row].column;
        let gutters = Gutters::new(&arrows, &of, il.columns.len(), &|label| LABEL.width(label));
        let mut x = MARGIN + if timed { 96 * PX } else { 56 * PX };
        let mut columns = Vec::new();
        for (i, c) in il.columns.iter().enumerate() {
            let rows = il.rows.iter().filter(|r| r.column == i).map(row_width);
            let w = rows.chain([HEADING.width(&c.heading())]).max().unwrap_or(0);
            columns.push((x, w));
            x += w + gutters.width(i, i + 1 == il.columns.len());
        }
        let mut tops = vec![TOP];
        for r in &il.rows {
            let last = tops[tops.len() - 1];
            tops.push(last + ROW + if r.mark.is_some() { REASON } else { 0 });
        }
        let elements = facts.elements();
        let mut states = Vec::new();
        for v in chosen_states(facts, finding, il) {
            let values = v.changes.iter().map(|c| &c.1).chain([&v.first]);
            let widest =
                values.map(|t| SMALL.width(&short_value(facts, &elements, &v, t)) + 14 * PX).max();
            let w = widest.unwrap_or(0).max(SMALL.width(&v.name)).min(VALUE);
            states.push((v, x, w));
            x += w + 22 * PX;
        }
        let width = (x + MARGIN - if states.is_empty() { 0 } else { 22 * PX }).max(NARROWEST);
        Picture { facts, finding, il, timed, arrows, gutters, columns, tops, states, width, canvas }
    }

    fn draw(mut self, origin: &Origin) -> String {
        let title = self.finding.map_or_else(
            || format!("{}: the run step by step", origin.scenario),
            |f| format!("BUG: {}", f.title()),
        );
        let subtitle = self.subtitle(origin);
        self.head(&title, &subtitle);
        for i in 0..self.il.rows.len() {
            self.row(i);
        }
        self.state_columns();
        self.window();
        for i in 0..self.arrows.len() {
            self.arrow(i);
        }
        let bottom = self.foot(origin);
        self.canvas.finish(self.width, bottom, &title, &subtitle)
    }

    fn subtitle(&self, origin: &Origin) -> String {
        let rec = self.facts.rec;
        let needs = format!(
            "{}, {}, {}",
            count(rec.switches.into(), "switch", "switches"),
            count(rec.preemptions.into(), "preemption", "preemptions"),
            count(rec.interrupts.into(), "interrupt", "interrupts"),
        );
        format!("{} on kernel {}: {needs}", origin.scenario, origin.kernel)
    }

    fn head(&mut self, title: &str, subtitle: &str) {
        let p = self.canvas.colours;
        let room = self.width - 2 * MARGIN;
        let c = &mut self.canvas;
        // Long names make a second line rather than a cut one.
        let lines = wrapped(title, TITLE, room);
        let first = if lines.len() > 1 { 26 * PX } else { 36 * PX };
        for (i, line) in lines.iter().take(2).enumerate() {
            let y = first + 24 * PX * i as Units;
            c.text((MARGIN, y), TITLE, Anchor::Start, p.ink, line);
        }
        let y = if lines.len() > 1 { 72 * PX } else { 60 * PX };
        let subtitle = fitted(subtitle, SUBTITLE, room);
        c.text((MARGIN, y), SUBTITLE, Anchor::Start, p.muted, &subtitle);
        let y = TOP - 16 * PX;
        c.text((MARGIN + 28 * PX, y), SMALL, Anchor::End, p.muted, "step");
        if self.timed {
            c.text((MARGIN + 74 * PX, y), SMALL, Anchor::End, p.muted, "\u{b5}s");
        }
        for (column, (x, _)) in self.il.columns.iter().zip(&self.columns) {
            c.text((*x, y), HEADING, Anchor::Start, p.ink, &column.heading());
        }
        for (v, x, w) in &self.states {
            c.text((*x, y), SMALL, Anchor::Start, p.muted, &fitted(&v.name, SMALL, *w));
        }
        c.line((MARGIN, TOP), (self.width - MARGIN, TOP), p.edge, 150, Dash::Solid);
    }

    /// Height of the text's baseline, and of the middle of its line.
    fn baseline(&self, row: usize) -> Units {
        self.tops[row] + ROW / 2 + 4 * PX
    }

    fn middle(&self, row: usize) -> Units {
        self.tops[row] + ROW / 2
    }

    fn text_x(&self, row: usize) -> Units {
        let r = &self.il.rows[row];
        self.columns[r.column].0 + INDENT * Units::from(r.depth)
    }

    fn row(&mut self, i: usize) {
        let row = &self.il.rows[i];
        let p = self.canvas.colours;
        let (top, end) = (self.tops[i], self.tops[i + 1]);
        let (x, y) = (self.text_x(i), self.baseline(i));
        let bad = row.mark.is_some() || row.kind == RowKind::Waiting;
        if bad {
            let band = Area { x: MARGIN, y: top, w: self.width - 2 * MARGIN, h: end - top };
            self.canvas.rect(band, 3 * PX, p.bug_fill, None);
            let bar = Area { w: 4 * PX, ..band };
            self.canvas.rect(bar, 0, p.bug, None);
        } else {
            self.canvas.line((MARGIN, end), (self.width - MARGIN, end), p.grid, 100, Dash::Solid);
        }
        if let Some(no) = step_of(row) {
            let font = SMALL.weight(700);
            let at = (MARGIN + 28 * PX, y);
            self.canvas.text(at, font, Anchor::End, p.ink, &no.to_string());
            if let Some(s) = self.facts.index_of(no).filter(|_| self.timed) {
                let at = (MARGIN + 74 * PX, y);
                let time = us(self.facts.rec.steps[s].at.0);
                self.canvas.text(at, SMALL, Anchor::End, p.muted, &time);
            }
        }
        let font = if bad || self.is_other_side(row) { CODE.weight(700) } else { CODE };
        let ink = match row.kind {
            RowKind::Gap => p.muted,
            _ if bad => p.bug,
            _ => p.ink,
        };
        self.canvas.text((x, y), font, Anchor::Start, ink, &row.text);
        if let Some(c) = &row.comment {
            let at = (x + CODE.width(&row.text) + 16 * PX, y);
            let ink = if bad { p.bug } else { p.muted };
            self.canvas.text(at, REMARK, Anchor::Start, ink, &remark(c));
        }
        if let Some(m) = &row.mark {
            let part = |n: usize| CODE.width(&"0".repeat(n));
            let (from, to) = (x + part(m.start), x + part(m.start + m.len.max(1)));
            self.canvas.path(&wave(from, to, y + 5 * PX), p.bug, 150, Dash::Solid);
            let at = (from, y + REASON + 4 * PX);
            self.canvas.text(at, LABEL, Anchor::Start, p.bug, &m.reason);
        }
    }

    fn is_other_side(&self, row: &Row) -> bool {
        let other = self.finding.and_then(|f| other_step(self.facts, f));
        let no = other.map(|i| self.facts.rec.steps[i].no);
        no.is_some() && step_of(row) == no
    }

    /// The values of each variable down the rows; a box where it changes.
    fn state_columns(&mut self) {
        let p = self.canvas.colours;
        let last = self.facts.rec.steps.len().saturating_sub(1);
        let elements = self.facts.elements();
        for (v, x, _) in std::mem::take(&mut self.states) {
            let text = |value: &str| {
                let short = short_value(self.facts, &elements, &v, value);
                fitted(&short, SMALL, VALUE - 14 * PX)
            };
            let mut shown: Option<String> = None;
            for i in 0..self.il.rows.len() {
                let row = &self.il.rows[i];
                let step = step_of(row).and_then(|no| self.facts.index_of(no));
                let index = if row.kind == RowKind::Waiting { Some(last) } else { step };
                let Some(index) = index else {
                    if shown.is_some() {
                        self.guide(i, x);
                    }
                    continue;
                };
                let bad = row.mark.is_some() || row.kind == RowKind::Waiting;
                let value = text(v.at(index));
                let y = self.baseline(i);
                let before = || index.checked_sub(1).map_or(v.first.as_str(), |i| v.at(i));
                let changed = *shown.as_ref().unwrap_or(&text(before())) != value;
                let freed = value == "FREED";
                if changed {
                    let (w, top) = (SMALL.width(&value) + 14 * PX, self.middle(i) - 10 * PX);
                    let (fill, edge, ink) = match freed {
                        true => (p.bug_fill, p.bug, p.bug),
                        false => (p.panel, p.edge, p.ink),
                    };
                    let chip = Area { x: x - 7 * PX, y: top, w, h: 20 * PX };
                    self.canvas.rect(chip, 3 * PX, fill, Some(edge));
                    self.canvas.text((x, y), SMALL.weight(700), Anchor::Start, ink, &value);
                } else if shown.is_none() || bad {
                    let ink = if freed { p.bug } else { p.muted };
                    self.canvas.text((x, y), SMALL, Anchor::Start, ink, &value);
                } else {
                    self.guide(i, x);
                }
                shown = Some(value);
            }
        }
    }

    /// A line through a row in which a variable keeps its value.
    fn guide(&mut self, row: usize, x: Units) {
        let (x, grid) = (x + 7 * PX, self.canvas.colours.grid);
        let (from, to) = ((x, self.tops[row]), (x, self.tops[row + 1]));
        self.canvas.line(from, to, grid, 100, Dash::Solid);
    }

    /// A bar along the steps in which nothing protects the access.
    fn window(&mut self) {
        let facts = self.facts;
        let missing = self.finding.and_then(|f| missing(facts, f));
        let Some(since) = missing.and_then(|m| m.since) else { return };
        let Some(f) = self.finding else { return };
        let Some(at) = facts.locate(f, &f.at) else { return };
        let (from, to) = (facts.rec.steps[since].no, facts.rec.steps[at].no);
        let inside = |r: &Row| step_of(r).is_some_and(|no| (from..=to).contains(&no));
        let first = self.il.rows.iter().position(inside);
        let last = self.il.rows.iter().rposition(inside);
        let (Some(first), Some(last)) = (first, last) else { return };
        let p = self.canvas.colours;
        let x = MARGIN + if self.timed { 82 * PX } else { 40 * PX };
        let (top, end) = (self.middle(first), self.tops[last]);
        let bar = Area { x, y: top, w: 7 * PX, h: end - top };
        if bar.h > 0 {
            self.canvas.rect(bar, 3 * PX, p.bug_fill, Some(p.bug));
        }
    }

    fn arrow(&mut self, i: usize) {
        let a = self.arrows[i].clone();
        let lane = self.gutters.lane(i);
        let p = self.canvas.colours;
        let (stroke, dash) = match a.says {
            Says::Ordered => (p.ordered, Dash::Solid),
            Says::NotOrdered => (p.bug, Dash::Dashed),
            Says::Waits => (p.bug, Dash::Solid),
        };
        let (x, width) = self.columns[lane.gutter];
        let left = x + width;
        let lane_x = left + lane.x;
        let (y0, y1) = (self.middle(a.from) + lane.out, self.middle(a.to) + lane.into);
        let x0 = self.end_of(a.from, lane, true);
        let x1 = self.end_of(a.to, lane, false);
        let towards = if x1 > lane_x { Towards::Right } else { Towards::Left };
        let back = if x1 > lane_x { -8 * PX } else { 8 * PX };
        let d = elbow((x0, y0), lane_x, (x1 + back, y1));
        self.canvas.path(&d, stroke, 170, dash);
        self.canvas.head((x1, y1), towards, stroke);
        // Between two rows, where no line runs across.
        let Some(label) = lane.label else { return };
        let y = match a.to > a.from {
            true => self.tops[a.from + 1 + label],
            false => self.tops[a.from - label],
        } + 4 * PX;
        let at = (left + self.gutters.strip(lane.gutter), y);
        self.canvas.label(at, LABEL, Anchor::End, stroke, a.label);
    }

    /// Where an arrow meets the text of a row: on the side of its gutter.
    fn end_of(&self, row: usize, lane: Lane, leaves: bool) -> Units {
        let gap = if leaves { 6 * PX } else { 4 * PX };
        if self.il.rows[row].column > lane.gutter {
            self.text_x(row) - gap
        } else {
            self.columns[self.il.rows[row].column].0 + line_width(&self.il.rows[row]) + gap
        }
    }

    /// Below the rows: why it is possible, what was left out, and the command. The height of the picture.
    fn foot(&mut self, origin: &Origin) -> Units {
        let p = self.canvas.colours;
        let room = self.width - 2 * MARGIN;
        let mut y = self.tops[self.tops.len() - 1] + 30 * PX;
        if let Some(why) = self.finding.and_then(|f| why(self.facts, f, self.il)) {
            let heading = BODY.weight(600);
            self.canvas.text((MARGIN, y), heading, Anchor::Start, p.ink, "Why it is possible");
            for line in wrapped(&why, BODY, room) {
                y += 19 * PX;
                self.canvas.text((MARGIN, y), BODY, Anchor::Start, p.ink, &line);
            }
            y += 22 * PX;
        }
        if self.il.left_out > 0 {
            let steps = count(self.il.left_out as u64, "step", "steps");
            let note = match self.finding {
                Some(_) => format!("Left out: {steps} of the run that do not matter here."),
                None => format!("Left out: {steps} before these; replay prints them."),
            };
            self.canvas.text((MARGIN, y), BODY, Anchor::Start, p.muted, &note);
            y += 22 * PX;
        }
        for line in wrapped(&origin.replay(&self.facts.rec.text), SMALL, room) {
            self.canvas.text((MARGIN, y), SMALL, Anchor::Start, p.muted, &line);
            y += 16 * PX;
        }
        y + 10 * PX
    }
}

fn remark(comment: &str) -> String {
    format!("// {comment}")
}

/// Width of a row's text with its indentation and comment, and with the reason of its mark.
fn row_width(row: &Row) -> Units {
    let indent = INDENT * Units::from(row.depth);
    let before = |m: &crate::interleaving::Marked| CODE.width(&"0".repeat(m.start));
    let reason = row.mark.as_ref().map_or(0, |m| indent + before(m) + LABEL.width(&m.reason));
    line_width(row).max(reason)
}

/// The same without the reason.
fn line_width(row: &Row) -> Units {
    let indent = INDENT * Units::from(row.depth);
    let comment = row.comment.as_ref().map_or(0, |c| 16 * PX + REMARK.width(&remark(c)));
    indent + CODE.width(&row.text) + comment
}

/// A wavy line, as editors draw it below what is wrong.
fn wave(from: Units, to: Units, y: Units) -> String {
    let mut d = format!("M{} {}", num(from), num(y));
    let mut x = from;
    while x < to {
        d.push_str("q1 -2.4 2 0t2 0");
        x += 4 * PX;
    }
    d
}

/// Across to `x`, down or up, and across again, with round corners.
fn elbow((x0, y0): (Units, Units), x: Units, (x1, y1): (Units, Units)) -> String {
    let r = (7 * PX).min((y1 - y0).abs() / 2);
    let down = if y1 > y0 { r } else { -r };
    let (out, into) = (if x > x0 { r } else { -r }, if x1 > x { r } else { -r });
    format!(
        "M{} {}H{}Q{x_} {y0_} {x_} {}V{}Q{x_} {y1_} {} {y1_}H{}",
        num(x0),
        num(y0),
        num(x - out),
        num(y0 + down),
        num(y1 - down),
        num(x + into),
        num(x1),
        x_ = num(x),
        y0_ = num(y0),
        y1_ = num(y1),
    )
}

/// The variables that explain the finding: the life of its object, what its contexts use against each other, locks.
fn chosen_states(
    facts: &Facts<'_>,
    finding: Option<&FindingRecord>,
    il: &Interleaving,
) -> Vec<Variable> {
    let shown: Vec<usize> =
        il.rows.iter().filter_map(step_of).filter_map(|no| facts.index_of(no)).collect();
    let (Some(first), Some(last)) = (shown.first().copied(), shown.last().copied()) else {
        return Vec::new();
    };
    let steps = &facts.rec.steps;
    let object = finding.and_then(|f| f.object.as_deref());
    let rank = |v: &Variable| {
        let uses = || {
            shown.iter().map(|i| &steps[*i]).filter(|s| s.touches.iter().any(|t| t.obj == v.obj))
        };
        let mut users: Vec<_> = uses().map(|s| s.ctx).collect();
        users.sort();
        users.dedup();
        let lock = uses().any(|s| s.touches.iter().any(|t| t.obj == v.obj && is_lock(t)));
        // A field that is set once tells nothing but that the object was made.
        let only_set = v.first == "uninitialised" && v.changes.len() == 1;
        match (Some(v.name.as_str()) == object, users.len(), lock) {
            (true, ..) => Some(0),
            _ if only_set => None,
            (_, 2.., false) => Some(1),
            (_, 2.., true) => Some(2),
            (_, 1, false) => Some(3),
            _ => None,
        }
    };
    let moves = |v: &Variable| {
        let before = v.at(first.saturating_sub(1)).to_string();
        v.at(first) != before || v.changes.iter().any(|(i, _)| (first..=last).contains(i))
    };
    let all = variables(facts.rec);
    let mut ranked: Vec<(u8, usize, Variable)> = all
        .into_iter()
        .enumerate()
        .filter(|(_, v)| moves(v))
        .filter_map(|(i, v)| rank(&v).map(|r| (r, i, v)))
        .collect();
    ranked.sort_by_key(|(r, i, _)| (*r, *i));
    // What one context alone uses only fills up.
    let shared = ranked.iter().filter(|r| r.0 < 3).count();
    ranked.truncate(if shared >= 2 { shared.min(STATES) } else { STATES });
    ranked.into_iter().map(|(_, _, v)| v).collect()
}
