//! `sweep.svg`: the map of a sweep. Two axes make a map, a further one makes one for each of its values, and each cell says its
//! number beside its shade.

use crate::num::{count, grouped, us};
use crate::svg::{Anchor, Area, Canvas, Dash, PX, Units, fitted, wrapped};
use crate::sweep::{Cell, Kind, Outcome, Sweep};
use crate::theme::{Font, Theme, shades};

/// Most columns, rows and maps that are drawn; `sweep.csv` has all cells.
const COLUMNS_MAX: usize = 60;
const ROWS_MAX: usize = 40;
const MAPS_MAX: usize = 12;

const MARGIN: Units = 28 * PX;
const TOP: Units = 96 * PX;
/// Room for the maps of a picture, and the legend beside them.
const ROOM: Units = 860 * PX;
const LEGEND: Units = 330 * PX;
const ROW: Units = 28 * PX;
/// Between the cells.
const GAP: Units = 2 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const HEADING: Font = Font::sans(130).weight(600);
const TEXT: Font = Font::sans(125);
const AXIS: Font = Font::mono(110);
const NUMBER: Font = Font::mono(105).weight(700);
const COMMAND: Font = Font::mono(115);

/// The picture.
pub fn sweep_svg(sweep: &Sweep, theme: Theme) -> String {
    // An axis with one value is no direction of a map; a single one makes a map of one row.
    let wide: Vec<usize> =
        (0..sweep.axes.len()).filter(|i| sweep.axes[*i].values.len() > 1).collect();
    let (outer, y, x) = match wide[..] {
        [] => (&wide[..0], None, None),
        [x] => (&wide[..0], None, Some(x)),
        [.., y, x] => (&wide[..wide.len() - 2], Some(y), Some(x)),
    };
    let mut d = Drawing {
        sweep,
        x,
        y,
        columns: shown(length(sweep, x), COLUMNS_MAX),
        rows: shown(length(sweep, y), ROWS_MAX),
        range: sweep.p99_range(),
        shades: shades(theme),
        canvas: Canvas::new(theme),
    };
    let (title, about) = (title(sweep), about(sweep));
    d.head(&title, &about);
    let mut bottom = TOP;
    for n in 0..combinations(sweep, outer).min(MAPS_MAX) {
        bottom = d.map(bottom, outer, n);
    }
    let right = d.left() + d.cell_width() * d.columns.len() as Units;
    let legend = d.legend((right + 40 * PX).max(MARGIN + 420 * PX));
    let end = d.foot(bottom.max(legend) + 12 * PX, outer);
    let width = (right + 40 * PX).max(MARGIN + 420 * PX) + LEGEND;
    let width = width.max(2 * MARGIN + TITLE.width(&title).max(SUBTITLE.width(&about)));
    d.canvas.finish(width, end, &title, &about)
}

/// Which of `n` values are shown where at most `max` fit: evenly, with both ends.
fn shown(n: usize, max: usize) -> Vec<usize> {
    if n <= max { (0..n).collect() } else { (0..max).map(|i| i * (n - 1) / (max - 1)).collect() }
}

fn length(sweep: &Sweep, axis: Option<usize>) -> usize {
    axis.map_or(1, |a| sweep.axes[a].values.len())
}

fn combinations(sweep: &Sweep, outer: &[usize]) -> usize {
    outer.iter().map(|i| sweep.axes[*i].values.len()).product()
}

fn title(sweep: &Sweep) -> String {
    let with = sweep.cells.iter().filter(|c| c.bugs() > 0).count() as u64;
    let all = count(sweep.cells.len() as u64, "cell", "cells");
    match (with, sweep.kind, sweep.p99_range()) {
        (0, Kind::Timed, Some((least, most))) => {
            format!("p99 is between {} and {} \u{b5}s in {all}", us(least), us(most))
        }
        (0, ..) => format!("No bug in any of {all}"),
        (n, ..) => format!("A bug in {} of {all}", grouped(n)),
    }
}

