//! `happens-before.svg`: the steps that matter for a finding, each as high as what is ordered before it allows. Where no way
//! leads from one step to another, nothing decides which comes first: that is what the race is made of. `race.svg` has the
//! same steps in the order of the run.

use crate::arrows::{Says, arrows, reasons, step_of};
use crate::facts::Facts;
use crate::interleaving::{Detail, Interleaving, interleaving};
use crate::origin::Origin;
use crate::svg::{Anchor, Area, Canvas, Dash, PX, Towards, Units, num, wrapped};
use crate::theme::{Font, Theme};
use timerace_core::CtxId;
use timerace_core::record::Record;

/// More steps are left to the tools that read DOT.
pub const MOST_STEPS: usize = 24;
/// More CPUs would not fit a page.
pub const MOST_CPUS: usize = 4;

const MARGIN: Units = 28 * PX;
const TOP: Units = 122 * PX;
const BOX: Units = 28 * PX;
const ROW: Units = 46 * PX;
/// Wide enough for the two lines below the title.
const LEAST_WIDTH: Units = 600 * PX;
/// Between two columns, beside the widest label.
const GAP: Units = 60 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const HEADING: Font = Font::sans(130).weight(600);
const STEP: Font = Font::mono(115);
const LABEL: Font = Font::sans(110).weight(600);
const COMMAND: Font = Font::mono(115);

const ABOUT: &str = "Lines: what is ordered, by a context, a lock or a wake-up. Between two steps that no way down joins, nothing \
                     decides which comes first.";

/// A step that is shown.
struct Node {
    /// Index in the record.
    index: usize,
    column: usize,
    ctx: CtxId,
    text: String,
    bad: bool,
    layer: usize,
}

/// An arrow between steps of two contexts.
struct Edge {
    from: usize,
    to: usize,
    label: &'static str,
    ordered: bool,
}

/// The picture. `None`: there is no such finding, it is a deadlock (`waits-for.svg` shows those) or of one CPU, or it is too
/// large.
pub fn happens_before_svg(
    rec: &Record,
    finding: usize,
    origin: &Origin,
    theme: Theme,
) -> Option<String> {
    let f = rec.findings.get(finding).filter(|f| f.waits.is_empty())?;
    let facts = Facts::new(rec);
    let il = interleaving(rec, Some(finding), Detail::Chosen);
    let mut nodes = nodes(&facts, &il);
    let columns = il.columns.len();
    if nodes.len() > MOST_STEPS || !(2..=MOST_CPUS).contains(&columns) {
        return None;
    }
    let mut edges = order(&facts, &mut nodes);
    let place = |row: usize| {
        let index = facts.index_of(step_of(&il.rows[row])?)?;
        nodes.iter().position(|n| n.index == index)
    };
    for a in arrows(&facts, Some(f), &il).iter().filter(|a| a.says == Says::NotOrdered) {
        if let (Some(from), Some(to)) = (place(a.from), place(a.to)) {
            edges.push(Edge { from, to, label: a.label, ordered: false });
        }
    }
    if edges.is_empty() {
        return None;
    }
    let headings: Vec<String> = il.columns.iter().map(|c| c.heading()).collect();
    let d = Drawing::new(nodes, edges, &headings, theme);
    Some(d.draw(&headings, &format!("BUG: {}", f.title()), &origin.replay(&rec.text)))
}

fn nodes(facts: &Facts<'_>, il: &Interleaving) -> Vec<Node> {
    let node = |r: &crate::interleaving::Row| {
        let no = step_of(r)?;
        Some(Node {
            index: facts.index_of(no)?,
            column: r.column,
            ctx: r.ctx,
            text: format!("{no}: {}", r.text),
            bad: r.mark.is_some(),
            layer: 0,
        })
    };
    il.rows.iter().filter_map(node).collect()
}

