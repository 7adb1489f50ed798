//! The picture that kernel people draw in commit messages: a column per CPU, time running down.
//!
//! ASCII, spaces, never wider than asked (75 columns, so that it can be pasted into a changelog), one line per event,
//! never two CPUs on one line. Where the columns do not fit side by side, comments go below their lines, then away, then
//! calls lose their arguments, then headings go on two lines and nesting becomes flatter; where that does not help, blocks with a heading each stand one below the other.

use crate::interleaving::{Interleaving, Row};

/// The width that a changelog takes.
pub const WIDTH: usize = 75;

/// A column is never narrower.
const NARROWEST: usize = 24;

/// The smallest width that is honoured.
const MIN_WIDTH: usize = 24;

/// The picture; lines end with a newline, none is longer than `width` (at least 24).
pub fn race_text(il: &Interleaving, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    if il.rows.is_empty() {
        return "(no steps)\n".to_string();
    }
    use Level::{Bare, Below, Fitted, Short, Silent, Whole};
    let side_by_side = [Whole, Below, Fitted, Silent, Short, Bare]
        .into_iter()
        .find_map(|level| columns(il, width, level));
    let mut lines = side_by_side.unwrap_or_else(|| staggered(il, width));
    lines.extend(circle(il, width));
    let mut out = String::new();
    for line in lines {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What is given up to fit.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Nothing.
    Whole,
    /// Comments go on lines of their own where they do not fit behind.
    Below,
    /// Arguments of calls whose lines are longer than the share of their column.
    Fitted,
    /// Comments.
    Silent,
    /// Arguments of calls too.
    Short,
    /// Half of the indentation too; headings go on two lines.
    Bare,
}

/// A line without its column's position.
struct Cell {
    column: usize,
    text: String,
    /// Goes behind the text if the column has room for it, else below it.
    comment: Option<String>,
    /// Carets and reasons may reach into the next column: nothing else stands on their line.
    loose: bool,
}

/// Text in which nothing moves a column: printable ASCII, one character for one.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { odd(c) }).collect()
}

fn odd(c: char) -> char {
    match c {
        '\u{b5}' | '\u{3bc}' => 'u',
        c if c.is_whitespace() => ' ',
        _ => '?',
    }
}

fn cells(il: &Interleaving, level: Level, width: usize) -> Vec<Cell> {
    let mut out = Vec::new();
    let share = width / il.columns.len().max(1);
    for row in &il.rows {
        row_cells(row, level, (width, share), &mut out);
    }
    out
}

fn row_cells(row: &Row, level: Level, (width, share): (usize, usize), out: &mut Vec<Cell>) {
    // Deep nesting must leave room for the text.
    let step = if level == Level::Bare { 1 } else { 2 };
    let indent = (step * row.depth as usize).min(width / 2);
    // Two spaces lie between columns.
    let too_long = level == Level::Fitted && indent + row.text.len() + 2 > share;
    let short = row.short.as_ref().filter(|_| level >= Level::Short || too_long);
    let mut text = format!("{:indent$}{}", "", plain(short.unwrap_or(&row.text)));
    let comment = row.comment.as_ref().filter(|_| level < Level::Silent).map(|c| plain(c));
    let column = row.column;
    let mut push = |text: String, comment: Option<String>, loose: bool| {
        out.push(Cell { column, text, comment, loose });
    };
    if level == Level::Whole
        && let Some(c) = comment
    {
        text.push_str(&format!("  // {c}"));
        push(text, None, false);
    } else {
        push(text, comment, false);
    }
    if let Some(m) = &row.mark {
        let start = indent + m.start;
        let text = format!("{:start$}{}", "", "^".repeat(m.len.max(1)));
        push(text, None, true);
        let text = format!("{:start$}{}", "", plain(&m.reason));
        push(text, None, true);
    }
}

/// Side by side, if every column gets what it needs.
fn columns(il: &Interleaving, width: usize, level: Level) -> Option<Vec<String>> {
    let cells = cells(il, level, width);
    let headings: Vec<Vec<String>> = il
        .columns
        .iter()
        .map(|c| match level {
            Level::Bare => vec![format!("{}:", c.cpu), plain(&c.role)],
            _ => vec![plain(&c.heading())],
        })
        .collect();
    let mut needs: Vec<usize> =
        headings.iter().map(|h| h.iter().map(String::len).max().unwrap_or(0)).collect();
    for c in cells.iter().filter(|c| !c.loose) {
        let below = c.comment.as_ref().map_or(0, |x| indent(&c.text) + 5 + x.len());
        needs[c.column] = needs[c.column].max(c.text.len()).max(below);
    }
    let starts = starts(&needs, width)?;
    let mut lines = vec![String::new(); headings[0].len() + 1];
    for (heading, start) in headings.iter().zip(&starts) {
        for (line, part) in lines.iter_mut().zip(heading) {
            line.push_str(&" ".repeat(start.saturating_sub(line.len())));
            line.push_str(part);
        }
    }
    for c in &cells {
        let end = starts.get(c.column + 1).map_or(width, |next| next - 1);
        put(c, starts[c.column], end, width, &mut lines);
    }
    Some(lines)
}

