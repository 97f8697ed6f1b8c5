//! A part of the message that a plugin's settings name in one string.

use crate::{Failure, Message, Selector, SetupError, Value};

/// What settings like `by = "header:Region"` or `by = "$.customer.id"` refer to: the first value of a header, or the
/// scalar at a JSONPath (RFC 9535).
#[derive(Debug)]
pub struct Field {
    text: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Header(String),
    Path(Selector),
}

impl Field {
    /// Compiles it.
    ///
    /// # Errors
    ///
    /// It is neither `header:NAME` nor a JSONPath: what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, SetupError> {
        let place = match text.strip_prefix("header:") {
            Some("") => return Err(SetupError::new("the header's name is missing; write `header:NAME`")),
            Some(name) => Place::Header(name.to_owned()),
            None if text.starts_with('$') => Place::Path(Selector::compile(&[text])?),
            None => {
                let wanted = "`header:NAME` or a JSONPath like `$.customer.id`";
                return Err(SetupError::new(format!("`{text}` is not a field; write {wanted}")));
            }
        };
        Ok(Self { text: text.to_owned(), place })
    }

    /// Its text, as the settings have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads it: a string as it is, a number as it is spelt, `true` or `false`. A header or member that is not there
    /// is `None`, and so is `null`.
    ///
    /// # Errors
    ///
    /// Rejects a payload that is not JSON, or that has an array, an object or more than one match there: a key that
    /// occurs twice could show one value here and another one further on.
    pub fn read(&self, message: &Message) -> Result<Option<String>, Failure> {
        let selector = match &self.place {
            Place::Header(name) => return Ok(message.header(name)),
            Place::Path(selector) => selector,
        };
        let mut matches = message.select(selector)?.into_iter();
        let Some(found) = matches.next() else {
            return Ok(None);
        };
        if matches.next().is_some() {
            return Err(Failure::reject(format!("`{}` occurs more than once", self.text)));
        }
        match found.value {
            Value::Null => Ok(None),
            Value::Json(_) => Err(Failure::reject(format!(
                "`{}` is an {}, where a string, a number or a boolean is needed",
                self.text,
                found.value.kind()
            ))),
            Value::Number(text) | Value::Text(text) => Ok(Some(text)),
            Value::Boolean(value) => Ok(Some(value.to_string())),
        }
    }
}
