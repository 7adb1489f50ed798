//! Conditions: `"n < 9"`, `"p != NULL && (a == 1 || b == 1)"`.

use super::object;
use super::{Cursor, TextError};
use crate::ast::{CmpOp, Cond, Operand};
use crate::limits::NESTING_MAX;
use crate::span::{Sp, Span};

/// Reads a condition, all of it.
pub(crate) fn parse(text: &str) -> Result<Cond, TextError> {
    let mut cursor = Cursor::new(text);
    let cond = joined(&mut cursor, 0)?;
    if cursor.at_end() {
        return Ok(cond);
    }
    let span = cursor.rest_span();
    let rest = cursor.rest();
    let double = rest.starts_with("&&") || rest.starts_with("||");
    Err(match cursor.peek() {
        Some('&' | '|') if !double => TextError::new(span, "a lone `&` or `|`", "write it twice"),
        Some('&' | '|') => TextError::new(span, "`&&` and `||` are mixed", "the other one before")
            .help("use brackets: \"a == 1 && (b == 1 || c == 1)\""),
        Some(')') => TextError::new(span, "a `)` closes nothing", "no bracket is open"),
        _ => TextError::new(span, "this does not belong to a condition", "not understood")
            .help(FORMS),
    })
}

const FORMS: &str = "a condition looks like \"p != NULL\" or \"n < 9 && done == 0\"";

/// One or more conditions joined by the same word.
fn joined(cursor: &mut Cursor<'_>, depth: usize) -> Result<Cond, TextError> {
    let first = single(cursor, depth)?;
    let word = match cursor.peek() {
        Some('&') => "&&",
        Some('|') => "||",
        _ => return Ok(first),
    };
    let mut conds = vec![first];
    while cursor.eat(word) {
        conds.push(single(cursor, depth)?);
    }
    Ok(match conds.len() {
        1 => conds.swap_remove(0),
        _ if word == "&&" => Cond::All(conds),
        _ => Cond::Any(conds),
    })
}

/// A comparison, or a condition in brackets.
fn single(cursor: &mut Cursor<'_>, depth: usize) -> Result<Cond, TextError> {
    cursor.skip_space();
    let start = cursor.at;
    if cursor.eat("(") {
        if depth == NESTING_MAX {
            let message = format!("brackets are nested more than {NESTING_MAX} levels deep");
            return Err(TextError::new(cursor.since(start), message, "too deep"));
        }
        let cond = joined(cursor, depth + 1)?;
        if !cursor.eat(")") {
            return Err(
                TextError::new(cursor.here(), "a `)` is missing", "expected `)`").help(FORMS)
            );
        }
        cursor.skip_space();
        return Ok(cond);
    }
    let left = operand(cursor)?;
    let op = comparison(cursor)?;
    let right = operand(cursor)?;
    Ok(Cond::Cmp { left, op, right })
}

fn comparison(cursor: &mut Cursor<'_>) -> Result<CmpOp, TextError> {
    // Longer ones first.
    let ops = [CmpOp::Eq, CmpOp::Ne, CmpOp::Le, CmpOp::Ge, CmpOp::Lt, CmpOp::Gt];
    for op in ops {
        if cursor.eat(op.symbol()) {
            return Ok(op);
        }
    }
    let error = TextError::new(cursor.here(), "a comparison is missing", "expected `==`, `<`, ..");
    Err(match cursor.peek() {
        Some('=') => error.help("equality is `==`"),
        _ => error.help(FORMS),
    })
}

fn operand(cursor: &mut Cursor<'_>) -> Result<Sp<Operand>, TextError> {
    cursor.skip_space();
    let start = cursor.at;
    if let Some(number) = cursor.integer() {
        let number = number?.map(Operand::Int);
        cursor.skip_space();
        return Ok(number);
    }
    let object = object::prefix(cursor)?;
    let span: Span = cursor.since(start);
    cursor.skip_space();
    let null = object.is_bare() && object.base.text() == "NULL";
    Ok(Sp::new(if null { Operand::Null } else { Operand::Object(object) }, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, canonical: &str) {
        let cond = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(cond.to_string(), canonical);
        assert_eq!(parse(canonical).unwrap().to_string(), canonical);
    }

    fn check_err(text: &str, part: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error:?}");
        assert!(error.span.end <= text.len());
    }

    #[test]
    fn good_ones() {
        check("n<9", "n < 9");
        check("timers[7] == NULL", "timers[7] == NULL");
        check("a == 1&&b>=-2 && c != NULL", "a == 1 && b >= -2 && c != NULL");
        check("a==1 && (b==1||c==1)", "a == 1 && (b == 1 || c == 1)");
        check("((a == 1))", "a == 1");
        check("p->flag == 1", "p->flag == 1");
    }

    #[test]
    fn bad_ones() {
        check_err("a == 1 && b == 1 || c == 1", "mixed");
        check_err("a = 1", "comparison is missing");
        check_err("a", "comparison is missing");
        check_err("", "name of an object is missing");
        check_err("(a == 1", "`)` is missing");
        check_err("a == 1)", "closes nothing");
        check_err("a == 1 b", "does not belong");
        check_err("a == 1 &", "lone");
        check_err(&"(".repeat(100_000), "levels deep");
    }
}
