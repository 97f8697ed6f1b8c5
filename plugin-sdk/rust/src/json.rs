//! Payloads as whole JSON documents, for plugins that must look at all of one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::PayloadError;

/// Reads a JSON document (RFC 8259), and refuses one in which an object has the same key twice: which of the two
/// counts is up to each reader, so one reader could be shown another value than the next.
///
/// Integers beyond 64 bits are read as the nearest 64-bit float.
///
/// # Errors
///
/// What is wrong and where, without quoting the document; nesting beyond 128 levels and numbers beyond the range of
/// a 64-bit float are errors too.
pub fn parse(payload: &[u8]) -> Result<Value, PayloadError> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| match error.to_string() {
        text if text.starts_with(TWICE) => PayloadError::Ambiguous(text),
        text => PayloadError::NotJson(text),
    })
}

const TWICE: &str = "an object has the same key twice";

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(Strict)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key()? {
            let value = members.next_value_seed(Strict)?;
            match object.entry::<String>(key) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(_) => return Err(A::Error::custom(TWICE)),
            };
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_reads_as_serde_json_reads_it() {
        let text = r#"{"a":[1,-2,3.5,18446744073709551615,true,null,"\u00e9"],"b":{}}"#;
        assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused_however_it_is_spelt() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"x":{"key":1,"\u006bey":2}}]"#] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(
                error.starts_with("the payload is ambiguous: an object has the same key twice at line 1"),
                "{error}"
            );
        }
        assert_eq!(parse(br#"[{"a":1},{"a":1}]"#), Ok(json!([{"a": 1}, {"a": 1}])));
    }

    #[test]
    fn broken_and_extreme_documents_are_errors() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "{", "[1,]", "1 2", "nul", "1e400", r#""\ud800""#, deep.as_str(), "\u{feff}1"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
