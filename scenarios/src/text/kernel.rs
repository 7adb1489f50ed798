//! Releases and kernel conditions: `"v6.7"`, `">= v6.4, < v6.8"`, `"v6.1..v6.7"`, `"lacks FIX"`.

use super::{Cursor, TextError};
use crate::ast::{CmpOp, KernelCond, KernelTerm, Version};
use crate::span::{Sp, Span};

/// Reads a release, all of it.
pub(crate) fn release(text: &str) -> Result<Version, TextError> {
    let mut cursor = Cursor::new(text);
    let version = version(&mut cursor)?;
    match cursor.at_end() {
        true => Ok(version),
        false => Err(bad_version(cursor.rest_span())),
    }
}

fn bad_version(span: Span) -> TextError {
    TextError::new(span, "this is no kernel release", "expected a release")
        .help("releases look like v6.7 or v6.1.192")
}

fn version(cursor: &mut Cursor<'_>) -> Result<Version, TextError> {
    let start = cursor.at;
    if !cursor.eat("v") {
        let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '.');
        let error = bad_version(cursor.since(start));
        return Err(match word.starts_with(|c: char| c.is_ascii_digit()) {
            true => error.help(format!("write v{word}")),
            false => error,
        });
    }
    let mut parts = Vec::new();
    loop {
        let digits = cursor.take_while(|c| c.is_ascii_digit());
        match digits.parse::<u32>() {
            Ok(number) => parts.push(number),
            Err(_) => return Err(bad_version(cursor.since(start))),
        }
        // Not a point of "v6.1..v6.7".
        if parts.len() == 3 || cursor.rest().starts_with("..") || !cursor.eat(".") {
            break;
        }
    }
    match parts[..] {
        [major, minor] => Ok(Version(major, minor, 0)),
        [major, minor, patch] => Ok(Version(major, minor, patch)),
        _ => Err(bad_version(cursor.since(start))),
    }
}

/// Reads a kernel condition, all of it.
pub(crate) fn condition(text: &str) -> Result<KernelCond, TextError> {
    let mut cursor = Cursor::new(text);
    let mut terms = Vec::new();
    loop {
        cursor.skip_space();
        terms.push(term(&mut cursor)?);
        cursor.skip_space();
        if cursor.at_end() {
            return Ok(KernelCond { terms });
        }
        if !cursor.eat(",") {
            let span = cursor.rest_span();
            return Err(
                TextError::new(span, "a `,` is missing", "terms are joined by commas").help(FORMS)
            );
        }
    }
}

const FORMS: &str =
    "a kernel condition looks like \">= v6.4, < v6.8\", \"v6.1..v6.7\", \"has FIX\", \"lacks FIX\"";

fn term(cursor: &mut Cursor<'_>) -> Result<Sp<KernelTerm>, TextError> {
    let start = cursor.at;
    for op in [CmpOp::Le, CmpOp::Ge, CmpOp::Lt, CmpOp::Gt] {
        if cursor.eat(op.symbol()) {
            cursor.skip_space();
            let version = version(cursor)?;
            return Ok(Sp::new(KernelTerm::Release { op, version }, cursor.since(start)));
        }
    }
    let is_fix = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    for word in ["has", "lacks"] {
        let mut probe = cursor.clone();
        if !probe.eat(word) || !probe.peek().is_none_or(char::is_whitespace) {
            continue;
        }
        probe.skip_space();
        let name = probe.take_while(is_fix);
        if name.is_empty() {
            let message = format!("`{word}` needs the name or commit id of a fix");
            return Err(TextError::new(Span::new(start, probe.at), message, "no fix is named"));
        }
        *cursor = probe;
        let fix = name.to_string();
        let term = if word == "has" { KernelTerm::Has(fix) } else { KernelTerm::Lacks(fix) };
        return Ok(Sp::new(term, cursor.since(start)));
    }
    if cursor.peek() != Some('v') {
        let span = if cursor.at_end() { cursor.rest_span() } else { cursor.here() };
        return Err(
            TextError::new(span, "this is no kernel condition", "not understood").help(FORMS)
        );
    }
    range(cursor, start)
}

fn range(cursor: &mut Cursor<'_>, start: usize) -> Result<Sp<KernelTerm>, TextError> {
    let low = version(cursor)?;
    if !cursor.eat("..") {
        let message = "a release alone is no condition";
        return Err(TextError::new(cursor.since(start), message, "compared with what?")
            .help(format!("for this release only, write \"{low}..{low}\"")));
    }
    let high = version(cursor)?;
    let span = cursor.since(start);
    if low > high {
        return Err(TextError::new(span, "the range goes down and holds nothing", "swap the two"));
    }
    Ok(Sp::new(KernelTerm::Range(low, high), span))
}

/// Whether a text can be the name or the commit id of a fix.
pub(crate) fn is_fix_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, version: Version, expected: bool) {
        let cond = condition(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(cond.holds(version, &|fix| fix == "FIX"), expected, "{text} {version}");
        assert_eq!(condition(&cond.to_string()).unwrap().to_string(), cond.to_string());
    }

    #[test]
    fn good_ones() {
        check(">= v6.4, < v6.8", Version(6, 7, 12), true);
        check(">= v6.4, < v6.8", Version(6, 8, 0), false);
        check("v6.1..v6.7", Version(6, 7, 0), true);
        check("v6.1..v6.7", Version(6, 7, 1), false);
        check("< v6.7", Version(6, 1, 192), true);
        check("has FIX", Version(6, 1, 0), true);
        check("lacks fd381ce60a2d", Version(6, 1, 0), true);
        check("has FIX,lacks FIX", Version(6, 1, 0), false);
        check(">v6.1.5", Version(6, 1, 6), true);
    }

    #[test]
    fn bad_ones() {
        for text in ["", "6.8", "< 6.8", "v6.8", "has", "has ", "v6.7..v6.1", "<v6.8 >v6.1", "v6"] {
            let error = condition(text).unwrap_err();
            assert!(error.span.end <= text.len(), "{text}: {error:?}");
        }
        assert!(release("v6.7").is_ok());
        assert!(release("v6.7-rc1").is_err());
        assert!(release("v99999999999.1").is_err());
    }
}
