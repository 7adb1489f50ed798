//! Smaller scenarios: what a finding needs, and nothing else.
//!
//! The text is edited by the places of its pieces, so that what stays keeps its comments and its style. Pieces are left
//! out by delta debugging (Zeller, Hildebrandt 2002) along the tree (Misherghi, Su 2006): tasks and events first, then the
//! steps of bodies, elements of maps, declarations that nothing needs any more, and CPUs; in halves, quarters, and one by
//! one. Whether the finding is still there is asked of the caller; what does not check is not asked about. It goes on
//! until no single piece can be left out.
//!
//! Expectations are not pieces: they say nothing about what happens. One that names something that is gone goes with it.

mod edit;
mod size;

pub use size::Size;

use crate::load;
use crate::source::Source;
use crate::span::Span;
use crate::syntax::{self, Kind, Node};
use edit::{Path, at, children, hoisted, replaced, section, without};
use std::collections::BTreeSet;

/// Whether a smaller scenario still shows the finding.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Yes,
    /// It does not, or it cannot be run.
    No,
    /// It was not decided within the bounds.
    Undecided,
}

/// A shrunk scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Its text.
    pub source: String,
    /// How many smaller ones were tried.
    pub tries: u64,
    /// How many of the tries after the last change were not decided: 0 if no piece can be left out.
    pub undecided: u64,
}

/// Sections whose entries may be left out, in the order in which it is tried.
const SECTIONS: [&str; 9] =
    ["tasks", "cpus", "progs", "maps", "faults", "vars", "types", "memcgs", "params"];

/// Shrinks a scenario that checks, as long as `still` says yes; its fragments stay as they are. `set`: the values of
/// parameters that it is run with.
pub fn shrink(
    source: &Source,
    set: &[(String, String)],
    still: &mut dyn FnMut(&Source) -> Answer,
) -> Shrunk {
    let mut s = Shrinker {
        text: source.own_text().to_string(),
        source,
        set,
        still,
        refused: BTreeSet::new(),
        tries: 0,
        undecided: 0,
    };
    loop {
        s.undecided = 0;
        if !s.pass() {
            return Shrunk { source: s.text, tries: s.tries, undecided: s.undecided };
        }
    }
}

/// The text without its field `use`, if it has one.
#[must_use]
pub fn without_use(source: &str) -> Option<String> {
    let root = syntax::parse(source).ok()?;
    let fields = children(&root);
    let field = fields.iter().find(|c| c.name == Some("use"))?;
    Some(without(source, field.span))
}

/// The text without the expectation that stands at this line, if there is one.
#[must_use]
pub fn without_expectation(source: &str, line: u32) -> Option<String> {
    let root = syntax::parse(source).ok()?;
    let list = at(&root, &section(&root, "expect")?)?;
    let number = |start: usize| source[..start].matches('\n').count() as u32 + 1;
    let found = children(list).into_iter().find(|c| number(c.span.start) == line)?;
    Some(without(source, found.span))
}

/// The text with one more expectation, first of all.
#[must_use]
pub fn with_expectation(source: &str, expectation: &str) -> Option<String> {
    let root = syntax::parse(source).ok()?;
    if let Some(path) = section(&root, "expect") {
        let list = at(&root, &path)?;
        let inside = Span::new(list.span.start + 1, list.span.start + 1);
        let text = if children(list).is_empty() {
            format!("[ {expectation} ]")
        } else {
            return Some(replaced(source, inside, &format!("\n        {expectation},")));
        };
        return Some(replaced(source, list.span, &text));
    }
    let last = children(&root).last()?.span.end;
    Some(replaced(source, Span::new(last, last), &format!(",\n    expect: [ {expectation} ]")))
}

struct Shrinker<'a> {
    text: String,
    source: &'a Source,
    set: &'a [(String, String)],
    still: &'a mut dyn FnMut(&Source) -> Answer,
    /// Texts that were tried in vain.
    refused: BTreeSet<String>,
    tries: u64,
    undecided: u64,
}

