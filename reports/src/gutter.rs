//! Where arrows run: in the gutters to the right of columns, each in a lane of its own, with the labels to the left of
//! the lanes. A row has text in one column only, so that an arrow crosses no text on its way to the gutter.

use crate::arrows::Arrow;
use crate::svg::{PX, Units};
use std::collections::{BTreeMap, BTreeSet};

const LANE: Units = 14 * PX;
/// Where several arrows meet a row, the distance between them.
const APART: Units = 7 * PX;
/// A gutter without arrows.
const EMPTY: Units = 32 * PX;

/// The way of an arrow.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lane {
    /// The column to whose right it runs.
    pub gutter: usize,
    /// Its place, from the end of that column.
    pub x: Units,
    /// How far it leaves from the middle of its first row.
    pub out: Units,
    /// How far it arrives from the middle of its last row.
    pub into: Units,
    /// The label stands so many rows from the first one; `None`: another label there says the same.
    pub label: Option<usize>,
}

/// The lanes of all arrows.
pub(crate) struct Gutters {
    lanes: Vec<Lane>,
    /// Per gutter: width of the labels, and number of lanes.
    sizes: Vec<(Units, usize)>,
}

impl Gutters {
    /// Gives each arrow a lane. `column` of a row; `columns` of the picture; the width of a label.
    pub fn new(
        arrows: &[Arrow],
        column: &dyn Fn(usize) -> usize,
        columns: usize,
        width: &dyn Fn(&str) -> Units,
    ) -> Gutters {
        let mut sizes = vec![(0, 0); columns];
        let mut taken: BTreeMap<(usize, usize), Vec<(usize, usize)>> = BTreeMap::new();
        let mut labels: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut lanes: Vec<(Lane, usize)> = Vec::new();
        for a in arrows {
            let (from, to) = (column(a.from), column(a.to));
            let gutter = if from <= to { from } else { from - 1 };
            let span = (a.from.min(a.to), a.from.max(a.to));
            let apart = |s: &(usize, usize)| s.1 < span.0 || s.0 > span.1;
            let is_free = |n: &usize| taken.get(&(gutter, *n)).is_none_or(|v| v.iter().all(apart));
            let n = (0..).find(is_free).unwrap_or(0);
            taken.entry((gutter, n)).or_default().push(span);
            let boundary = |i: usize| if a.to > a.from { a.from + 1 + i } else { a.from - i };
            let rows = span.1 - span.0;
            let label = (0..rows).find(|i| !labels.contains(&(gutter, boundary(*i))));
            if let Some(i) = label {
                labels.insert((gutter, boundary(i)));
            }
            let size: &mut (Units, usize) = &mut sizes[gutter];
            *size = (size.0.max(width(a.label)), size.1.max(n + 1));
            lanes.push((Lane { gutter, label, ..Lane::default() }, n));
        }
        let mut g = Gutters { lanes: Vec::new(), sizes };
        for (lane, n) in lanes {
            let x = g.strip(lane.gutter) + 10 * PX + LANE * n as Units;
            g.lanes.push(Lane { x, ..lane });
        }
        g.spread(arrows, column);
        g
    }

    /// Ends that meet on the same side of a row are moved apart.
    fn spread(&mut self, arrows: &[Arrow], column: &dyn Fn(usize) -> usize) {
        let mut ends: BTreeMap<(usize, bool), Vec<(usize, bool)>> = BTreeMap::new();
        for (i, a) in arrows.iter().enumerate() {
            let right = |row: usize| column(row) <= self.lanes[i].gutter;
            ends.entry((a.from, right(a.from))).or_default().push((i, true));
            ends.entry((a.to, right(a.to))).or_default().push((i, false));
        }
        for meeting in ends.values() {
            let n = meeting.len() as Units;
            for (k, (i, leaves)) in meeting.iter().enumerate() {
                let at = APART * (2 * k as Units - (n - 1)) / 2;
                let lane = &mut self.lanes[*i];
                *(if *leaves { &mut lane.out } else { &mut lane.into }) = at;
            }
        }
    }

    /// The lane of an arrow, by index.
    pub fn lane(&self, arrow: usize) -> Lane {
        self.lanes[arrow]
    }

    /// Where the labels of a gutter end, from the end of its column.
    pub fn strip(&self, gutter: usize) -> Units {
        14 * PX + self.sizes[gutter].0
    }

    /// Width of a gutter; the last one needs no room on its right.
    pub fn width(&self, gutter: usize, last: bool) -> Units {
        let (_, lanes) = self.sizes[gutter];
        if lanes == 0 {
            return EMPTY;
        }
        let right = if last { 28 * PX } else { 34 * PX };
        self.strip(gutter) + 10 * PX + LANE * (lanes as Units - 1) + right
    }
}
