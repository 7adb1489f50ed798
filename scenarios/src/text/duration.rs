//! Durations: `"10us"`, `"1ms 500us"`, `"5us..30us"`, `"20us + $offset"`.

use super::{Cursor, TextError};
use crate::limits::LENGTH_MAX_NS;
use crate::span::Span;

/// A length or range of lengths in nanoseconds, before it is known whether it may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ns {
    pub min: i128,
    pub max: i128,
}

/// Looks up the text of a parameter; `Err` carries the words for an unknown one.
pub(crate) type Lookup<'l> = dyn FnMut(&str) -> Result<String, Option<String>> + 'l;

/// Reads a duration. `params` gives the text of `$name`.
pub(crate) fn parse(text: &str, params: &mut Lookup<'_>) -> Result<Ns, TextError> {
    let mut cursor = Cursor::new(text);
    let first = sum(&mut cursor, params)?;
    let ns = if cursor.eat("..") {
        let second = sum(&mut cursor, params)?;
        if first.min != first.max || second.min != second.max {
            let what = "the ends of a range are single durations";
            return Err(TextError::new(Span::new(0, text.len()), what, "a range of ranges"));
        }
        if first.min > second.min {
            let what = "the range goes down: its first end is the longer one";
            return Err(TextError::new(Span::new(0, text.len()), what, "swap the two"));
        }
        Ns { min: first.min, max: second.min }
    } else {
        first
    };
    if cursor.at_end() {
        return Ok(ns);
    }
    let error = TextError::new(cursor.rest_span(), "this is no duration", "not understood");
    Err(match cursor.peek() {
        Some('-') => error.help("terms are joined by `+`; a term may be negative: \"20us + -8us\""),
        _ => error.help("a duration looks like \"10us\", \"1ms 500us\" or \"5us..30us\""),
    })
}

/// Whether a text begins with the name of a local instead of a duration, `t + 1ms` or only `t`: where the name is, and where
/// what is added to it begins.
pub(crate) fn after_a_name(text: &str) -> Option<(std::ops::Range<usize>, Option<usize>)> {
    let begin = text.len() - text.trim_start().len();
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = text[begin..].find(|c| !in_name(c)).unwrap_or(text.len() - begin);
    let name = begin..begin + length;
    text[name.clone()].chars().next().filter(|c| !c.is_ascii_digit())?;
    let rest = text[name.end..].trim_start();
    let added = rest.strip_prefix('+').or(rest.starts_with('-').then_some(rest));
    match added {
        Some(added) => Some((name, Some(text.len() - added.len()))),
        None => rest.is_empty().then_some((name, None)),
    }
}

/// Reads one length of time in nanoseconds, as a command line gives it: `1s`, `1ms 500us`.
///
/// # Errors
/// It is no duration, a range, not above 0, or longer than a run may be; in words.
pub fn length(text: &str) -> Result<u64, String> {
    let words = |error: TextError| match error.help {
        Some(help) => format!("{}; {help}", error.message),
        None => error.message,
    };
    let ns = parse(text, &mut |_| Err(None)).map_err(words)?;
    if ns.min != ns.max {
        return Err("one duration is wanted, not a range".to_string());
    }
    match u64::try_from(ns.min) {
        Ok(ns) if ns > LENGTH_MAX_NS => Err("longer than a year".to_string()),
        Ok(ns) if ns > 0 => Ok(ns),
        _ => Err("a duration above 0 is wanted".to_string()),
    }
}

/// Terms joined by `+` or by nothing.
fn sum(cursor: &mut Cursor<'_>, params: &mut Lookup<'_>) -> Result<Ns, TextError> {
    cursor.skip_space();
    let start = cursor.at;
    let mut total = term(cursor, params)?;
    loop {
        cursor.skip_space();
        let plus = cursor.eat("+");
        cursor.skip_space();
        if !plus && !cursor.peek().is_some_and(|c| c.is_ascii_digit() || c == '$') {
            return Ok(total);
        }
        let next = term(cursor, params)?;
        let sums = total.min.checked_add(next.min).zip(total.max.checked_add(next.max));
        let Some((min, max)) = sums else { return Err(too_long(cursor.since(start))) };
        total = Ns { min, max };
    }
}

fn term(cursor: &mut Cursor<'_>, params: &mut Lookup<'_>) -> Result<Ns, TextError> {
    let start = cursor.at;
    if cursor.eat("$") {
        return parameter(cursor, start, params);
    }
    let negative = cursor.eat("-");
    let whole = cursor.take_while(|c| c.is_ascii_digit() || c == '_');
    // Not a point of "5us..30us", which comes after a unit.
    let fraction = if !cursor.rest().starts_with("..") && cursor.eat(".") {
        cursor.take_while(|c| c.is_ascii_digit())
    } else {
        ""
    };
    if whole.is_empty() {
        let span = if cursor.at_end() { cursor.since(start) } else { cursor.here() };
        return Err(TextError::new(span, "a duration is missing here", "expected a number")
            .help("a duration looks like \"10us\", \"1ms 500us\" or \"5us..30us\""));
    }
    let number = cursor.since(start);
    cursor.skip_space();
    let (factor, digits) = unit(cursor, number)?;
    let span = cursor.since(start);
    let ns = scale(whole, fraction, factor, digits, span)?;
    let ns = if negative { -ns } else { ns };
    Ok(Ns { min: ns, max: ns })
}

