//! `order-by`: what a rule keeps in order by.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use trackside_json::{Limits, Selector, Value};

use super::template::{self, TemplateError};
use crate::message::Message;

/// The part of a message that is its key: messages of one key are handled strictly one after another.
#[derive(Debug, Clone)]
pub enum OrderBy {
    /// A token of the subject, counted from 1.
    Subject(usize),
    /// The first value of a header.
    Header(String),
    /// What a singular JSONPath matches in the payload.
    Json(Arc<Selector>),
}

/// Why a text does not say what to keep in order by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderByError {
    /// It is none of the three forms.
    #[error(
        "write \"subject.2\" for a token, \"header:Key\" for a header or \"$.customer.id\" for a value of the payload"
    )]
    Unknown,
    /// It has one of the forms, and something is wrong within.
    #[error(transparent)]
    Part(#[from] TemplateError),
}

impl OrderBy {
    /// Reads `subject.2`, `header:Key` or a singular JSONPath.
    ///
    /// # Errors
    /// When it is none of them, or the path may match more than one value.
    pub fn parse(text: &str) -> Result<Self, OrderByError> {
        if let Some(name) = text.strip_prefix("header:") {
            return Ok(Self::Header(template::header_name(name)?));
        }
        if let Some(position) = text.strip_prefix("subject.") {
            return Ok(Self::Subject(template::position(position)?));
        }
        if text.starts_with('$') {
            return Ok(Self::Json(Arc::new(template::singular(text)?)));
        }
        Err(OrderByError::Unknown)
    }

    /// The message's key, as a hash: two keys of one hash share a lane, which costs time and no order. Messages
    /// without a key, those that are not JSON among them, are one key together.
    #[must_use]
    pub fn key(&self, message: &Message, limits: &Limits) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Subject(position) => message.subject.token(*position).hash(&mut hasher),
            Self::Header(name) => message.headers.get(name).hash(&mut hasher),
            Self::Json(selector) => {
                let found = selector.select(&message.payload, limits).unwrap_or_default();
                // A key that is in the payload twice: both, so that no producer can choose a lane that others see
                // differently.
                for found in found {
                    match found.value(&message.payload) {
                        Value::Text(text) => text.hash(&mut hasher),
                        Value::Number(text) | Value::Json(text) => text.hash(&mut hasher),
                        Value::Boolean(boolean) => boolean.hash(&mut hasher),
                        Value::Null => 0_u8.hash(&mut hasher),
                    }
                }
            }
        }
        hasher.finish()
    }

    /// The position of the subject's token that it asks for.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        if let Self::Subject(position) = self { Some(*position) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Subject;

    fn message(subject: &str, header: &str, payload: &str) -> Message {
        let mut message = Message {
            subject: Subject::new(subject).unwrap(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            ..Message::default()
        };
        message.headers.push("Key", header);
        message
    }

    #[test]
    fn the_same_key_gives_the_same_lane_however_it_is_written() {
        let limits = Limits::default();
        for (by, one, same, other) in [
            ("subject.2", message("a.b.c", "", ""), message("x.b", "1", "{}"), message("a.c.b", "", "")),
            ("header:key", message("a", "k", ""), message("b", "k", "{}"), message("a", "j", "")),
            (
                "$.id",
                message("a", "", r#"{"id": "a7"}"#),
                message("b", "", r#"{"x": 1, "\u0069d": "\u00617"}"#),
                message("a", "", r#"{"id": "a8"}"#),
            ),
            ("$.id", message("a", "", "{}"), message("b", "", "not json"), message("a", "", r#"{"id": 1}"#)),
        ] {
            let by = OrderBy::parse(by).unwrap();
            assert_eq!(by.key(&one, &limits), by.key(&same, &limits), "{by:?}");
            assert_ne!(by.key(&one, &limits), by.key(&other, &limits), "{by:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "id", "subject.0", "subject.", "header:", "header:a b", "$.a[*]", "$..a", "$.", "key"] {
            assert!(OrderBy::parse(text).is_err(), "{text}");
        }
    }
}
