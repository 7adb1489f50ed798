//! Small graphs as pictures: layers from top to bottom, edges that lead back on the right, a label on each edge.
//!
//! `layout-rs` draws such graphs too, with loose labels and fonts of its own; the few layers that are needed here are laid out
//! in this file.

use crate::svg::{Anchor, Area, Canvas, Dash, PX, Towards, Units, fitted, num, wrapped};
use crate::theme::{Font, Theme};

/// Larger graphs are left to the tools that read DOT.
pub const MOST_NODES: usize = 24;
/// The same of edges.
pub const MOST_EDGES: usize = 40;

const MARGIN: Units = 28 * PX;
const TOP: Units = 90 * PX;
const BOX: Units = 34 * PX;
/// Between two nodes of a layer.
const BESIDE: Units = 48 * PX;
/// A line of labels between two layers.
const LINE: Units = 22 * PX;
/// Between the edges that lead back.
const TRACK: Units = 22 * PX;

const TITLE: Font = Font::sans(200).weight(600);
const SUBTITLE: Font = Font::sans(130);
const NODE: Font = Font::mono(120);
const LABEL: Font = Font::mono(105);
const COMMAND: Font = Font::mono(115);

/// A node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// What it is called.
    pub label: String,
    /// Drawn with round ends: something that is no context of the scenario.
    pub round: bool,
}

/// An edge between two nodes, by index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Where it begins.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// What it says.
    pub label: String,
    /// Part of what is wrong: bold, in the colour of bugs.
    pub bad: bool,
}

/// A graph with its words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Graph {
    /// What is wrong, in a sentence.
    pub title: String,
    /// What the edges mean.
    pub about: String,
    /// The command that makes it again.
    pub command: String,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The edges.
    pub edges: Vec<Edge>,
}

/// The picture; `None`: the graph is empty, or too large to be read as one.
pub fn graph_svg(graph: &Graph, theme: Theme) -> Option<String> {
    let (nodes, edges) = (graph.nodes.len(), graph.edges.len());
    let inside = graph.edges.iter().all(|e| e.from < nodes && e.to < nodes);
    if nodes == 0 || nodes > MOST_NODES || edges > MOST_EDGES || !inside {
        return None;
    }
    let layout = Layout::new(graph);
    let mut d = Drawing { graph, layout, canvas: Canvas::new(theme) };
    Some(d.draw())
}

/// The layer of each node: below all from which an edge leads to it, edges that lead back left out.
fn layers(graph: &Graph) -> (Vec<usize>, Vec<bool>) {
    let n = graph.nodes.len();
    let mut back = vec![false; graph.edges.len()];
    // 0: not seen, 1: on the way, 2: done. Edges are followed in their order.
    let mut state = vec![0; n];
    let mut order = Vec::new();
    for root in 0..n {
        let mut stack = vec![(root, 0)];
        while let Some((node, from)) = stack.pop() {
            if from == 0 {
                if state[node] != 0 {
                    continue;
                }
                state[node] = 1;
            }
            let next = (from..graph.edges.len()).find(|i| graph.edges[*i].from == node);
            let Some(i) = next else {
                state[node] = 2;
                order.push(node);
                continue;
            };
            stack.push((node, i + 1));
            match state[graph.edges[i].to] {
                0 => stack.push((graph.edges[i].to, 0)),
                1 => back[i] = true,
                _ => {}
            }
        }
    }
    let mut layer = vec![0; n];
    for node in order.into_iter().rev() {
        for (i, e) in graph.edges.iter().enumerate().filter(|(i, e)| !back[*i] && e.from == node) {
            debug_assert!(!back[i]);
            layer[e.to] = layer[e.to].max(layer[node] + 1);
        }
    }
    (layer, back)
}

struct Layout {
    boxes: Vec<Area>,
    /// Edges that lead back, and those from a node to itself.
    back: Vec<bool>,
    /// The line of the label of each edge that leads down.
    label_y: Vec<Units>,
    right: Units,
    bottom: Units,
}

