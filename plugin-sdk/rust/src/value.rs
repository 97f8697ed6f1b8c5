//! The values that cross between a plugin and its host.

use std::borrow::Cow;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number in its original spelling, so that no digit is lost.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// An object or array, as JSON text.
    Json(String),
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The string that it is, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a person would read: a string as it is, everything else as JSON text.
    #[must_use]
    pub fn spelling(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed("null"),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Number(text) | Self::Text(text) | Self::Json(text) => Cow::Borrowed(text),
        }
    }

    /// Its type by the name that JSON Schema gives it, for messages that must not show the value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Json(text) if text.starts_with('[') => "array",
            Self::Json(_) => "object",
        }
    }
}

/// One place that a selector matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index, in the list given to [`Selector::compile`](crate::Selector::compile), of the path that matched here.
    pub path: usize,
    /// What is there.
    pub value: Value,
}

/// A header. A name may repeat; its values keep their order (NATS ADR-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, as sent.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Header {
    /// A header of this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A JetStream stream, read by a durable consumer.
    JetStream,
    /// A core NATS subscription.
    Core,
    /// The sidecar's HTTP.
    Sidecar,
    /// `trackside try` and other dry runs.
    Trial,
}
