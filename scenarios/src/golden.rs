//! `golden:` digests: the interleaving that a scenario shows on a kernel, kept as a digest, so that a change of the picture
//! is seen. `timerace test --bless` writes them; nothing else of a file is ever changed by a program.

use crate::diag::Diagnostic;
use crate::load;
use crate::span::Span;
use crate::syntax::{self, Args, Kind, Node};
use crate::upgrade::{Edit, edited};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Hexadecimal digits of a digest.
pub const DIGITS: usize = 16;

/// The digest of an interleaving: the first digits of the SHA-256 of its text.
#[must_use]
pub fn digest(race: &str) -> String {
    let mut out = String::new();
    for byte in Sha256::digest(race.as_bytes()).iter().take(DIGITS / 2) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The text of a scenario with these digests, by kernel; comments, order and layout stay.
///
/// # Errors
///
/// The text is no scenario.
pub fn blessed(source: &str, digests: &[(String, String)]) -> Result<String, Box<Diagnostic>> {
    let tree = syntax::parse(source)?;
    let text = edited(source, edits(&tree, digests));
    match load::parse(&text, &[]) {
        Ok(_) => Ok(text),
        Err(diags) => Err(Box::new(diags.into_iter().next().expect("an error says what it is"))),
    }
}

fn edits(tree: &Node, digests: &[(String, String)]) -> Vec<Edit> {
    let Kind::Call { args: Args::Named(fields), .. } = &tree.kind else { return Vec::new() };
    let lines = |all: &[(String, String)]| -> String {
        all.iter().map(|(k, d)| format!("        \"{k}\": \"{d}\",\n")).collect()
    };
    let Some((_, node)) = fields.iter().find(|(name, _)| name.node == "golden") else {
        let after = fields.last().map_or(tree.span.end - 1, |(_, last)| last.span.end);
        let text = format!(",\n    golden: {{\n{}    }}", lines(digests));
        return vec![Edit { span: Span::new(after, after), text }];
    };
    let Kind::Map(entries) = &node.kind else { return Vec::new() };
    let mut edits = Vec::new();
    let mut new = Vec::new();
    for (kernel, digest) in digests {
        let known =
            entries.iter().find(|(k, _)| matches!(&k.kind, Kind::Text(t) if t.value == *kernel));
        match known {
            Some((_, value)) => {
                edits.push(Edit { span: value.span, text: format!("\"{digest}\"") })
            }
            None => new.push((kernel.clone(), digest.clone())),
        }
    }
    match entries.last() {
        _ if new.is_empty() => {}
        Some((_, last)) => {
            let text = format!(",\n{}", lines(&new).trim_end().trim_end_matches(','));
            edits.push(Edit { span: Span::new(last.span.end, last.span.end), text });
        }
        None => {
            edits.push(Edit { span: node.span, text: format!("{{\n{}    }}", lines(&new)) });
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "// A story.\nScenario(\n    schema: 1,\n    name: \"x\",\n    machine: (cpus: 1), // one\n)\n";

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(k, d)| ((*k).to_string(), (*d).to_string())).collect()
    }

    #[test]
    fn digests_are_added_and_replaced_and_the_rest_stays() {
        let (a, b) = (digest("a"), digest("b"));
        assert!(a.len() == DIGITS && a != b);
        let one = blessed(PLAIN, &pairs(&[("v6.7", &a)])).unwrap();
        let added = format!(",\n    golden: {{\n        \"v6.7\": \"{a}\",\n    }}, // one\n)\n");
        assert_eq!(one, PLAIN.replace(", // one\n)\n", &added));
        let two = blessed(&one, &pairs(&[("v6.7", &b), ("v6.8", &a)])).unwrap();
        assert_eq!(
            two,
            one.replace(&format!("\"{a}\""), &format!("\"{b}\",\n        \"v6.8\": \"{a}\""))
        );
        let scenario = load::parse(&two, &[]).unwrap();
        let golden: Vec<(&str, &str)> =
            scenario.golden.iter().map(|(k, d)| (k.node.as_str(), d.node.as_str())).collect();
        assert_eq!(golden, [("v6.7", b.as_str()), ("v6.8", a.as_str())]);
        let empty = PLAIN.replace("machine:", "golden: {}, machine:");
        assert!(blessed(&empty, &pairs(&[("v6.7", &a)])).unwrap().contains(&a));
        assert!(blessed("Scenario(", &[]).is_err());
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for wrong in ["\"abc\"", "\"0123456789ABCDEF\"", "7"] {
            let text =
                PLAIN.replace("machine:", &format!("golden: {{ \"v6.7\": {wrong} }}, machine:"));
            assert!(load::parse(&text, &[]).is_err(), "{wrong}");
        }
    }
}