impl Layout {
    fn new(graph: &Graph) -> Layout {
        let (layer, back) = layers(graph);
        let depth = layer.iter().max().map_or(1, |l| l + 1);
        let width = |i: usize| NODE.width(&graph.nodes[i].label) + 28 * PX;
        let mut rows: Vec<Vec<usize>> =
            (0..depth).map(|l| (0..layer.len()).filter(|i| layer[*i] == l).collect()).collect();
        // Edges that lead back run on the right: nothing should stand in their way.
        let turns = |i: &usize| {
            graph.edges.iter().zip(&back).any(|(e, b)| *b && (e.from == *i || e.to == *i))
        };
        rows.iter_mut().for_each(|r| r.sort_by_key(turns));
        let wide = |row: &[usize]| {
            row.iter().map(|i| width(*i)).sum::<Units>() + BESIDE * (row.len() as Units - 1).max(0)
        };
        let widest = rows.iter().map(|r| wide(r)).max().unwrap_or(0);
        let mut boxes = vec![Area { x: 0, y: 0, w: 0, h: BOX }; layer.len()];
        let mut label_y = vec![0; graph.edges.len()];
        let mut y = TOP;
        let mut right = 0;
        for (l, row) in rows.iter().enumerate() {
            let mut x = MARGIN + (widest - wide(row)) / 2;
            for i in row {
                boxes[*i] = Area { x, y, w: width(*i), h: BOX };
                x += width(*i) + BESIDE;
            }
            right = right.max(x - BESIDE);
            // Each edge that begins here has a line of its own for its label.
            let mut line = y + BOX + 24 * PX;
            for (i, _) in
                graph.edges.iter().enumerate().filter(|(i, e)| !back[*i] && layer[e.from] == l)
            {
                label_y[i] = line;
                line += LINE;
            }
            y = line + 16 * PX;
        }
        Layout { boxes, back, label_y, right, bottom: y - 30 * PX }
    }
}

struct Drawing<'g> {
    graph: &'g Graph,
    layout: Layout,
    canvas: Canvas,
}

