//! The tree of a RON file: values with their places.

use super::{Written, lexer};
use crate::diag::{Diagnostic, quote};
use crate::limits::NESTING_MAX;
use crate::span::{Sp, Span};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub span: Span,
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Text(Text),
    Int(i128),
    /// A number with a fraction or exponent, as written.
    Float,
    Char,
    Bool(bool),
    /// A word without parentheses: `all`, `NULL`.
    Name(String),
    /// `name(..)`, or `(..)` without a name.
    Call {
        name: Option<Sp<String>>,
        args: Args,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// What stands between parentheses; nothing is positional.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Args {
    Positional(Vec<Node>),
    Named(Vec<(Sp<String>, Node)>),
}

impl Node {
    /// Moves all places behind a text of so many bytes.
    pub fn shift(&mut self, by: usize) {
        self.span = self.span.shifted(by);
        match &mut self.kind {
            Kind::Text(text) => text.shift(by),
            Kind::Call { name, args } => {
                if let Some(name) = name {
                    name.span = name.span.shifted(by);
                }
                match args {
                    Args::Positional(items) => items.iter_mut().for_each(|item| item.shift(by)),
                    Args::Named(named) => {
                        for (key, value) in named {
                            key.span = key.span.shifted(by);
                            value.shift(by);
                        }
                    }
                }
            }
            Kind::List(items) => items.iter_mut().for_each(|item| item.shift(by)),
            Kind::Map(entries) => {
                for (key, value) in entries {
                    key.shift(by);
                    value.shift(by);
                }
            }
            Kind::Int(_) | Kind::Float | Kind::Char | Kind::Bool(_) | Kind::Name(_) => {}
        }
    }

    /// What it is, for messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Text(_) => "a text".into(),
            Kind::Int(_) => "a number".into(),
            Kind::Float => "a number with a fraction".into(),
            Kind::Char => "a character".into(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Name(name) => format!("the word `{}`", quote(name)),
            Kind::Call { name: Some(name), .. } => format!("`{}(..)`", quote(name)),
            Kind::Call { name: None, args: Args::Named(_) } => "a struct `(field: ..)`".into(),
            Kind::Call { name: None, .. } => "a tuple `(..)`".into(),
            Kind::List(_) => "a list `[..]`".into(),
            Kind::Map(_) => "a map `{..}`".into(),
        }
    }
}

/// A text of the file, which knows where each of its bytes stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text {
    pub value: String,
    start: usize,
    /// For a text with escapes: the place of each byte of `value`, and of its end.
    places: Option<Vec<usize>>,
}

impl Text {
    pub fn plain(value: &str, start: usize) -> Self {
        Text { value: value.to_string(), start, places: None }
    }

    pub fn escaped(value: String, start: usize, places: Vec<usize>) -> Self {
        Text { value, start, places: Some(places) }
    }

    fn shift(&mut self, by: usize) {
        self.start += by;
        self.places.iter_mut().flatten().for_each(|place| *place += by);
    }

    /// Where the bytes `start..end` of the text stand in the file.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let place = |at: usize| match &self.places {
            None => self.start + at,
            Some(places) => places.get(at).or(places.last()).copied().unwrap_or(self.start),
        };
        Span::new(place(start), place(end))
    }
}

/// Reads one value, which must be all there is.
pub(super) fn parse(source: &str, written: &Written) -> Result<Node, Diagnostic> {
    let mut parser = Parser { source, at: 0, depth: 0, written };
    parser.skip()?;
    parser.attributes()?;
    if parser.at == source.len() {
        let end = Span::new(source.len(), source.len());
        return Err(Diagnostic::error("E0101", end, "the file is empty")
            .label("a scenario is expected")
            .help(
                "a scenario starts with `Scenario(schema: 1, name: \"..\", machine: (cpus: 2), ..`",
            ));
    }
    let node = parser.value()?;
    parser.skip()?;
    if parser.at < source.len() {
        return Err(Diagnostic::error(
            "E0101",
            parser.here(),
            "text after the end of the scenario",
        )
        .label("nothing may follow")
        .also(last_character(source, node.span.end), "it ended here"));
    }
    Ok(node)
}

/// The character that ends at a byte of the file.
fn last_character(source: &str, end: usize) -> Span {
    let len = source[..end].chars().next_back().map_or(0, char::len_utf8);
    Span::new(end - len, end)
}

/// Nesting is bounded by the look at the brackets, so that the recursion here is too.
struct Parser<'s> {
    source: &'s str,
    at: usize,
    depth: usize,
    written: &'s Written,
}

