//! The places that a selection found.

use std::borrow::Cow;
use std::ops::Range;

use crate::text;

/// One place of a payload that a path matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Index of the path in its selector.
    pub path: u32,
    /// Where the value is, in bytes of the payload.
    pub span: Range<usize>,
    /// Where the value's member begins: at the key if it has one, else at the value.
    pub(crate) outer_start: u32,
}

impl Match {
    /// The value as it is spelt in the payload that was selected from.
    ///
    /// With another payload the outcome is of no use, and empty where the span lies outside.
    #[must_use]
    pub fn raw<'p>(&self, payload: &'p [u8]) -> &'p [u8] {
        payload.get(self.span.clone()).unwrap_or_default()
    }

    /// The value, with strings unescaped.
    ///
    /// With another payload than the one that was selected from the outcome is of no use.
    #[must_use]
    pub fn value<'p>(&self, payload: &'p [u8]) -> Value<'p> {
        let raw = std::str::from_utf8(self.raw(payload)).unwrap_or_default();
        match raw.as_bytes() {
            [b'n', ..] => Value::Null,
            [b't', ..] => Value::Boolean(true),
            [b'f', ..] => Value::Boolean(false),
            [b'"', ..] => Value::Text(text::unescape(inside(raw))),
            [b'{' | b'[', ..] => Value::Json(raw),
            _ => Value::Number(raw),
        }
    }
}

/// A JSON string without its quotes.
pub(crate) fn inside(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
}

/// A JSON value, as the plugin contract has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'p> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number in its original spelling, so that no digit is lost.
    Number(&'p str),
    /// A string, unescaped.
    Text(Cow<'p, str>),
    /// An object or array, as JSON text.
    Json(&'p str),
}

/// What to put in a value's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number, put in as it is spelt. It must be a number of RFC 8259.
    Number(&'a str),
    /// A string, unescaped.
    Text(&'a str),
    /// Any JSON text, put in as it is spelt. It must be well-formed.
    Json(&'a str),
}

impl<'a> From<&'a Value<'_>> for Replacement<'a> {
    fn from(value: &'a Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Number(spelling) => Self::Number(spelling),
            Value::Text(text) => Self::Text(text),
            Value::Json(json) => Self::Json(json),
        }
    }
}