impl Drawing<'_> {
    fn draw(&mut self) -> String {
        let p = self.canvas.colours;
        let mut labels = Vec::new();
        let mut right = self.layout.right;
        for (i, e) in self.graph.edges.iter().enumerate() {
            if !self.layout.back[i] {
                let (at, end) = self.down(i, e);
                labels.push((at, e));
                right = right.max(end);
            }
        }
        // Labels that are wider than the layers must not lie under the edges on the right.
        let tracks = self.layout.back.iter().filter(|b| **b).count() as Units;
        let edge = right + 16 * PX + TRACK * tracks;
        let (mut track, mut free) = (right + 16 * PX, 0);
        for (i, e) in self.graph.edges.iter().enumerate() {
            if self.layout.back[i] {
                let middle = self.up(e, track);
                let y = middle.max(free);
                free = y + LINE;
                let ink = if e.bad { p.bug } else { p.muted };
                self.canvas.line((track, y), (edge + 4 * PX, y), ink, 100, Dash::Dotted);
                labels.push(((edge + 10 * PX, y + 4 * PX), e));
                track += TRACK;
            }
        }
        self.nodes();
        let mut width = edge.max(right) + MARGIN;
        for (at, e) in labels {
            let ink = if e.bad { p.bug } else { p.ink };
            self.canvas.label(at, LABEL, Anchor::Start, ink, &e.label);
            width = width.max(at.0 + LABEL.width(&e.label) + MARGIN);
        }
        width = width.max(560 * PX);
        let room = width - 2 * MARGIN;
        let title = fitted(&self.graph.title, TITLE, room.max(TITLE.width(&self.graph.title)));
        width = width.max(2 * MARGIN + TITLE.width(&title).max(SUBTITLE.width(&self.graph.about)));
        self.canvas.text((MARGIN, 36 * PX), TITLE, Anchor::Start, p.ink, &title);
        self.canvas.text((MARGIN, 60 * PX), SUBTITLE, Anchor::Start, p.muted, &self.graph.about);
        let mut y = self.layout.bottom.max(free) + 40 * PX;
        for line in wrapped(&self.graph.command, COMMAND, width - 2 * MARGIN) {
            self.canvas.text((MARGIN, y), COMMAND, Anchor::Start, p.muted, &line);
            y += 17 * PX;
        }
        let canvas = std::mem::replace(&mut self.canvas, Canvas::new(Theme::Light));
        canvas.finish(width, y + 6 * PX, &self.graph.title, &self.graph.about)
    }

    fn ink(&self, e: &Edge) -> (&'static str, Units) {
        let p = self.canvas.colours;
        if e.bad { (p.bug, 220) } else { (p.muted, 130) }
    }

    /// An edge to a lower layer; where its label stands, and its right end.
    fn down(&mut self, i: usize, e: &Edge) -> ((Units, Units), Units) {
        let (a, b) = (self.layout.boxes[e.from], self.layout.boxes[e.to]);
        let (x0, y0) = (a.x + a.w / 2, a.y + a.h);
        let (x1, y1) = (b.x + b.w / 2, b.y);
        let y = self.layout.label_y[i];
        let (ink, wide) = self.ink(e);
        let d = format!(
            "M{} {}V{}C{} {} {} {} {} {}V{}",
            num(x0),
            num(y0),
            // The bend lies between the lines of this label and of the next one.
            num(y - 4 * PX),
            num(x0),
            num(y + 18 * PX),
            num(x1),
            num(y + 4 * PX),
            num(x1),
            num(y + 26 * PX),
            num(y1 - 8 * PX)
        );
        self.canvas.path(&d, ink, wide, Dash::Solid);
        self.canvas.head((x1, y1), Towards::Down, ink);
        let x = x0 + 10 * PX;
        ((x, y), x + LABEL.width(&e.label))
    }

    /// An edge that leads back, on its track at the right; the middle of the track.
    fn up(&mut self, e: &Edge, track: Units) -> Units {
        let (a, b) = (self.layout.boxes[e.from], self.layout.boxes[e.to]);
        let (ink, wide) = self.ink(e);
        let (x0, x1) = (a.x + a.w, b.x + b.w);
        let (mut y0, mut y1) = (a.y + a.h / 2, b.y + b.h / 2);
        if e.from == e.to {
            (y0, y1) = (y0 + 8 * PX, y1 - 8 * PX);
        }
        let d = format!("M{} {}H{}V{}H{}", num(x0), num(y0), num(track), num(y1), num(x1 + 8 * PX));
        self.canvas.path(&d, ink, wide, Dash::Solid);
        self.canvas.head((x1, y1), Towards::Left, ink);
        (y0 + y1) / 2
    }

    fn nodes(&mut self) {
        let p = self.canvas.colours;
        for (n, a) in self.graph.nodes.iter().zip(self.layout.boxes.clone()) {
            let radius = if n.round { BOX / 2 } else { 4 * PX };
            self.canvas.rect(a, radius, p.panel, Some(p.edge));
            let at = (a.x + a.w / 2, a.y + a.h / 2 + 4 * PX);
            self.canvas.text(at, NODE, Anchor::Middle, p.ink, &n.label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let node = |i| Node { label: format!("n{i}"), round: i % 2 == 1 };
        let edge = |(from, to): &(usize, usize)| Edge {
            from: *from,
            to: *to,
            label: format!("{from} to {to}"),
            bad: from > to,
        };
        Graph {
            nodes: (0..nodes).map(node).collect(),
            edges: edges.iter().map(edge).collect(),
            ..Graph::default()
        }
    }

    #[test]
    fn edges_lead_down_unless_they_close_a_circle() {
        for (nodes, edges, expected) in [
            (3, &[(0, 1), (1, 2), (2, 0)][..], &[0, 1, 2][..]),
            (4, &[(0, 2), (1, 2), (2, 3), (0, 3)], &[0, 0, 1, 2]),
            (2, &[(0, 0), (0, 1)], &[0, 1]),
            (3, &[(2, 1), (1, 0)], &[2, 1, 0]),
        ] {
            let g = graph(nodes, edges);
            let (layer, back) = layers(&g);
            assert_eq!(layer, expected, "{edges:?}");
            for (e, back) in g.edges.iter().zip(back) {
                assert_eq!(layer[e.from] < layer[e.to], !back, "{e:?}");
            }
        }
    }

    #[test]
    fn what_is_empty_too_large_or_broken_is_not_drawn() {
        assert_eq!(graph_svg(&graph(0, &[]), Theme::Light), None);
        assert_eq!(graph_svg(&graph(MOST_NODES + 1, &[]), Theme::Light), None);
        assert_eq!(graph_svg(&graph(1, &[(0, 1)]), Theme::Light), None);
        assert!(graph_svg(&graph(MOST_NODES, &[(0, 1)]), Theme::Light).is_some());
    }
}