impl Shrinker<'_> {
    fn root(&self) -> Option<Node> {
        syntax::parse(&self.text).ok()
    }

    /// Keeps a smaller text if it still shows the finding.
    fn attempt(&mut self, smaller: String) -> bool {
        let Some(smaller) = self.repaired(smaller) else { return false };
        if smaller == self.text || self.refused.contains(&smaller) {
            return false;
        }
        self.tries += 1;
        match (self.still)(&self.source.with_text(&smaller)) {
            Answer::Yes => {
                self.text = smaller;
                true
            }
            Answer::No => {
                self.refused.insert(smaller);
                false
            }
            Answer::Undecided => {
                self.undecided += 1;
                false
            }
        }
    }

    /// The text without expectations that name what is gone; `None` if something else is wrong with it.
    fn repaired(&self, mut text: String) -> Option<String> {
        loop {
            let checked = load::check_source(&self.source.with_text(&text), self.set);
            if checked.scenario.is_some() {
                return Some(text);
            }
            let root = syntax::parse(&text).ok()?;
            let list = at(&root, &section(&root, "expect")?)?;
            let inside = |e: Span, s: Span| e.start <= s.start && s.end <= e.end;
            let expectations = children(list);
            let wrong = |s: Span| expectations.iter().rposition(|c| inside(c.span, s));
            let places: Option<BTreeSet<usize>> =
                checked.diagnostics.iter().map(|d| wrong(d.primary.0)).collect();
            let last = *places?.last()?;
            text = without(&text, expectations[last].span);
        }
    }

    /// Tries everything once; whether something was left out.
    fn pass(&mut self) -> bool {
        let mut smaller = false;
        for name in SECTIONS {
            let Some(path) = self.root().and_then(|r| section(&r, name)) else { continue };
            smaller |= self.reduce(&path);
            smaller |= self.below(&path);
            smaller |= self.empty_section(name);
        }
        self.fewer_cpus() || smaller
    }

    /// Leaves out children of a list or map: all, halves, quarters, ..., one.
    fn reduce(&mut self, path: &Path) -> bool {
        let count = |s: &Self| {
            let root = s.root();
            root.as_ref().and_then(|r| at(r, path)).map_or(0, |n| children(n).len())
        };
        let mut smaller = false;
        let mut chunk = count(self);
        while chunk > 0 {
            let mut end = count(self);
            while end > 0 {
                let start = end.saturating_sub(chunk);
                let less = self.without_children(path, start, end);
                smaller |= less.is_some_and(|t| self.attempt(t));
                end = start;
            }
            chunk /= 2;
        }
        smaller
    }

    fn without_children(&self, path: &Path, start: usize, end: usize) -> Option<String> {
        let mut text = self.text.clone();
        for i in (start..end).rev() {
            let root = syntax::parse(&text).ok()?;
            let span = children(at(&root, path)?).get(i)?.span;
            text = without(&text, span);
        }
        Some(text)
    }

    /// The same inside of the children: lists of steps, elements of maps, numbers.
    fn below(&mut self, path: &Path) -> bool {
        let mut smaller = false;
        let mut i = 0;
        loop {
            let mut child = path.clone();
            child.push(i);
            let Some(root) = self.root() else { return smaller };
            let Some(node) = at(&root, &child) else { return smaller };
            if is_steps(node) || matches!(node.kind, Kind::Map(_)) {
                smaller |= self.reduce(&child);
            }
            smaller |= self.simpler(path, i);
            smaller |= self.below(&child);
            i += 1;
        }
    }

    /// A step without what surrounds it; a smaller number.
    fn simpler(&mut self, path: &Path, i: usize) -> bool {
        let Some(root) = self.root() else { return false };
        let Some(parent) = at(&root, path) else { return false };
        let siblings = children(parent);
        let Some(child) = siblings.get(i) else { return false };
        if let Kind::Int(n) = child.value.kind {
            let counts =
                child.name == Some("max_entries") || (i == 0 && is_named(parent, "repeat"));
            let fewer = if counts { [1, n / 2, n - 1] } else { [n; 3] };
            let texts = fewer.into_iter().filter(|f| (1..n).contains(f));
            let texts: Vec<String> =
                texts.map(|f| replaced(&self.text, child.value.span, &f.to_string())).collect();
            return texts.into_iter().any(|t| self.attempt(t));
        }
        let inside = children(child.value);
        let lists = || inside.iter().skip(1).map(|c| c.value);
        let texts: Vec<String> = if is_named(child.value, "if") || is_named(child.value, "repeat") {
            lists().filter_map(|l| hoisted(&self.text, child.value.span, l)).collect()
        } else if is_named(child.value, "every") || is_named(child.value, "poisson") {
            let once =
                |n: &Node| replaced(&self.text, child.value.span, &self.text[n.span.range()]);
            lists().map(once).collect()
        } else {
            Vec::new()
        };
        texts.into_iter().any(|t| self.attempt(t))
    }

    /// A section that has become empty goes too.
    fn empty_section(&mut self, name: &str) -> bool {
        let Some(root) = self.root() else { return false };
        let empty = |c: &edit::Child<'_>| c.name == Some(name) && children(c.value).is_empty();
        let Some(span) = children(&root).into_iter().find(empty).map(|c| c.span) else {
            return false;
        };
        self.attempt(without(&self.text, span))
    }

    /// Takes away CPUs on which nothing runs, then moves what runs on one to another.
    fn fewer_cpus(&mut self) -> bool {
        let mut smaller = false;
        for moving in [false, true] {
            let mut cpu = self.root().map_or(0, |r| numbers(&r).0);
            while cpu > 0 {
                cpu -= 1;
                let to = if moving { (0..cpu).map(Some).collect() } else { vec![None] };
                let fewer = |s: &mut Self, to| s.without_cpu(cpu, to).is_some_and(|t| s.attempt(t));
                smaller |= to.into_iter().any(|to| fewer(self, to));
            }
        }
        smaller
    }

    /// The text with one CPU less: those above it move down, what runs on it moves to another one. `None` if that cannot
    /// be written.
    fn without_cpu(&self, cpu: i128, to: Option<i128>) -> Option<String> {
        let root = self.root()?;
        let (cpus, count, places) = numbers(&root);
        let mut edits = vec![(count?, cpus - 1)];
        for (span, n, is_key) in &places {
            let new = match (*n).cmp(&cpu) {
                std::cmp::Ordering::Less => continue,
                std::cmp::Ordering::Greater => n - 1,
                std::cmp::Ordering::Equal => to?,
            };
            // Two lists of one CPU would be one task: another scenario.
            let taken = |p: &(Span, i128, bool)| p.2 && p.1 == new && *n == cpu;
            if *is_key && places.iter().any(taken) {
                return None;
            }
            edits.push((*span, new));
        }
        if cpus < 2 {
            return None;
        }
        edits.sort_by_key(|e| std::cmp::Reverse(e.0.start));
        let text = self.text.clone();
        Some(edits.iter().fold(text, |t, (span, n)| replaced(&t, *span, &n.to_string())))
    }
}