fn about(sweep: &Sweep) -> String {
    let kernel = match sweep.kernel.as_str() {
        "" => String::new(),
        k => format!(" on kernel {k}"),
    };
    let head = format!("{}{kernel}", sweep.scenario);
    let sum = |of: fn(&Outcome) -> u64| sweep.cells.iter().map(|c| of(&c.outcome)).sum::<u64>();
    match sweep.kind {
        Kind::Explored => {
            let n = sum(|o| match o {
                Outcome::Explored { schedules, .. } => *schedules,
                Outcome::Timed { .. } => 0,
            });
            let complete = |c: &Cell| matches!(c.outcome, Outcome::Explored { complete: true, .. });
            let each = if sweep.cells.iter().all(complete) {
                "each cell explores every interleaving of its configuration"
            } else {
                "cells marked ? were cut off before every interleaving was explored"
            };
            format!("{head}: {each}, {} in all.", count(n, "schedule", "schedules"))
        }
        Kind::Timed => {
            let n = sum(|o| match o {
                Outcome::Timed { late, .. } => late.count,
                Outcome::Explored { .. } => 0,
            });
            let n = count(n, "expiry", "expiries");
            format!("{head}: {n} in all. Simulated cost model, not measured hardware.")
        }
    }
}

/// What a cell looks like.
enum Look {
    /// One of the shades, from 0, with its number.
    Shade(usize, String),
    /// Nothing can be said.
    Unknown(&'static str),
    /// An expectation fails without a bug.
    Fails,
}

struct Drawing<'a> {
    sweep: &'a Sweep,
    x: Option<usize>,
    y: Option<usize>,
    columns: Vec<usize>,
    rows: Vec<usize>,
    range: Option<(u64, u64)>,
    shades: [(&'static str, &'static str); 5],
    canvas: Canvas,
}