fn parameter(
    cursor: &mut Cursor<'_>,
    start: usize,
    params: &mut Lookup<'_>,
) -> Result<Ns, TextError> {
    let Some(name) = cursor.identifier() else {
        let what = "a parameter is `$name`";
        return Err(TextError::new(cursor.since(start), what, "the name is missing"));
    };
    let span = cursor.since(start);
    let text = params(&name).map_err(|help| TextError {
        help,
        ..TextError::new(span, format!("parameter `{}` is not declared", name.node), "unknown")
    })?;
    // A parameter is a plain value: it names no others, so this ends.
    parse(&text, &mut |_| Err(Some("the value of a parameter cannot use another one".into())))
        .map_err(|error| {
            let value = crate::diag::quote(&text);
            let message = format!("`${}` is \"{value}\": {}", name.node, error.message);
            TextError { span, message, label: "used here".into(), help: error.help }
        })
}

/// Nanoseconds of the unit and the number of digits that its fraction may have.
fn unit(cursor: &mut Cursor<'_>, number: Span) -> Result<(i128, usize), TextError> {
    let start = cursor.at;
    let unit = cursor.take_while(char::is_alphabetic);
    match unit {
        "ns" => Ok((1, 0)),
        // Both characters that look like a mu; it is meant well.
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok((1_000, 3)),
        "ms" => Ok((1_000_000, 6)),
        "s" => Ok((1_000_000_000, 9)),
        "" => Err(TextError::new(number, "a duration has no unit", "no unit")
            .help("durations need a unit, write \"10us\"; units are ns, us, ms, s")),
        _ => {
            let message = format!("unknown unit `{}`", crate::diag::quote(unit));
            Err(TextError::new(cursor.since(start), message, "not a unit")
                .help("units are ns, us, ms, s"))
        }
    }
}

fn scale(
    whole: &str,
    fraction: &str,
    factor: i128,
    digits: usize,
    span: Span,
) -> Result<i128, TextError> {
    let whole: String = whole.chars().filter(|c| *c != '_').collect();
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > digits {
        let what = "a duration is a whole number of nanoseconds";
        return Err(TextError::new(span, what, "finer than a nanosecond"));
    }
    let part: i128 = format!("{fraction:0<digits$}").parse().unwrap_or(0);
    let total = whole.parse::<i128>().ok().and_then(|whole| whole.checked_mul(factor));
    let total = total.and_then(|total| total.checked_add(part));
    total.filter(|total| *total <= i128::from(u64::MAX)).ok_or_else(|| too_long(span))
}

fn too_long(span: Span) -> TextError {
    TextError::new(span, "the duration does not fit into 64 bits of nanoseconds", "too long")
        .help("the longest duration is 18446744073709551615ns, about 584 years")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(i128, i128), &str>) {
        let mut params = |name: &str| match name {
            "p" => Ok("5us..30us".to_string()),
            "neg" => Ok("-8us".to_string()),
            "bad" => Ok("soon".to_string()),
            _ => Err(None),
        };
        let got = parse(text, &mut params);
        match (&got, expected) {
            (Ok(ns), Ok(range)) => assert_eq!((ns.min, ns.max), range, "{text}"),
            (Err(error), Err(part)) => {
                assert!(error.message.contains(part), "{text}: {}", error.message);
                assert!(error.span.end <= text.len(), "{text}: {error:?}");
            }
            _ => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn lengths_of_a_command_line() {
        assert_eq!(length("1s"), Ok(1_000_000_000));
        assert_eq!(length("1ms 500us"), Ok(1_500_000));
        for (text, part) in [
            ("10", "no unit"),
            ("soon", "duration"),
            ("1us..2us", "not a range"),
            ("0s", "above 0"),
            ("-1s", "above 0"),
            ("40000000s", "longer than a year"),
            ("$p", "not declared"),
        ] {
            let error = length(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn good_ones() {
        check("10us", Ok((10_000, 10_000)));
        check("0ns", Ok((0, 0)));
        check("1.5ms", Ok((1_500_000, 1_500_000)));
        check("1ms 500us", Ok((1_500_000, 1_500_000)));
        check("1ms+500us", Ok((1_500_000, 1_500_000)));
        check("5us..30us", Ok((5_000, 30_000)));
        check(" 5us .. 1ms 30us ", Ok((5_000, 1_030_000)));
        check("10\u{b5}s", Ok((10_000, 10_000)));
        check("10 us", Ok((10_000, 10_000)));
        check("1_000ns", Ok((1_000, 1_000)));
        check("$p", Ok((5_000, 30_000)));
        check("20us + $neg", Ok((12_000, 12_000)));
        check("1us + $p", Ok((6_000, 31_000)));
        check("18446744073709551615ns", Ok((u64::MAX.into(), u64::MAX.into())));
    }

    #[test]
    fn bad_ones() {
        check("10", Err("no unit"));
        check("", Err("missing"));
        check("10m", Err("unknown unit"));
        check("10us - 5us", Err("no duration"));
        check("30us..5us", Err("goes down"));
        check("$p..30us", Err("single"));
        check("1.0001us", Err("whole number"));
        check("18446744073709551616ns", Err("64 bits"));
        check("99999999999999999999999999999999999999999999s", Err("64 bits"));
        check("$nope", Err("not declared"));
        check("$bad + 1us", Err("`$bad` is \"soon\""));
        check("$", Err("a parameter is"));
        check("10us xyz", Err("no duration"));
        check("..", Err("missing"));
    }
}
