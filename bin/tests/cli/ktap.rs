//! A reader of KTAP, as strict as the format: versions, plans, numbers, nesting, directives.

/// A test and what is below it.
#[derive(Debug)]
pub struct Node {
    pub ok: bool,
    pub name: String,
    pub directive: Option<String>,
    /// Diagnostic lines before it.
    pub said: Vec<String>,
    pub children: Vec<Node>,
}

/// Reads a document; panics where it is none.
pub fn parse(text: &str) -> Vec<Node> {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let root = level(&lines, &mut at, 0);
    assert_eq!(at, lines.len(), "something is left: {:?}", &lines[at..]);
    root
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn level(lines: &[&str], at: &mut usize, depth: usize) -> Vec<Node> {
    let pad = " ".repeat(depth);
    assert_eq!(lines[*at], format!("{pad}KTAP version 1"), "line {at}");
    *at += 1;
    let mut said = Vec::new();
    let mut nodes: Vec<Node> = Vec::new();
    let mut children = Vec::new();
    let mut plan = None;
    while let Some(line) = lines.get(*at).filter(|l| indent(l) >= depth) {
        if indent(line) > depth {
            assert_eq!(indent(line), depth + 2, "two spaces a level: {line:?}");
            assert!(children.is_empty(), "one list of subtests: {line:?}");
            children = level(lines, at, depth + 2);
            continue;
        }
        let line = line.trim_start();
        *at += 1;
        if let Some(text) = line.strip_prefix('#') {
            said.push(text.strip_prefix(' ').unwrap_or(text).to_string());
        } else if let Some(n) = line.strip_prefix("1..") {
            assert!(plan.is_none() && nodes.is_empty(), "one plan, first");
            plan = Some(n.parse::<usize>().unwrap());
        } else {
            let (ok, rest) = match line.strip_prefix("not ok ") {
                Some(rest) => (false, rest),
                None => (true, line.strip_prefix("ok ").unwrap_or_else(|| panic!("{line:?}"))),
            };
            let (number, rest) = rest.split_once(' ').unwrap();
            assert_eq!(number.parse::<usize>().unwrap(), nodes.len() + 1, "{line:?}");
            let (name, directive) = match rest.split_once(" # ") {
                Some((name, directive)) => (name, Some(directive.to_string())),
                None => (rest, None),
            };
            assert!(!name.contains('#') && !name.is_empty(), "{line:?}");
            if let Some(d) = &directive {
                let word = d.split(' ').next().unwrap();
                assert!(["SKIP", "XFAIL", "TIMEOUT", "ERROR"].contains(&word), "{line:?}");
            }
            let below = std::mem::take(&mut children);
            if !below.is_empty() {
                assert_eq!(
                    ok,
                    below.iter().all(|n: &Node| n.ok),
                    "a parent is what its subtests are: {line:?}"
                );
            }
            let said = std::mem::take(&mut said);
            nodes.push(Node { ok, name: name.to_string(), directive, said, children: below });
        }
    }
    assert_eq!(plan, Some(nodes.len()), "the plan is kept");
    nodes
}