/// What comes before what among the steps that are shown, also by way of those that are not; lays them out in layers.
fn order(facts: &Facts<'_>, nodes: &mut [Node]) -> Vec<Edge> {
    let steps = &facts.rec.steps;
    // Of each step of the run, the steps directly before it in every run.
    let direct = |i: usize| -> Vec<usize> {
        let own = steps[..i].iter().rposition(|s| s.ctx == steps[i].ctx);
        own.into_iter().chain(reasons(facts, i).into_iter().map(|(from, _)| from)).collect()
    };
    let reach = |to: usize| {
        let (mut seen, mut open) = (vec![false; steps.len()], vec![to]);
        while let Some(i) = open.pop() {
            if !std::mem::replace(&mut seen[i], true) {
                open.extend(direct(i));
            }
        }
        seen
    };
    let before: Vec<Vec<bool>> = nodes.iter().map(|n| reach(n.index)).collect();
    let is_before = |a: usize, b: usize, nodes: &[Node]| a != b && before[b][nodes[a].index];
    let mut edges = Vec::new();
    for b in 0..nodes.len() {
        let mut layer = 0;
        for a in 0..b {
            if is_before(a, b, nodes) || nodes[a].column == nodes[b].column {
                layer = layer.max(nodes[a].layer + 1);
            }
        }
        nodes[b].layer = layer;
        for a in (0..b).filter(|a| is_before(*a, b, nodes) && nodes[*a].ctx != nodes[b].ctx) {
            let between = |k: usize| is_before(a, k, nodes) && is_before(k, b, nodes);
            if !(0..nodes.len()).any(between) {
                let direct = reasons(facts, nodes[b].index);
                let label = direct.iter().find(|(from, _)| *from == nodes[a].index);
                edges.push(Edge {
                    from: a,
                    to: b,
                    label: label.map_or("ordered", |l| l.1),
                    ordered: true,
                });
            }
        }
    }
    edges
}

struct Drawing {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    boxes: Vec<Area>,
    /// Left end of each column.
    left: Vec<Units>,
    right: Units,
    canvas: Canvas,
}

impl Drawing {
    fn new(nodes: Vec<Node>, edges: Vec<Edge>, headings: &[String], theme: Theme) -> Drawing {
        let label = edges.iter().map(|e| LABEL.width(e.label)).max().unwrap_or(0);
        let (mut x, mut left, mut boxes) = (MARGIN, Vec::new(), vec![None; nodes.len()]);
        for (c, heading) in headings.iter().enumerate() {
            let own = || nodes.iter().filter(|n| n.column == c);
            let wide = own().map(|n| STEP.width(&n.text) + 20 * PX).max().unwrap_or(0);
            for (n, area) in nodes.iter().zip(&mut boxes).filter(|(n, _)| n.column == c) {
                let y = TOP + ROW * n.layer as Units;
                *area = Some(Area { x, y, w: wide, h: BOX });
            }
            left.push(x);
            x += wide.max(HEADING.width(heading)) + label + GAP;
        }
        let boxes = boxes.into_iter().flatten().collect();
        Drawing { nodes, edges, boxes, left, right: x, canvas: Canvas::new(theme) }
    }

    fn draw(mut self, headings: &[String], title: &str, command: &str) -> String {
        let p = self.canvas.colours;
        let width = (self.right.max(MARGIN + TITLE.width(title)) + MARGIN).max(LEAST_WIDTH);
        self.canvas.text((MARGIN, 36 * PX), TITLE, Anchor::Start, p.ink, title);
        let mut y = 60 * PX;
        for line in wrapped(ABOUT, SUBTITLE, width - 2 * MARGIN) {
            self.canvas.text((MARGIN, y), SUBTITLE, Anchor::Start, p.muted, &line);
            y += 18 * PX;
        }
        for (x, heading) in self.left.iter().zip(headings) {
            self.canvas.text((*x, TOP - 14 * PX), HEADING, Anchor::Start, p.ink, heading);
        }
        self.own_lines();
        let labels = self.arrows();
        self.steps();
        for ((x, y, anchor), e) in labels {
            let ink = if self.edges[e].ordered { p.ordered } else { p.bug };
            self.canvas.label((x, y), LABEL, anchor, ink, self.edges[e].label);
        }
        let layers = self.nodes.iter().map(|n| n.layer).max().unwrap_or(0) as Units;
        y = TOP + ROW * layers + BOX + 36 * PX;
        for line in wrapped(command, COMMAND, width - 2 * MARGIN) {
            self.canvas.text((MARGIN, y), COMMAND, Anchor::Start, p.muted, &line);
            y += 17 * PX;
        }
        self.canvas.finish(width, y + 6 * PX, title, ABOUT)
    }