fn indent(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The lines of a cell whose column begins at `start` and ends before `end`.
fn put(c: &Cell, start: usize, end: usize, width: usize, lines: &mut Vec<String>) {
    let line = shifted(&c.text, start, width);
    let Some(comment) = &c.comment else { return lines.push(line) };
    if line.len() + 5 + comment.len() <= end {
        lines.push(format!("{line}  // {comment}"));
    } else {
        lines.push(line);
        let below = format!("{:1$}// {comment}", "", indent(&c.text) + 2);
        lines.push(shifted(&below, start, width));
    }
}

/// Where the columns begin. Two stand at 0 and 36, three at 0, 25 and 50, unless one of them needs more.
fn starts(needs: &[usize], width: usize) -> Option<Vec<usize>> {
    let (gap, usual): (usize, &[usize]) = match needs.len() {
        1 => (0, &[0]),
        2 => (2, &[0, 36]),
        3 => (1, &[0, 25, 50]),
        _ => return None,
    };
    let take = |wanted: &dyn Fn(usize) -> usize| {
        let mut at = 0;
        let mut starts = Vec::new();
        for (i, need) in needs.iter().enumerate() {
            at = at.max(wanted(i));
            starts.push(at);
            at += need.max(&NARROWEST) + gap;
        }
        let last = needs.len() - 1;
        let end = starts[last] + needs[last].max(NARROWEST.min(width));
        (end <= width).then_some(starts)
    };
    take(&|i| usual[i]).or_else(|| take(&|_| 0))
}

/// The line at its column; what would pass the edge is moved left if that is only space, else cut.
fn shifted(text: &str, start: usize, width: usize) -> String {
    let body = text.trim_start();
    let at = (start + indent(text)).min(width.saturating_sub(body.len()));
    format!("{:at$}{}", "", cut(body, width))
}

fn cut(text: &str, width: usize) -> String {
    if text.len() <= width {
        return text.to_string();
    }
    format!("{}...", &text[..width - 3])
}

/// Blocks one below the other, a heading each time the CPU changes.
fn staggered(il: &Interleaving, width: usize) -> Vec<String> {
    let headings: Vec<String> = il.columns.iter().map(|c| plain(&c.heading())).collect();
    let steps = il.columns.len().saturating_sub(1).max(1);
    let fit = |level: Level| {
        let cells = cells(il, level, width);
        let below = |c: &Cell| c.comment.as_ref().map_or(0, |x| indent(&c.text) + 7 + x.len());
        let needs = cells.iter().filter(|c| !c.loose).map(|c| below(c).max(c.text.len() + 2));
        let longest = needs.chain(headings.iter().map(String::len)).max().unwrap_or(0);
        ((width.saturating_sub(longest) / steps).min(16), cells)
    };
    let (stagger, cells) = Some(fit(Level::Whole))
        .filter(|f| f.0 >= 8)
        .or_else(|| Some(fit(Level::Below)).filter(|f| f.0 >= 8))
        .unwrap_or_else(|| fit(Level::Short));
    let mut seen = vec![false; il.columns.len()];
    let mut current = None;
    let mut lines = Vec::new();
    for c in &cells {
        let start = c.column * stagger;
        if current != Some(c.column) {
            if current.is_some() {
                lines.push(String::new());
            }
            current = Some(c.column);
            // The role is said once; after that the CPU is enough.
            let first = !std::mem::replace(&mut seen[c.column], true);
            let bare = format!("{}:", il.columns[c.column].cpu);
            lines.push(shifted(if first { &headings[c.column] } else { &bare }, start, width));
        }
        put(c, start + 2, width, width, &mut lines);
    }
    lines
}

/// The circle of a deadlock in one line; where that is too long, an edge a line.
fn circle(il: &Interleaving, width: usize) -> Vec<String> {
    if il.circle.is_empty() {
        return Vec::new();
    }
    let edges: Vec<String> = il.circle.iter().map(|e| plain(e)).collect();
    let one = edges.join("; ");
    let mut lines = vec![String::new()];
    if one.len() <= width {
        lines.push(one);
        return lines;
    }
    let last = edges.len() - 1;
    lines.extend(
        edges.iter().enumerate().map(|(i, e)| cut(e, width - 1) + if i < last { ";" } else { "" }),
    );
    lines
}