/// The number of CPUs and where it stands; every place that names one, the CPU, and whether it is a key of `cpus`.
fn numbers(root: &Node) -> (i128, Option<Span>, Vec<(Span, i128, bool)>) {
    let int = |n: &Node| if let Kind::Int(i) = n.kind { Some((n.span, i)) } else { None };
    let field = |node: &Node, name: &str| {
        children(node).into_iter().find(|c| c.name == Some(name)).and_then(|c| int(c.value))
    };
    let (mut cpus, mut count, mut places) = (0, None, Vec::new());
    for c in children(root) {
        match c.name {
            Some("machine") => {
                if let Some((span, n)) = field(c.value, "cpus") {
                    (cpus, count) = (n, Some(span));
                }
            }
            Some("tasks") => {
                let on = |t: &edit::Child<'_>| field(t.value, "cpu").map(|(s, n)| (s, n, false));
                places.extend(children(c.value).iter().filter_map(on));
            }
            Some("cpus") => {
                let keys = children(c.value).into_iter().filter_map(|e| e.key.and_then(int));
                places.extend(keys.map(|(s, n)| (s, n, true)));
            }
            _ => {}
        }
    }
    (cpus, count, places)
}

fn is_named(node: &Node, word: &str) -> bool {
    matches!(&node.kind, Kind::Call { name: Some(name), .. } if name.node == word)
}

/// A list of steps or events, not of return codes or flags.
fn is_steps(node: &Node) -> bool {
    match &node.kind {
        Kind::List(items) => {
            !items.is_empty()
                && items.iter().all(|i| matches!(i.kind, Kind::Call { name: Some(_), .. }))
        }
        _ => false,
    }
}