    /// From each step to the next one of its context.
    fn own_lines(&mut self) {
        let p = self.canvas.colours;
        for (b, n) in self.nodes.iter().enumerate() {
            let Some(a) = self.nodes[..b].iter().rposition(|m| m.ctx == n.ctx) else { continue };
            let (x, from, to) = (self.boxes[a].x + 16 * PX, self.boxes[a], self.boxes[b]);
            self.canvas.line((x, from.y + from.h), (x, to.y - 7 * PX), p.muted, 130, Dash::Solid);
            self.canvas.head((x, to.y), Towards::Down, p.muted);
        }
    }

    /// The arrows between contexts; where each label stands, beside the step where its arrow begins.
    fn arrows(&mut self) -> Vec<((Units, Units, Anchor), usize)> {
        let p = self.canvas.colours;
        let mut labels: Vec<((Units, Units, Anchor), usize)> = Vec::new();
        for (i, e) in self.edges.iter().enumerate() {
            let (a, b) = (self.boxes[e.from], self.boxes[e.to]);
            let (ink, wide, dash) =
                if e.ordered { (p.ordered, 170, Dash::Solid) } else { (p.bug, 200, Dash::Dashed) };
            let (y0, y1) = (a.y + a.h / 2, b.y + b.h / 2);
            let right = b.x >= a.x;
            let x0 = if right { a.x + a.w } else { a.x };
            let (x1, towards) =
                if b.x > a.x { (b.x, Towards::Right) } else { (b.x + b.w, Towards::Left) };
            let out = if right { 1 } else { -1 };
            let tip = if towards == Towards::Right { x1 - 8 * PX } else { x1 + 8 * PX };
            let bend = if b.x == a.x { x0 + 40 * PX } else { (x0 + x1) / 2 };
            let points = [(x0, y0), (bend, y0), (bend, y1), (tip, y1)];
            let [s, c, d, t] = points.map(|(x, y)| format!("{} {}", num(x), num(y)));
            self.canvas.path(&format!("M{s}C{c} {d} {t}"), ink, wide, dash);
            self.canvas.head((x1, y1), towards, ink);
            let anchor = if right { Anchor::Start } else { Anchor::End };
            // Beside a bend; else on the side from which the arrow turns away. Where a label is, the next stands farther out.
            let (x, mut y, next) = match (b.x == a.x, y1 < y0) {
                (true, _) => (x0 + 36 * PX, (y0 + y1) / 2 + 4 * PX, 14 * PX),
                (false, true) => (x0 + out * 12 * PX, y0 + 14 * PX, 14 * PX),
                (false, false) => (x0 + out * 12 * PX, y0 - 6 * PX, -14 * PX),
            };
            let wide = LABEL.width(e.label);
            let left = if right { x } else { x - wide };
            let is_taken = |y: Units| {
                let near = |((lx, ly, la), other): &((Units, Units, Anchor), usize)| {
                    let w = LABEL.width(self.edges[*other].label);
                    let l = if *la == Anchor::Start { *lx } else { lx - w };
                    (ly - y).abs() < 14 * PX && l < left + wide && left < l + w
                };
                labels.iter().any(near)
            };
            while is_taken(y) {
                y += next;
            }
            labels.push(((x, y, anchor), i));
        }
        labels
    }

    fn steps(&mut self) {
        let p = self.canvas.colours;
        for (n, a) in self.nodes.iter().zip(&self.boxes) {
            let (fill, edge, ink) =
                if n.bad { (p.bug_fill, p.bug, p.bug) } else { (p.panel, p.edge, p.ink) };
            self.canvas.rect(*a, 4 * PX, fill, Some(edge));
            let at = (a.x + 10 * PX, a.y + a.h / 2 + 4 * PX);
            self.canvas.text(at, STEP, Anchor::Start, ink, &n.text);
        }
    }
}
