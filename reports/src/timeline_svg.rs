//! `timeline.svg`: what runs on which CPU and level when, with the arming, the programmed expiry and the lateness of timers.
//!
//! Stretches in which no CPU does anything are cut where they would take a fifth of the width.

use crate::estimate::span;
use crate::num::us;
use crate::race_marks::{Mark, RaceMarks, race_marks};
use crate::slices::{Level, Slice, slices};
use crate::svg::{Anchor, Area, Canvas, Dash, PX, Towards, Units, fitted, num, wrapped};
use crate::theme::{Font, Theme};
use std::collections::BTreeMap;
use timerace_core::CpuId;
use timerace_core::record::Record;
use timerace_core::result::Expiry;

const WIDTH: Units = 1400 * PX;
const LEFT: Units = 128 * PX;
const RIGHT: Units = 28 * PX;
const MARGIN: Units = 28 * PX;
const TOP: Units = 150 * PX;
const LANE: Units = 24 * PX;
/// Between two CPUs: the lateness of the upper one, the arming of the lower one.
const BETWEEN: Units = 50 * PX;
/// The line from arming to expiry, above the lanes.
const ARMING: Units = 9 * PX;
/// A line for a numbered step of the race, below the lanes of its CPU.
const MARK: Units = 22 * PX;
/// Width of a cut.
const CUT: Units = 34 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const AXIS: Font = Font::sans(115);
const CPU: Font = Font::sans(150).weight(700);
const BAR: Font = Font::mono(110);
const LABEL: Font = Font::sans(105).weight(600);
const MARKED: Font = Font::mono(110).weight(700);
const NUMBER: Font = Font::sans(105).weight(700);

/// What the picture says around the lanes.
#[derive(Clone, Debug, Default)]
pub struct TimelinePlot {
    /// What it shows, in a sentence.
    pub title: String,
    /// Scenario, kernel, seed.
    pub about: String,
    /// The command that makes it again.
    pub command: String,
}

/// The picture of a recorded stretch of a timed run; `None` if no CPU did anything in it.
pub fn timeline_svg(
    rec: &Record,
    expiries: &[Expiry],
    plot: &TimelinePlot,
    theme: Theme,
) -> Option<String> {
    let slices = slices(rec);
    let from = slices.iter().map(|s| s.from).min()?;
    let to = slices.iter().map(|s| s.to).max()?;
    let seen: Vec<&Expiry> =
        expiries.iter().filter(|e| e.programmed.0 >= from && e.callback.0 <= to).collect();
    let mut cpus: Vec<CpuId> = slices.iter().map(|s| s.cpu).collect();
    cpus.sort();
    cpus.dedup();
    let axis = Axis::new(&slices, from, to);
    let race = race_marks(rec).filter(|r| r.marks.iter().all(|m| cpus.contains(&m.cpu)));
    let mut d = Drawing { rec, slices: &slices, axis, cpus, race, canvas: Canvas::new(theme) };
    d.head(plot);
    d.window();
    d.ticks();
    d.lanes();
    let armings = d.armings(&seen);
    for s in &slices {
        d.bar(s);
    }
    d.lateness(&seen);
    for a in armings {
        d.diamond(a);
    }
    d.marks();
    let bottom = d.foot(plot);
    Some(d.canvas.finish(WIDTH, bottom, &plot.title, &plot.about))
}

/// Time to position, with stretches left out.
struct Axis {
    from: u64,
    to: u64,
    /// Stretches without a step, in order.
    cuts: Vec<(u64, u64)>,
    /// Nanoseconds that are drawn.
    shown: u64,
}

impl Axis {
    fn new(slices: &[Slice], from: u64, to: u64) -> Axis {
        let mut gaps: Vec<(u64, u64)> = Vec::new();
        let mut busy = from;
        for s in slices {
            if s.from > busy {
                gaps.push((busy, s.from));
            }
            busy = busy.max(s.to);
        }
        gaps.sort_by_key(|g| std::cmp::Reverse(g.1 - g.0));
        let mut shown = (to - from).max(1);
        let mut cuts = Vec::new();
        for (a, b) in gaps {
            // A little of the idle time stays on both sides.
            let keep = ((b - a) / 10).min((shown - (b - a)) / 20);
            if (b - a) * 5 <= shown || cuts.len() >= 12 {
                break;
            }
            cuts.push((a + keep, b - keep));
            shown -= b - a - 2 * keep;
        }
        cuts.sort();
        Axis { from, to, cuts, shown: shown.max(1) }
    }