impl<'s> Parser<'s> {
    fn skip(&mut self) -> Result<(), Diagnostic> {
        self.at = lexer::skip_space(self.source, self.at)?;
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    /// The character that is next.
    fn here(&self) -> Span {
        Span::new(self.at, self.at + self.peek().map_or(0, char::len_utf8))
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// `#![enable(..)]`: extensions of RON; none of them changes how a scenario is read here.
    fn attributes(&mut self) -> Result<(), Diagnostic> {
        while self.source[self.at..].starts_with("#!") {
            let Some(len) = self.source[self.at..].find(']') else {
                return Err(Diagnostic::error("E0101", self.here(), "unfinished attribute")
                    .label("no `]` follows"));
            };
            self.at += len + 1;
            self.skip()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Node, Diagnostic> {
        let start = self.at;
        // The look at the brackets has seen to it; this is the seat belt.
        if self.depth > NESTING_MAX {
            return Err(Diagnostic::error("E0105", self.here(), "brackets are nested too deeply"));
        }
        self.depth += 1;
        let kind = match self.peek() {
            None => return Err(self.unexpected("a value is missing at the end of the file")),
            Some('"') => {
                let (text, end) = lexer::string(self.source, start)?;
                self.at = end;
                Kind::Text(text)
            }
            Some('\'') => {
                self.at = lexer::skip_quoted(self.source, start)?;
                Kind::Char
            }
            Some('[') => self.list()?,
            Some('{') => self.map()?,
            Some('(') => Kind::Call { name: None, args: self.args(None)? },
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number()?,
            Some(_) => self.word()?,
        };
        self.depth -= 1;
        Ok(Node { span: Span::new(start, self.at), kind })
    }

    fn unexpected(&self, message: &str) -> Diagnostic {
        Diagnostic::error("E0101", self.here(), message).label("unexpected")
    }

    fn word(&mut self) -> Result<Kind, Diagnostic> {
        if let Some((content, end)) = lexer::raw_string(self.source, self.at)? {
            self.at = end;
            return Ok(Kind::Text(Text::plain(&self.source[content.range()], content.start)));
        }
        let Some(word) = lexer::word(self.source, self.at) else {
            let found = quote(self.peek().map(String::from).unwrap_or_default().as_str());
            let message = match self.peek() {
                Some('\u{feff}') => "the file starts with a byte order mark".to_string(),
                _ => format!("a value cannot start with `{found}`"),
            };
            return Err(self.unexpected(&message).maybe_help(match self.peek() {
                Some('\u{feff}') => Some("save it as UTF-8 without one".into()),
                Some('$') => Some("parameters stand in quotes: \"$name\"".into()),
                _ => None,
            }));
        };
        let span = Span::new(self.at, self.at + word.len());
        self.at = span.end;
        match word {
            "true" => return Ok(Kind::Bool(true)),
            "false" => return Ok(Kind::Bool(false)),
            _ => {}
        }
        if word == "b" && matches!(self.peek(), Some('"' | '\'')) {
            return Err(Diagnostic::error("E0101", span, "byte strings have no meaning here")
                .label("leave out the `b`"));
        }
        let end = self.at;
        self.skip()?;
        if self.peek() == Some('(') {
            return Ok(Kind::Call {
                name: Some(Sp::new(word.to_string(), span)),
                args: self.args(Some(word))?,
            });
        }
        self.at = end;
        Ok(Kind::Name(word.to_string()))
    }

    fn number(&mut self) -> Result<Kind, Diagnostic> {
        let text = lexer::number(self.source, self.at);
        let span = Span::new(self.at, self.at + text.len());
        self.at = span.end;
        if let Some(value) = lexer::integer(text) {
            return Ok(Kind::Int(value));
        }
        let body = text.trim_start_matches(['+', '-']);
        if body.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok()
        {
            return Ok(Kind::Float);
        }
        let shown = quote(text);
        let unit = ["ns", "us", "ms", "s", "\u{b5}s"].iter().any(|unit| text.ends_with(unit));
        if unit && body.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Diagnostic::error("E0111", span, "durations stand in quotes")
                .label("not a number")
                .help(format!("write \"{shown}\"")));
        }
        let diag = Diagnostic::error("E0101", span, format!("`{shown}` is no number"));
        if body.starts_with(|c: char| c.is_alphabetic()) {
            return Err(diag
                .label("a word after a sign")
                .help(format!("errno names are written without minus: {}", quote(body))));
        }
        Err(diag.label("not a number"))
    }

    fn list(&mut self) -> Result<Kind, Diagnostic> {
        let open = self.here();
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.eat(']') {
                return Ok(Kind::List(items));
            }
            items.push(self.value()?);
            self.separator(']', open)?;
        }
    }

    fn map(&mut self) -> Result<Kind, Diagnostic> {
        let open = self.here();
        self.at += 1;
        let mut entries = Vec::new();
        loop {
            self.skip()?;
            if self.eat('}') {
                return Ok(Kind::Map(entries));
            }
            let key = self.value()?;
            self.skip()?;
            if !self.eat(':') {
                return Err(self
                    .unexpected("a `:` is missing between a key and its value")
                    .also(key.span, "the key"));
            }
            self.skip()?;
            entries.push((key, self.value()?));
            self.separator('}', open)?;
        }
    }

    /// A comma, or nothing before the closing bracket.
    fn separator(&mut self, close: char, open: Span) -> Result<(), Diagnostic> {
        let end = self.at;
        self.skip()?;
        if self.eat(',') || self.peek() == Some(close) {
            return Ok(());
        }
        let message = format!("a `,` or `{close}` is missing");
        Err(Diagnostic::error("E0101", Span::new(end, end), message)
            .label("after this")
            .also(open, "the list that it belongs to"))
    }

    /// What stands in parentheses: those behind a word, or of a struct.
    fn args(&mut self, of: Option<&str>) -> Result<Args, Diagnostic> {
        let open = self.here();
        self.at += 1;
        let mut positional = Vec::new();
        let mut named: Vec<(Sp<String>, Node)> = Vec::new();
        loop {
            self.skip()?;
            if self.eat(')') {
                break;
            }
            let start = self.at;
            match self.field_name()? {
                Some(name) => named.push((name, self.value()?)),
                None => positional.push(self.value()?),
            }
            if !named.is_empty() && !positional.is_empty() {
                let message = "arguments are all named or all without names";
                let example = of.and_then(self.written).map(|form| format!("write `{form}`"));
                return Err(Diagnostic::error("E0101", Span::new(start, self.at), message)
                    .label("differs from those before it")
                    .also(open, "in these parentheses")
                    .maybe_help(example));
            }
            self.separator(')', open)?;
        }
        if named.is_empty() { Ok(Args::Positional(positional)) } else { Ok(Args::Named(named)) }
    }

    /// `name:` before a value, if it is there.
    fn field_name(&mut self) -> Result<Option<Sp<String>>, Diagnostic> {
        let start = self.at;
        let Some(word) = lexer::word(self.source, start) else { return Ok(None) };
        self.at += word.len();
        let span = Span::new(start, self.at);
        self.skip()?;
        if !self.eat(':') {
            self.at = start;
            return Ok(None);
        }
        self.skip()?;
        Ok(Some(Sp::new(word.to_string(), span)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Node, Diagnostic> {
        super::parse(source, &|_| None)
    }

    #[test]
    fn places_of_escaped_texts_are_exact() {
        let node = parse(r#" "a\n\u{b5}b" "#).unwrap();
        let Kind::Text(text) = &node.kind else { panic!("{node:?}") };
        assert_eq!(text.value, "a\n\u{b5}b");
        assert_eq!(text.span(4, 5), Span::new(11, 12));
        assert_eq!(text.span(2, 4), Span::new(5, 11));
    }

    #[test]
    fn numbers() {
        let kind = |source: &str| parse(source).map(|node| node.kind).map_err(|diag| diag.code);
        assert_eq!(kind("10_000"), Ok(Kind::Int(10_000)));
        assert_eq!(kind("-0x1F"), Ok(Kind::Int(-31)));
        assert_eq!(kind("1.5e-3"), Ok(Kind::Float));
        assert_eq!(kind("10us"), Err("E0111"));
        assert_eq!(kind("-EBUSY"), Err("E0101"));
        assert_eq!(kind("1__x"), Err("E0101"));
    }

    #[test]
    fn forms_of_calls_are_kept_apart() {
        let source = "[f, f(), f(1), f(a: 1), (1), (a: 1), all]";
        let Kind::List(items) = parse(source).unwrap().kind else { panic!() };
        let shown: Vec<String> = items.iter().map(Node::describe).collect();
        assert_eq!(shown[0], "the word `f`");
        assert_eq!(shown[1], "`f(..)`");
        assert_eq!(shown[5], "a struct `(field: ..)`");
        assert_eq!(items[3].span.range(), 15..22);
    }
}
