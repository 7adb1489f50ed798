//! A place in a text that is being read, and what can go wrong there.

use crate::span::{Sp, Span};

/// A mistake in a text; places are bytes of that text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextError {
    pub span: Span,
    pub message: String,
    pub label: String,
    pub help: Option<String>,
}

impl TextError {
    pub fn new(span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        TextError { span, message: message.into(), label: label.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Reads a text from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'t> {
    text: &'t str,
    pub at: usize,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str) -> Self {
        Cursor { text, at: 0 }
    }

    pub fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `token` if it is next.
    pub fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes characters as long as they fit.
    pub fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let len = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// A C identifier, if one is next.
    pub fn identifier(&mut self) -> Option<Sp<String>> {
        let start = self.at;
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        Some(Sp::new(word.to_string(), Span::new(start, self.at)))
    }

    /// A decimal or `0x` integer with an optional minus, if a digit is next.
    pub fn integer(&mut self) -> Option<Result<Sp<i64>, TextError>> {
        let start = self.at;
        let mut probe = self.clone();
        let negative = probe.eat("-");
        if !probe.peek().is_some_and(|c| c.is_ascii_digit()) {
            return None;
        }
        let digits = probe.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        *self = probe;
        let span = Span::new(start, self.at);
        let plain: String = digits.chars().filter(|c| *c != '_').collect();
        let value = match plain.strip_prefix("0x") {
            Some(hex) => i128::from_str_radix(hex, 16),
            None => plain.parse::<i128>(),
        };
        let value = value.map(|value| if negative { -value } else { value });
        Some(match value.map(i64::try_from) {
            Ok(Ok(value)) => Ok(Sp::new(value, span)),
            Ok(Err(_)) => Err(TextError::new(span, "the number is too large", "above 64 bits")),
            Err(_) => Err(TextError::new(span, "this is no number", "not a number")),
        })
    }

    /// The place from `start` to here.
    pub fn since(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    /// The next character, or the end.
    pub fn here(&self) -> Span {
        Span::new(self.at, self.at + self.peek().map_or(0, char::len_utf8))
    }

    /// The rest of the text.
    pub fn rest_span(&self) -> Span {
        Span::new(self.at, self.text.len())
    }
}
