//! A table of settings, read key by key.
//!
//! Which keys an entry may have depends on its action, and no error may quote a value, since any value may be a secret
//! that the host has put in.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use trackside_plugin::SetupError;

use crate::actions::Secret;

/// A table, of which every key is to be asked for.
pub(super) struct Table {
    /// The keys that nobody asked for yet.
    left: Map<String, Value>,
    asked: Vec<&'static str>,
    given: Vec<&'static str>,
    /// The first value that was of another type than asked for.
    wrong: Option<SetupError>,
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(left) => Ok(Self { left, asked: Vec::new(), given: Vec::new(), wrong: None }),
            _ => Err(serde::de::Error::custom("must be a table, such as { path = \"$.card\", action = \"redact\" }")),
        }
    }
}

impl Table {
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.take(key, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.take(key, "true or false", |value| value.as_bool()).unwrap_or(false)
    }

    pub(super) fn count(&mut self, key: &'static str) -> Option<usize> {
        self.take(key, "a whole number", |value| value.as_u64().and_then(|count| usize::try_from(count).ok()))
    }

    pub(super) fn number(&mut self, key: &'static str) -> Option<Number> {
        self.take(key, "a number", |value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        })
    }

    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        self.take(key, "a string, such as \"env:MASK_KEY\"", secret)
    }

    pub(super) fn secrets(&mut self, key: &'static str) -> Option<Vec<(String, Secret)>> {
        self.take(key, "a table of key ids and keys, such as { k1 = \"env:MASK_KEY\" }", |value| match value {
            Value::Object(map) => map.into_iter().map(|(id, value)| Some((id, secret(value)?))).collect(),
            _ => None,
        })
    }

    /// What came of reading the table, or the fault behind it: a value of the wrong type, or a key that nobody asked
    /// for and that may be why another one is missing.
    pub(super) fn settle<T>(self, read: Result<T, SetupError>) -> Result<T, SetupError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let judged = |error: &SetupError| self.given.contains(&error.key());
        match (read, self.left.keys().next()) {
            (Err(error), _) if judged(&error) => Err(error),
            (_, Some(key)) => {
                let asked = self.asked.join(", ");
                Err(SetupError::new(format!("there is no such key here; there are: {asked}")).at(key))
            }
            (read, None) => read,
        }
    }

    /// The value, unless there is none or it is of the wrong type, which [`settle`](Self::settle) tells.
    fn take<T>(&mut self, key: &'static str, expected: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        self.asked.push(key);
        let value = self.left.remove(key)?;
        self.given.push(key);
        let read = read(value);
        if read.is_none() && self.wrong.is_none() {
            self.wrong = Some(SetupError::new(format!("must be {expected}")).at(key));
        }
        read
    }
}

fn secret(value: Value) -> Option<Secret> {
    match value {
        Value::String(text) => Some(Secret::new(text)),
        _ => None,
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.left.keys()).finish()
    }
}