    fn x(&self, at: u64) -> Units {
        let at = at.clamp(self.from, self.to);
        let room = WIDTH - LEFT - RIGHT - CUT * self.cuts.len() as Units;
        let mut ns = at - self.from;
        let mut extra = 0;
        for (a, b) in &self.cuts {
            if at > *a {
                let over = at.min(*b) - a;
                ns -= over;
                extra += (i128::from(over) * CUT as i128 / i128::from((b - a).max(1))) as Units;
            }
        }
        LEFT + (i128::from(ns) * room as i128 / i128::from(self.shown)) as Units + extra
    }

    fn is_cut(&self, at: u64) -> bool {
        self.cuts.iter().any(|(a, b)| (*a..=*b).contains(&at))
    }
}

struct Drawing<'a> {
    rec: &'a Record,
    slices: &'a [Slice],
    axis: Axis,
    cpus: Vec<CpuId>,
    race: Option<RaceMarks>,
    canvas: Canvas,
}

impl Drawing<'_> {
    fn band(&self, cpu: CpuId) -> Units {
        let above = self.cpus.iter().take_while(|c| **c != cpu);
        TOP + above.map(|c| 3 * LANE + self.marked(*c) + BETWEEN).sum::<Units>()
    }

    /// Height of the numbered steps of a CPU.
    fn marked(&self, cpu: CpuId) -> Units {
        let all = self.race.iter().flat_map(|r| &r.marks);
        MARK * all.filter(|m| m.cpu == cpu).count() as Units
    }

    /// Below the lanes and the numbered steps of a CPU.
    fn below(&self, cpu: CpuId) -> Units {
        self.band(cpu) + 3 * LANE + self.marked(cpu)
    }

    fn lane(&self, cpu: CpuId, level: Level) -> Units {
        let lane = match level {
            Level::Hardirq => 0,
            Level::Softirq => 1,
            Level::Task => 2,
        };
        self.band(cpu) + LANE * lane
    }

    fn end(&self) -> Units {
        self.cpus.last().map_or(TOP, |c| self.below(*c))
    }

    fn head(&mut self, plot: &TimelinePlot) {
        let p = self.canvas.colours;
        let room = WIDTH - 2 * MARGIN;
        let title = fitted(&plot.title, TITLE, room);
        self.canvas.text((MARGIN, 36 * PX), TITLE, Anchor::Start, p.ink, &title);
        let about = fitted(&plot.about, SUBTITLE, room);
        self.canvas.text((MARGIN, 60 * PX), SUBTITLE, Anchor::Start, p.muted, &about);
    }

    fn ticks(&mut self) {
        let p = self.canvas.colours;
        let y = TOP - 46 * PX;
        let label = (LEFT - 12 * PX, y);
        self.canvas.text(label, AXIS, Anchor::End, p.muted, "time, \u{b5}s");
        let step = tick_step(self.axis.shown);
        let end = self.end();
        let mut free = label.0 + 8 * PX;
        let mut at = self.axis.from.div_ceil(step) * step;
        while at <= self.axis.to {
            if let Some((_, b)) = self.axis.cuts.iter().find(|(a, b)| (*a..=*b).contains(&at)) {
                at = (b / step + 1) * step;
                continue;
            }
            let x = self.axis.x(at);
            self.canvas.line((x, TOP - 36 * PX), (x, end), p.grid, 100, Dash::Solid);
            let text = us(at).trim_end_matches(".0").to_string();
            let half = AXIS.width(&text) / 2;
            if x - half > free && x + half < WIDTH - PX {
                self.canvas.text((x, y), AXIS, Anchor::Middle, p.muted, &text);
                free = x + half + 8 * PX;
            }
            at += step;
        }
    }

    fn lanes(&mut self) {
        let p = self.canvas.colours;
        for cpu in self.cpus.clone() {
            let top = self.band(cpu);
            let y = top + 3 * LANE / 2 + 5 * PX;
            self.canvas.text((MARGIN, y), CPU, Anchor::Start, p.ink, &cpu.to_string());
            for (i, name) in ["hardirq", "softirq", "task"].iter().enumerate() {
                let y = top + LANE * i as Units;
                let at = (LEFT - 12 * PX, y + LANE / 2 + 4 * PX);
                self.canvas.text(at, AXIS, Anchor::End, p.muted, name);
                let y = y + LANE;
                self.canvas.line((LEFT, y), (WIDTH - RIGHT, y), p.grid, 100, Dash::Solid);
            }
        }
        for (a, b) in self.axis.cuts.clone() {
            let x = (self.axis.x(a) + self.axis.x(b)) / 2;
            for (at, end) in
                [(TOP - 6 * PX, TOP + 8 * PX), (self.end() - 6 * PX, self.end() + 8 * PX)]
            {
                for dx in [-3 * PX, 3 * PX] {
                    let (from, to) = ((x + dx - 3 * PX, end), (x + dx + 3 * PX, at));
                    self.canvas.line(from, to, p.muted, 130, Dash::Solid);
                }
            }
        }
    }

    fn bar(&mut self, s: &Slice) {
        let p = self.canvas.colours;
        let (x0, x1) = (self.axis.x(s.from), self.axis.x(s.to));
        let y = self.lane(s.cpu, s.level) + 3 * PX;
        let area = Area { x: x0, y, w: (x1 - x0).max(PX), h: LANE - 5 * PX };
        let (fill, ink) = match (s.spins, s.callback, s.level) {
            (true, ..) => (p.blocked, p.ink),
            (_, true, _) => (p.callback, p.on_callback),
            (_, _, Level::Hardirq) => (p.hardirq, p.on_irq),
            (_, _, Level::Softirq) => (p.softirq, p.on_irq),
            (_, _, Level::Task) => (p.task, p.ink),
        };
        let (first, last) = s.steps;
        let tip =
            format!("{}: {} to {} \u{b5}s, steps {first} to {last}", s.name, us(s.from), us(s.to));
        self.canvas.step_group(first, &tip);
        self.canvas.rect(area, 2 * PX, fill, None);
        if s.spins {
            self.canvas.hatch(area);
        }
        let text = if s.spins { "spins" } else { s.name.as_str() };
        if BAR.width(text) + 8 * PX <= area.w {
            let at = (x0 + area.w / 2, y + 13 * PX);
            match s.spins {
                true => self.canvas.label(at, BAR, Anchor::Middle, ink, text),
                false => self.canvas.text(at, BAR, Anchor::Middle, ink, text),
            }
        }
        self.canvas.close();
    }

    /// From the arming of each timer to its programmed expiry; where the diamonds go.
    fn armings(&mut self, seen: &[&Expiry]) -> Vec<(Units, Units)> {
        let p = self.canvas.colours;
        let mut diamonds = Vec::new();
        let mut free: BTreeMap<CpuId, Units> = BTreeMap::new();
        for e in seen {
            let x1 = self.axis.x(e.programmed.0);
            let y = self.band(e.cpu) - ARMING;
            self.canvas.line((x1, y - 8 * PX), (x1, y + ARMING + LANE), p.ink, 180, Dash::Solid);
            let Some((cpu, level)) = self.armed_by(e) else { continue };
            let x0 = self.axis.x(e.armed.0);
            let y0 = self.lane(cpu, level) + 2 * PX;
            if x1 - x0 < 24 * PX {
                continue;
            }
            let d = format!("M{} {}V{}H{}", num(x0), num(y0), num(y), num(x1 - 9 * PX));
            self.canvas.path(&d, p.ink, 120, Dash::Dashed);
            self.canvas.head((x1 - 2 * PX, y), Towards::Right, p.ink);
            diamonds.push((x0, y0));
            let text = format!("+{} \u{b5}s", us(e.programmed.since(e.armed)));
            let (w, mid) = (LABEL.width(&text), (x0 + x1) / 2);
            let free = free.entry(e.cpu).or_default();
            if mid - w / 2 > *free && w + 20 * PX < x1 - x0 && !self.axis.is_cut(e.armed.0) {
                self.canvas.label((mid, y - 5 * PX), LABEL, Anchor::Middle, p.ink, &text);
                *free = mid + w / 2 + 6 * PX;
            }
        }
        diamonds
    }

    /// Where the timer of an expiry was armed, if that is in the picture.
    fn armed_by(&self, e: &Expiry) -> Option<(CpuId, Level)> {
        let at = e.armed.0;
        let step = self.rec.steps.iter().find(|s| {
            s.at.0 == at && (s.text.contains("hrtimer_start") || s.text.contains("enqueue"))
        })?;
        let inside = |s: &&Slice| s.ctx == step.ctx && (s.from..=s.to).contains(&at);
        let slice = self.slices.iter().find(inside)?;
        Some((slice.cpu, slice.level))
    }

    fn diamond(&mut self, (x, y): (Units, Units)) {
        let r = 5 * PX;
        let points = [(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
        let points = points.map(|(x, y)| format!("{} {}", num(x), num(y)));
        let ink = self.canvas.colours.ink;
        self.canvas.shape(&format!("M{}Z", points.join("L")), ink);
    }

    /// A bracket from each programmed expiry to its callback.
    fn lateness(&mut self, seen: &[&Expiry]) {
        let p = self.canvas.colours;
        let mut free: BTreeMap<CpuId, Units> = BTreeMap::new();
        for e in seen {
            let (x0, x1) = (self.axis.x(e.programmed.0), self.axis.x(e.callback.0));
            let y = self.below(e.cpu) + 5 * PX;
            if x1 - x0 < 2 * PX {
                continue;
            }
            self.canvas.line((x0, y), (x1, y), p.late, 150, Dash::Solid);
            for x in [x0, x1] {
                self.canvas.line((x, y - 4 * PX), (x, y + 4 * PX), p.late, 150, Dash::Solid);
            }
            let text = format!("{} \u{b5}s late", us(e.late_ns()));
            let w = LABEL.width(&text);
            let mid = ((x0 + x1) / 2).min(WIDTH - RIGHT - w / 2).max(LEFT + w / 2);
            let free = free.entry(e.cpu).or_default();
            if mid - w / 2 > *free {
                self.canvas.label((mid, y + 14 * PX), LABEL, Anchor::Middle, p.late, &text);
                *free = mid + w / 2 + 6 * PX;
            }
        }
    }

    /// The window of the race, across the CPUs that have a part in it and no other.
    fn window(&mut self) {
        let Some(race) = self.race.clone() else { return };
        let (x0, x1) = (self.axis.x(race.window.0), self.axis.x(race.window.1).max(PX));
        let with = |c: &CpuId| race.marks.iter().any(|m| m.cpu == *c);
        let shown: Vec<bool> = self.cpus.iter().map(with).collect();
        let mut i = 0;
        while i < shown.len() {
            let run = shown[i..].iter().take_while(|s| **s).count();
            if run > 0 {
                let y = self.band(self.cpus[i]) - 4 * PX;
                let end = self.below(self.cpus[i + run - 1]) + 2 * PX;
                self.frame(Area { x: x0, y, w: (x1 - x0).max(2 * PX), h: end - y });
            }
            i += run.max(1);
        }
    }

    fn frame(&mut self, a: Area) {
        let p = self.canvas.colours;
        self.canvas.rect(a, 3 * PX, p.bug_fill, None);
        let (x1, y1) = (num(a.x + a.w), num(a.y + a.h));
        let d = format!("M{} {}H{x1}V{y1}H{}Z", num(a.x), num(a.y), num(a.x));
        self.canvas.path(&d, p.bug, 120, Dash::Dashed);
    }

    /// The steps of the race by number, and a line from one side to the other.
    fn marks(&mut self) {
        let Some(race) = self.race.clone() else { return };
        let p = self.canvas.colours;
        let places: Vec<(Units, Units)> = race.marks.iter().map(|m| self.place(m)).collect();
        let side = |of: &dyn Fn(&Mark) -> bool| race.marks.iter().position(of).map(|i| places[i]);
        if let (Some(a), Some(b)) = (side(&|m| m.other), side(&|m| m.bad)) {
            let bend = (b.0 - a.0).abs().max(24 * PX) / 2;
            let (from, to) =
                (format!("{} {}", num(a.0), num(a.1)), format!("{} {}", num(b.0), num(b.1)));
            let d = format!(
                "M{from}C{} {} {} {} {to}",
                num(a.0 + bend),
                num(a.1),
                num(b.0 - bend),
                num(b.1)
            );
            let (ink, dash) =
                if race.unordered { (p.bug, Dash::Solid) } else { (p.ordered, Dash::Dotted) };
            self.canvas.path(&d, ink, 170, dash);
        }
        let mut rows: BTreeMap<CpuId, Units> = BTreeMap::new();
        for (i, (m, (x, y))) in race.marks.iter().zip(places).enumerate() {
            let row = rows.entry(m.cpu).or_default();
            let at = self.band(m.cpu) + 3 * LANE + *row * MARK + MARK / 2;
            *row += 1;
            self.canvas.line((x, y), (x, at), p.bug, 120, Dash::Solid);
            if m.bad {
                self.cross((x, y));
            } else {
                self.canvas.disc((x, y), 35 * PX / 10, p.bug);
            }
            self.canvas.disc((x, at), 8 * PX, p.bug);
            let number = (x, at + 4 * PX);
            self.canvas.text(number, NUMBER, Anchor::Middle, p.page, &(i + 1).to_string());
            let w = MARKED.width(&m.text);
            let (tx, anchor) = match x + 14 * PX + w < WIDTH - RIGHT {
                true => (x + 14 * PX, Anchor::Start),
                false => (x - 14 * PX, Anchor::End),
            };
            let room = if anchor == Anchor::Start { w } else { x - 14 * PX - LEFT };
            let text = fitted(&m.text, MARKED, room.max(w.min(room)));
            self.canvas.label((tx, at + 4 * PX), MARKED, anchor, p.bug, &text);
        }
    }

    /// Where a step of the race lies: at its moment, in the middle of the lane of what runs then.
    fn place(&self, m: &Mark) -> (Units, Units) {
        let inside = |s: &&Slice| s.ctx == m.ctx && (s.from..=s.to).contains(&m.at);
        let level = self.slices.iter().find(inside).map_or(Level::Task, |s| s.level);
        (self.axis.x(m.at), self.lane(m.cpu, level) + LANE / 2)
    }

    fn cross(&mut self, (x, y): (Units, Units)) {
        let p = self.canvas.colours;
        self.canvas.disc((x, y), 9 * PX, p.page);
        self.canvas.disc((x, y), 8 * PX, p.bug);
        let r = 3 * PX;
        for (a, b) in [((x - r, y - r), (x + r, y + r)), ((x - r, y + r), (x + r, y - r))] {
            self.canvas.line(a, b, p.page, 180, Dash::Solid);
        }
    }

    /// What colours and shapes mean, and the command. The height of the picture.
    fn foot(&mut self, plot: &TimelinePlot) -> Units {
        let p = self.canvas.colours;
        let y = self.end() + 50 * PX;
        self.canvas.line(
            (MARGIN, y - 22 * PX),
            (WIDTH - RIGHT, y - 22 * PX),
            p.edge,
            100,
            Dash::Solid,
        );
        let mut x = MARGIN;
        let kinds = [
            (p.hardirq, "hard interrupt"),
            (p.softirq, "softirq"),
            (p.callback, "callback of a timer"),
            (p.task, "task"),
            (p.blocked, "spins"),
        ];
        for (fill, name) in kinds {
            let area = Area { x, y: y - 11 * PX, w: 18 * PX, h: 13 * PX };
            self.canvas.rect(area, 2 * PX, fill, None);
            if name == "spins" {
                self.canvas.hatch(area);
            }
            self.canvas.text((x + 26 * PX, y), AXIS, Anchor::Start, p.ink, name);
            x += 50 * PX + AXIS.width(name);
        }
        let line = y - 4 * PX;
        self.diamond((x + 5 * PX, line));
        self.canvas.line((x + 10 * PX, line), (x + 28 * PX, line), p.ink, 120, Dash::Dashed);
        self.canvas.line(
            (x + 32 * PX, line - 7 * PX),
            (x + 32 * PX, line + 7 * PX),
            p.ink,
            180,
            Dash::Solid,
        );
        let name = "armed, programmed expiry";
        self.canvas.text((x + 40 * PX, y), AXIS, Anchor::Start, p.ink, name);
        x += 64 * PX + AXIS.width(name);
        if !self.axis.cuts.is_empty() {
            let name = "// idle time cut out";
            self.canvas.text((x, y), AXIS, Anchor::Start, p.ink, name);
            x += 24 * PX + AXIS.width(name);
        }
        self.race_words(x, y);
        let mut y = y + 30 * PX;
        for line in wrapped(&plot.command, BAR, WIDTH - 2 * MARGIN) {
            self.canvas.text((MARGIN, y), BAR, Anchor::Start, p.muted, &line);
            y += 16 * PX;
        }
        y + 8 * PX
    }
}

impl Drawing<'_> {
    /// What the frame and the line of a race mean.
    fn race_words(&mut self, mut x: Units, y: Units) {
        let Some(race) = &self.race else { return };
        let p = self.canvas.colours;
        let unordered = race.unordered;
        let name = format!(
            "race window {}",
            span(race.window.1 - race.window.0).replace(" us", " \u{b5}s")
        );
        self.frame(Area { x, y: y - 11 * PX, w: 18 * PX, h: 13 * PX });
        self.canvas.text((x + 26 * PX, y), AXIS, Anchor::Start, p.ink, &name);
        x += 50 * PX + AXIS.width(&name);
        let (ink, dash, name) = match unordered {
            true => (p.bug, Dash::Solid, "not ordered"),
            false => (p.ordered, Dash::Dotted, "ordered"),
        };
        self.canvas.line((x, y - 4 * PX), (x + 20 * PX, y - 4 * PX), ink, 170, dash);
        self.canvas.text((x + 28 * PX, y), AXIS, Anchor::Start, p.ink, name);
    }
}

/// At most about a dozen ticks, at round numbers.
fn tick_step(shown: u64) -> u64 {
    let decades = (2..18).map(|d| 10u64.pow(d));
    let mut steps = decades.flat_map(|d| [d, 2 * d, 5 * d]);
    steps.find(|s| shown / s <= 12).unwrap_or(u64::MAX)
}
