//! A first look at a file: are brackets, strings and comments closed, and is the nesting sane?
//!
//! It runs before anything recursive, so that no input can exhaust the stack; and it knows both
//! ends of a bracket, which makes better messages than "unexpected end of file".

use super::lexer;
use crate::diag::Diagnostic;
use crate::limits::NESTING_MAX;
use crate::span::Span;

/// Refuses a file whose brackets, strings or comments do not match, or nest too deeply.
pub(super) fn check(source: &str) -> Result<(), Diagnostic> {
    let bytes = source.as_bytes();
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'/' if matches!(bytes.get(at + 1), Some(b'/' | b'*')) => {
                at = lexer::skip_comment(source, at)?;
                continue;
            }
            b'"' | b'\'' => {
                at = lexer::skip_quoted(source, at)?;
                continue;
            }
            b'r' | b'b' if !after_word(bytes, at) => {
                if let Some(end) = lexer::skip_prefixed(source, at)? {
                    at = end;
                    continue;
                }
            }
            b'(' | b'[' | b'{' => {
                open.push((byte, at));
                if open.len() > NESTING_MAX {
                    return Err(too_deep(at, open[0].1));
                }
            }
            b')' | b']' | b'}' => close(&mut open, byte, at)?,
            _ => {}
        }
        at += 1;
    }
    match open.last() {
        None => Ok(()),
        Some(&(byte, start)) => {
            let bracket = char::from(byte);
            let message = format!("this `{bracket}` is never closed");
            Err(Diagnostic::error("E0101", Span::new(start, start + 1), message)
                .label("opened here")
                .also(Span::new(bytes.len(), bytes.len()), "the file ends here")
                .help(format!("close it with `{}`", closer(byte))))
        }
    }
}

fn close(open: &mut Vec<(u8, usize)>, byte: u8, at: usize) -> Result<(), Diagnostic> {
    let here = Span::new(at, at + 1);
    let found = char::from(byte);
    match open.pop() {
        Some((opener, _)) if closer(opener) == found => Ok(()),
        Some((opener, start)) => {
            let opener_char = char::from(opener);
            let message = format!("`{found}` does not close `{opener_char}`");
            Err(Diagnostic::error("E0101", here, message)
                .label(format!("a `{}` is expected first", closer(opener)))
                .also(Span::new(start, start + 1), "opened here"))
        }
        None => Err(Diagnostic::error("E0101", here, format!("`{found}` closes nothing"))
            .label("no bracket is open here")),
    }
}

fn too_deep(at: usize, first: usize) -> Diagnostic {
    let message = format!("brackets are nested more than {NESTING_MAX} levels deep");
    Diagnostic::error("E0105", Span::new(at, at + 1), message)
        .label(format!("this is level {}", NESTING_MAX + 1))
        .also(Span::new(first, first + 1), "the first level")
        .help("use `repeat(n, [..])`, or generate several scenarios")
}

fn closer(opener: u8) -> char {
    match opener {
        b'(' => ')',
        b'[' => ']',
        _ => '}',
    }
}

fn after_word(bytes: &[u8], at: usize) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    at > 0 && part(bytes[at - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> Option<&'static str> {
        check(source).err().map(|diag| diag.code)
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        assert_eq!(code(r##"("(", r#"[""#, '(', /* [ /* ( */ */ 1) // {"##), None);
    }

    #[test]
    fn the_depth_is_exact() {
        let nest = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(code(&nest(NESTING_MAX)), None);
        assert_eq!(code(&nest(NESTING_MAX + 1)), Some("E0105"));
        assert_eq!(code(&"[".repeat(1_000_000)), Some("E0105"));
    }

    #[test]
    fn unmatched_brackets_show_both_ends() {
        let diag = check("( [ )").unwrap_err();
        assert_eq!((diag.primary.0, diag.secondary[0].0), (Span::new(4, 5), Span::new(2, 3)));
        assert_eq!(code(")"), Some("E0101"));
        assert_eq!(code("(\"abc"), Some("E0101"));
        assert_eq!(code("(/* abc"), Some("E0101"));
    }
}
