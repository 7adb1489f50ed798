//! The small pieces of the notation: spaces, comments, strings, words, numbers.

use super::tree::Text;
use crate::diag::Diagnostic;
use crate::span::Span;

/// Spaces as RON has them.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0B' | '\x0C' | '\u{85}')
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}')
}

/// The first byte behind spaces and comments.
pub(super) fn skip_space(source: &str, mut at: usize) -> Result<usize, Diagnostic> {
    loop {
        let rest = &source[at..];
        if rest.starts_with("//") || rest.starts_with("/*") {
            at = skip_comment(source, at)?;
            continue;
        }
        match rest.chars().next() {
            Some(c) if is_space(c) => at += c.len_utf8(),
            _ => return Ok(at),
        }
    }
}

/// The first byte behind the comment at `at`.
pub(super) fn skip_comment(source: &str, at: usize) -> Result<usize, Diagnostic> {
    let bytes = source.as_bytes();
    if bytes[at + 1] == b'/' {
        return Ok(source[at..].find('\n').map_or(source.len(), |end| at + end));
    }
    let mut depth = 0_usize;
    let mut pos = at;
    while pos + 1 < bytes.len() {
        match (bytes[pos], bytes[pos + 1]) {
            (b'/', b'*') => {
                depth += 1;
                pos += 2;
            }
            (b'*', b'/') => {
                depth -= 1;
                pos += 2;
                if depth == 0 {
                    return Ok(pos);
                }
            }
            _ => pos += 1,
        }
    }
    Err(never_closed("comment", at, at + 2))
}

/// The first byte behind the string or character whose quote stands at `at`.
pub(super) fn skip_quoted(source: &str, at: usize) -> Result<usize, Diagnostic> {
    let bytes = source.as_bytes();
    let quote = bytes[at];
    let mut pos = at + 1;
    while let Some(&byte) = bytes.get(pos) {
        match byte {
            b'\\' => pos += 2,
            _ if byte == quote => return Ok(pos + 1),
            // A text may have several lines, a character may not: that is a stray quote.
            b'\n' if quote == b'\'' => break,
            _ => pos += 1,
        }
    }
    Err(never_closed(if quote == b'"' { "text" } else { "character" }, at, at + 1))
}

/// The first byte behind a raw string or byte string that starts at `at`, if there is one.
pub(super) fn skip_prefixed(source: &str, at: usize) -> Result<Option<usize>, Diagnostic> {
    let rest = source[at..].trim_start_matches('b');
    if source.len() - at - rest.len() > 1 {
        return Ok(None);
    }
    let start = source.len() - rest.len();
    if start > at && rest.starts_with(['"', '\'']) {
        return skip_quoted(source, start).map(Some);
    }
    match raw_string(source, start)? {
        Some((_, end)) => Ok(Some(end)),
        None => Ok(None),
    }
}

/// The content and the end of the raw string `r#".."#` at `at`, if there is one.
pub(super) fn raw_string(source: &str, at: usize) -> Result<Option<(Span, usize)>, Diagnostic> {
    let Some(rest) = source[at..].strip_prefix('r') else { return Ok(None) };
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if !rest[hashes..].starts_with('"') {
        return Ok(None);
    }
    let start = at + 1 + hashes + 1;
    let end_mark = format!("\"{}", "#".repeat(hashes));
    match source[start..].find(&end_mark) {
        Some(len) => Ok(Some((Span::new(start, start + len), start + len + end_mark.len()))),
        None => Err(never_closed("text", at, start)),
    }
}

/// The text in quotes at `at`, with its escapes replaced, and the first byte behind it.
pub(super) fn string(source: &str, at: usize) -> Result<(Text, usize), Diagnostic> {
    let end = skip_quoted(source, at)?;
    let raw = &source[at + 1..end - 1];
    if !raw.contains('\\') {
        return Ok((Text::plain(raw, at + 1), end));
    }
    let mut value = String::new();
    let mut places = Vec::new();
    let mut pos = at + 1;
    while pos < end - 1 {
        let (c, next) = character(source, pos)?;
        places.resize(places.len() + c.len_utf8(), pos);
        value.push(c);
        pos = next;
    }
    places.push(end - 1);
    Ok((Text::escaped(value, at + 1, places), end))
}

/// One character of a string, and where the next one starts.
fn character(source: &str, at: usize) -> Result<(char, usize), Diagnostic> {
    let mut chars = source[at..].chars();
    let first = chars.next().unwrap_or('\0');
    if first != '\\' {
        return Ok((first, at + first.len_utf8()));
    }
    let kind = chars.next().unwrap_or('\0');
    let simple = |c| Ok((c, at + 2));
    match kind {
        '"' | '\'' | '\\' => simple(kind),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        '0' => simple('\0'),
        // Above 0x7f RON means bytes of UTF-8; that is too clever for names of maps.
        'x' => {
            let digits = source.get(at + 2..at + 4).filter(|digits| *digits < "80");
            code_point(source, at, digits, at + 4)
        }
        'u' => {
            let rest = source.get(at + 2..).unwrap_or("");
            let digits = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let digits = digits.map(|(digits, _)| digits);
            code_point(source, at, digits, at + 4 + digits.map_or(0, str::len))
        }
        _ => Err(bad_escape(at, at + 1 + kind.len_utf8())),
    }
}

fn code_point(
    source: &str,
    at: usize,
    digits: Option<&str>,
    next: usize,
) -> Result<(char, usize), Diagnostic> {
    let digits = digits.filter(|digits| digits.len() <= 6 && !digits.starts_with('+'));
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match code.and_then(char::from_u32) {
        Some(c) => Ok((c, next)),
        None => Err(bad_escape(at, (at + 2).min(source.len()))),
    }
}

fn bad_escape(start: usize, end: usize) -> Diagnostic {
    Diagnostic::error("E0101", Span::new(start, end), "unknown escape in a text")
        .label("not an escape")
        .help("escapes are \\\" \\\\ \\n \\r \\t \\0 \\x41 \\u{b5}")
}

fn never_closed(what: &str, start: usize, end: usize) -> Diagnostic {
    Diagnostic::error("E0101", Span::new(start, end), format!("this {what} is never closed"))
        .label("it starts here")
}

/// The word (identifier) at `at`, if there is one.
pub(super) fn word(source: &str, at: usize) -> Option<&str> {
    let rest = &source[at..];
    let first = rest.chars().next()?;
    if !(first.is_alphabetic() || first == '_') {
        return None;
    }
    let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    Some(&rest[..len])
}

/// The characters that belong to a number which starts at `at`.
pub(super) fn number(source: &str, at: usize) -> &str {
    let rest = &source[at..];
    let hex = rest.trim_start_matches(['+', '-']).starts_with("0x");
    let mut before = ' ';
    for (pos, c) in rest.char_indices() {
        let sign = matches!(c, '+' | '-') && (pos == 0 || (matches!(before, 'e' | 'E') && !hex));
        if !(sign || c.is_alphanumeric() || c == '_' || c == '.') {
            return &rest[..pos];
        }
        before = c;
    }
    rest
}

/// The value of an integer as RON writes it: `10_000`, `0x1f`, `-1`.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits),
    };
    if digits.starts_with(['_', '+', '-']) {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    i128::from_str_radix(&digits, radix).ok().map(|value| sign * value)
}
