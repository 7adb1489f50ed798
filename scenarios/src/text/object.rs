//! Object strings: `"m[7].timer"`, `"o[1][7]"`, `"p->word"`, `"m[7]+8"`.

use super::{Cursor, TextError};
use crate::ast::{Key, ObjBase, ObjExpr, PathSeg};
use crate::span::{Sp, Span};

/// Reads an object string, all of it.
pub(crate) fn parse(text: &str) -> Result<ObjExpr, TextError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    let object = prefix(&mut cursor)?;
    cursor.skip_space();
    if cursor.at_end() {
        return Ok(object);
    }
    Err(TextError::new(cursor.rest_span(), "this does not belong to an object", "not understood")
        .help(FORMS))
}

const FORMS: &str = "objects look like \"m[7]\", \"m[self]\", \"m[7].member\", \"p->member\"";

/// Reads an object at the start of what is left.
pub(crate) fn prefix(cursor: &mut Cursor<'_>) -> Result<ObjExpr, TextError> {
    let Some(name) = cursor.identifier() else {
        let span = if cursor.at_end() { cursor.rest_span() } else { cursor.here() };
        return Err(
            TextError::new(span, "the name of an object is missing", "expected a name").help(FORMS)
        );
    };
    let base = name.map(|name| match name.as_str() {
        "value" => ObjBase::Value,
        "key" => ObjBase::Key,
        _ => ObjBase::Name(name),
    });
    let mut object = ObjExpr { base, keys: Vec::new(), path: Vec::new(), byte: None };
    while let Some(key) = bracket(cursor)? {
        if object.keys.len() == 2 {
            return Err(TextError::new(key.span, "an object has at most two keys", "one too many"));
        }
        object.keys.push(key);
    }
    path(cursor, &mut object)?;
    let plus = cursor.at;
    if cursor.eat("+") {
        object.byte = Some(small(cursor, plus, "a byte offset")?);
    }
    Ok(object)
}

/// `[7]` or `[self]`, if a bracket is next.
fn bracket(cursor: &mut Cursor<'_>) -> Result<Option<Sp<Key>>, TextError> {
    let start = cursor.at;
    if !cursor.eat("[") {
        return Ok(None);
    }
    cursor.skip_space();
    let key = if cursor.eat("self") {
        Key::Itself
    } else {
        match cursor.integer() {
            Some(number) => Key::Int(number?.node),
            None => {
                let span = cursor.here();
                return Err(TextError::new(span, "a key is a number or `self`", "not a key"));
            }
        }
    };
    cursor.skip_space();
    if cursor.eat("]") {
        return Ok(Some(Sp::new(key, cursor.since(start))));
    }
    Err(TextError::new(cursor.here(), "a `]` is missing", "expected `]`"))
}

/// `->member` or `.member`, then `.member` and `[index]`.
fn path(cursor: &mut Cursor<'_>, object: &mut ObjExpr) -> Result<(), TextError> {
    let start = cursor.at;
    let arrow = cursor.eat("->");
    if !arrow && !cursor.eat(".") {
        return Ok(());
    }
    // An element is reached by its key, everything else through a pointer, as in C.
    if arrow != object.keys.is_empty() {
        let (wrong, right, what) = match arrow {
            true => ("->", ".", "an element"),
            false => (".", "->", "a pointer"),
        };
        let message = format!("members of {what} are reached by `{right}`");
        return Err(
            TextError::new(cursor.since(start), message, format!("not `{wrong}`")).help(FORMS)
        );
    }
    loop {
        let Some(member) = cursor.identifier() else {
            return Err(TextError::new(cursor.here(), "a member is missing", "expected a name"));
        };
        object.path.push(member.map(PathSeg::Member));
        let mut open = cursor.at;
        while cursor.eat("[") {
            let index = small(cursor, open, "an index")?;
            if !cursor.eat("]") {
                return Err(TextError::new(cursor.here(), "a `]` is missing", "expected `]`"));
            }
            object.path.push(Sp::new(PathSeg::Index(index.node), cursor.since(open)));
            open = cursor.at;
        }
        if !cursor.eat(".") {
            return Ok(());
        }
    }
}

/// A number that fits into a `u32`.
fn small(cursor: &mut Cursor<'_>, start: usize, what: &str) -> Result<Sp<u32>, TextError> {
    let number = cursor.integer().transpose()?;
    let span = if number.is_some() { cursor.since(start) } else { cursor.here() };
    let value = number.and_then(|number| u32::try_from(number.node).ok());
    match value {
        Some(value) => Ok(Sp::new(value, Span::new(span.start, span.end))),
        None => Err(TextError::new(span, format!("{what} is a number from 0"), "not one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let object = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(object.to_string(), text);
    }

    fn check_err(text: &str, start: usize, end: usize) {
        let error = parse(text).unwrap_err();
        assert_eq!((error.span.start, error.span.end), (start, end), "{text}: {error:?}");
    }

    #[test]
    fn good_ones() {
        for text in ["m", "m[7]", "o[1][7]", "m[self]", "value", "key", "v", "p->member"] {
            check(text);
        }
        for text in ["m[7].member", "m[7]+8", "m[-1]", "value->timer", "p->a.b[3].c", "m[7].a[0]"] {
            check(text);
        }
    }

    #[test]
    fn bad_ones() {
        check_err("", 0, 0);
        check_err("7", 0, 1);
        check_err("m[", 2, 2);
        check_err("m[x]", 2, 3);
        check_err("m[7", 3, 3);
        check_err("m[1][2][3]", 7, 10);
        check_err("m[7]->timer", 4, 6);
        check_err("value.timer", 5, 6);
        check_err("p->", 3, 3);
        check_err("m[7]+x", 5, 6);
        check_err("m[7] nonsense", 5, 13);
        check_err("m[99999999999999999999]", 2, 22);
    }
}