impl Drawing<'_> {
    fn value(&self, axis: Option<usize>, at: usize) -> &str {
        axis.map_or("", |a| &self.sweep.axes[a].values[at])
    }

    fn name(&self, axis: Option<usize>) -> &str {
        axis.map_or("", |a| &self.sweep.axes[a].name)
    }

    fn cell_width(&self) -> Units {
        (ROOM / self.columns.len().max(1) as Units).clamp(14 * PX, 44 * PX)
    }

    fn left(&self) -> Units {
        let labels = self.rows.iter().map(|r| AXIS.width(self.value(self.y, *r))).max();
        MARGIN + labels.unwrap_or(0).max(AXIS.width(self.name(self.y))) + 12 * PX
    }

    fn head(&mut self, title: &str, about: &str) {
        let p = self.canvas.colours;
        self.canvas.text((MARGIN, 36 * PX), TITLE, Anchor::Start, p.ink, title);
        self.canvas.text((MARGIN, 60 * PX), SUBTITLE, Anchor::Start, p.muted, about);
    }

    /// One map below `top`; where it ends.
    fn map(&mut self, top: Units, outer: &[usize], number: usize) -> Units {
        let p = self.canvas.colours;
        let mut at = vec![0; self.sweep.axes.len()];
        let mut rest = number;
        for i in outer.iter().rev() {
            at[*i] = rest % self.sweep.axes[*i].values.len();
            rest /= self.sweep.axes[*i].values.len();
        }
        let (left, w) = (self.left(), self.cell_width());
        let mut y = top;
        if !outer.is_empty() {
            let one = |i: &usize| {
                format!("{}={}", self.sweep.axes[*i].name, self.sweep.axes[*i].values[at[*i]])
            };
            let all: Vec<String> = outer.iter().map(one).collect();
            self.canvas.text((left, y), HEADING, Anchor::Start, p.ink, &all.join(" "));
            y += 10 * PX;
        }
        let label = (left - 12 * PX, y + 4 * PX);
        let name = self.name(self.y).to_string();
        self.canvas.text(label, AXIS, Anchor::End, p.muted, &name);
        y += 10 * PX;
        let cells_top = y;
        // Upwards, as in a chart.
        for row in self.rows.clone().into_iter().rev() {
            if let Some(axis) = self.y {
                at[axis] = row;
            }
            let text = self.value(self.y, row).to_string();
            let place = (left - 12 * PX, y + ROW / 2 + 4 * PX);
            self.canvas.text(place, AXIS, Anchor::End, p.muted, &text);
            for (c, column) in self.columns.clone().into_iter().enumerate() {
                if let Some(axis) = self.x {
                    at[axis] = column;
                }
                let area = Area { x: left + w * c as Units, y, w: w - GAP, h: ROW - GAP };
                if let Some(cell) = self.sweep.cell(&at) {
                    self.cell(cell, area);
                }
            }
            y += ROW;
        }
        self.zero(cells_top, y);
        self.ticks(y + 18 * PX) + 34 * PX
    }

    fn look(&self, cell: &Cell) -> Look {
        match (&cell.outcome, cell.exit_code) {
            (Outcome::Explored { complete: false, bugs: 0, .. }, 0 | 3) => Look::Unknown("?"),
            (Outcome::Explored { bugs: 0, .. } | Outcome::Timed { bugs: 0, .. }, 1) => Look::Fails,
            (Outcome::Explored { bugs: 0, .. }, _) => Look::Shade(0, String::new()),
            (Outcome::Explored { schedules, bugs, .. }, _) => {
                let share = u128::from(*bugs) * 1000 / u128::from((*schedules).max(1));
                let shade = 1 + [50, 150, 400].iter().filter(|s| share >= **s).count();
                Look::Shade(shade, ((share + 5) / 10).max(1).to_string())
            }
            (Outcome::Timed { late, .. }, _) => match (self.range, late.count) {
                (_, 0) | (None, _) => Look::Unknown("-"),
                (Some((least, most)), _) => {
                    let of = u128::from(late.p99_ns - least) * 5;
                    let shade = (of / u128::from((most - least).max(1))).min(4) as usize;
                    let tenths = us(late.p99_ns);
                    let short = if late.p99_ns >= 100_000 {
                        tenths.split('.').next().unwrap_or_default().to_string()
                    } else {
                        tenths
                    };
                    Look::Shade(shade, short)
                }
            },
        }
    }

    fn cell(&mut self, cell: &Cell, area: Area) {
        let p = self.canvas.colours;
        let tip = self.tip(cell);
        self.canvas.group("", Some(&tip));
        let bug = (cell.bugs() > 0 && self.sweep.kind == Kind::Timed).then_some(p.bug);
        let middle = (area.x + area.w / 2, area.y + area.h / 2 + 4 * PX);
        match self.look(cell) {
            Look::Shade(n, text) => {
                let (fill, ink) = self.shades[n];
                self.canvas.rect(area, 2 * PX, fill, bug);
                if NUMBER.width(&text) + 2 * PX <= area.w {
                    self.canvas.text(middle, NUMBER, Anchor::Middle, ink, &text);
                }
            }
            Look::Unknown(text) => {
                self.canvas.rect(area, 2 * PX, p.blocked, None);
                self.canvas.hatch(area);
                self.canvas.label(middle, NUMBER, Anchor::Middle, p.ink, text);
            }
            Look::Fails => {
                self.canvas.rect(area, 2 * PX, p.page, Some(p.bug));
                self.canvas.text(middle, NUMBER, Anchor::Middle, p.bug, "!");
            }
        }
        self.canvas.close();
    }

    fn tip(&self, cell: &Cell) -> String {
        let what = match &cell.outcome {
            Outcome::Explored { schedules, bugs, complete } => {
                let all = if *complete { "" } else { ", not complete" };
                format!("a bug in {} of {} schedules{all}", grouped(*bugs), grouped(*schedules))
            }
            Outcome::Timed { runs, bugs, late } => {
                let late = match late.count {
                    0 => "no expiry".to_string(),
                    _ => format!("p99 {}, max {} \u{b5}s", us(late.p99_ns), us(late.max_ns)),
                };
                let found = format!(", a bug in {} of {} runs", grouped(*bugs), grouped(*runs));
                format!("{late}{}", if *bugs > 0 { &found } else { "" })
            }
        };
        let class = cell.class.as_ref().map_or(String::new(), |c| format!(": {c}"));
        format!("{}: {what}{class}", self.sweep.settings(cell))
    }

    /// Where the times of the axis change their sign.
    fn zero(&mut self, top: Units, bottom: Units) {
        let Some(ns) = self.x.and_then(|x| self.sweep.axes[x].ns.as_ref()) else { return };
        let here = |v: &i64| self.columns.iter().position(|c| ns[*c] == *v);
        if let (Some(at), true) = (here(&0), ns.iter().any(|n| *n < 0)) {
            let x = self.left() + self.cell_width() * at as Units - GAP / 2;
            let ink = self.canvas.colours.ink;
            self.canvas.line((x, top - 6 * PX), (x, bottom + 4 * PX), ink, 150, Dash::Dashed);
        }
    }

    /// Values below the columns, as many as fit, and the name of their axis. The baseline of the last line.
    fn ticks(&mut self, y: Units) -> Units {
        let p = self.canvas.colours;
        let (left, w) = (self.left(), self.cell_width());
        let widest = self.columns.iter().map(|c| AXIS.width(self.value(self.x, *c))).max();
        let every = ((widest.unwrap_or(0) + 8 * PX) / w + 1) as usize;
        for (c, column) in self.columns.clone().into_iter().enumerate().step_by(every) {
            let text = self.value(self.x, column).to_string();
            let x = left + w * c as Units + (w - GAP) / 2;
            // The first and the last value may be wider than their cell.
            self.canvas.text((x, y), AXIS, Anchor::Middle, p.muted, &text);
        }
        let name = self.name(self.x).to_string();
        let x = left + w * self.columns.len() as Units / 2;
        let half = AXIS.width(&name) / 2;
        self.canvas.text((x.max(left + half), y + 22 * PX), AXIS, Anchor::Middle, p.muted, &name);
        y + 22 * PX
    }

    /// What shades and marks mean, and the worst cell. Where it ends.
    fn legend(&mut self, x: Units) -> Units {
        let p = self.canvas.colours;
        let mut y = TOP + 20 * PX;
        let (heading, words): (&str, Vec<String>) = match (self.sweep.kind, self.range) {
            (Kind::Explored, _) => (
                "Share of schedules with a bug, %",
                ["none in any schedule", "under 5 %", "5 to 15 %", "15 to 40 %", "40 % and more"]
                    .map(String::from)
                    .into(),
            ),
            (Kind::Timed, Some((least, most))) => {
                let end = |n: u64| us(least + (most - least) / 5 * n);
                let one = |n: u64| format!("{} to {}", end(n), end(n + 1));
                ("p99 of the lateness, \u{b5}s", (0..5).map(one).collect())
            }
            (Kind::Timed, None) => ("No timer expired", Vec::new()),
        };
        self.canvas.text((x, y), HEADING, Anchor::Start, p.ink, heading);
        for (n, words) in words.iter().enumerate() {
            y += 26 * PX;
            let area = Area { x, y: y - 13 * PX, w: 26 * PX, h: 18 * PX };
            let fill = self.shades[n].0;
            self.canvas.rect(area, 2 * PX, fill, Some(p.edge));
            self.canvas.text((x + 36 * PX, y), TEXT, Anchor::Start, p.ink, words);
        }
        let looks: Vec<Look> = self.sweep.cells.iter().map(|c| self.look(c)).collect();
        let area = |y: Units| Area { x, y: y - 13 * PX, w: 26 * PX, h: 18 * PX };
        if looks.iter().any(|l| matches!(l, Look::Unknown(_))) {
            y += 26 * PX;
            self.canvas.rect(area(y), 2 * PX, p.blocked, None);
            self.canvas.hatch(area(y));
            let words =
                if self.sweep.kind == Kind::Explored { "not complete" } else { "no expiry" };
            self.canvas.text((x + 36 * PX, y), TEXT, Anchor::Start, p.ink, words);
        }
        if looks.iter().any(|l| matches!(l, Look::Fails)) {
            y += 26 * PX;
            self.canvas.rect(area(y), 2 * PX, p.page, Some(p.bug));
            self.canvas.text((x + 13 * PX, y), NUMBER, Anchor::Middle, p.bug, "!");
            let words = "an expectation fails, no bug";
            self.canvas.text((x + 36 * PX, y), TEXT, Anchor::Start, p.ink, words);
        }
        if self.sweep.kind == Kind::Timed && self.sweep.cells.iter().any(|c| c.bugs() > 0) {
            y += 26 * PX;
            self.canvas.rect(area(y), 2 * PX, p.page, Some(p.bug));
            self.canvas.text(
                (x + 36 * PX, y),
                TEXT,
                Anchor::Start,
                p.ink,
                "framed: a bug was found",
            );
        }
        self.worst(x, y + 40 * PX)
    }

    fn worst(&mut self, x: Units, mut y: Units) -> Units {
        let p = self.canvas.colours;
        let key = |c: &&Cell| match &c.outcome {
            Outcome::Explored { schedules, bugs, .. } => {
                (u128::from(*bugs) << 32) / u128::from((*schedules).max(1))
            }
            Outcome::Timed { bugs, late, .. } => u128::from(*bugs) << 64 | u128::from(late.p99_ns),
        };
        let worst = self.sweep.cells.iter().rev().max_by_key(key);
        let Some(worst) = worst.filter(|c| key(c) > 0) else { return y };
        self.canvas.text((x, y), HEADING, Anchor::Start, p.ink, "Worst cell");
        let tip = self.tip(worst);
        let (at, what) = tip.split_at(self.sweep.settings(worst).len());
        let what = what.trim_start_matches(": ");
        let (what, class) = match &worst.class {
            Some(c) => (what.trim_end_matches(c.as_str()).trim_end_matches(": "), c.as_str()),
            None => (what, ""),
        };
        let room = LEGEND - MARGIN;
        let lines = [(at, AXIS, p.ink), (what, TEXT, p.ink), (class, NUMBER, p.bug)];
        for (text, font, ink) in lines {
            for line in wrapped(text, font, room) {
                y += 20 * PX;
                self.canvas.text((x, y), font, Anchor::Start, ink, &line);
            }
        }
        y
    }

    /// What was left out, and the command. The height of the picture.
    fn foot(&mut self, mut y: Units, outer: &[usize]) -> Units {
        let p = self.canvas.colours;
        let left = [
            (length(self.sweep, self.y) - self.rows.len(), "row", "rows"),
            (length(self.sweep, self.x) - self.columns.len(), "column", "columns"),
            (combinations(self.sweep, outer).saturating_sub(MAPS_MAX), "map", "maps"),
        ];
        let left: Vec<String> = left
            .iter()
            .filter(|l| l.0 > 0)
            .map(|(n, one, many)| count(*n as u64, one, many))
            .collect();
        if !left.is_empty() {
            let line = format!("{} left out; all cells are in sweep.csv", left.join(", "));
            self.canvas.text((MARGIN, y), TEXT, Anchor::Start, p.muted, &line);
            y += 22 * PX;
        }
        for line in wrapped(&self.sweep.command, COMMAND, 700 * PX) {
            let line = fitted(&line, COMMAND, 700 * PX);
            self.canvas.text((MARGIN, y), COMMAND, Anchor::Start, p.muted, &line);
            y += 17 * PX;
        }
        y + 6 * PX
    }
}
