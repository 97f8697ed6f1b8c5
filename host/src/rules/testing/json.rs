//! JSON as tests compare it: no key twice, and numbers by their value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads JSON. A key that an object has twice is an error: which of the two counts, each reader decides differently, so
/// that a comparison of one would prove nothing.
///
/// # Errors
/// What is wrong with it, without any of its values.
pub fn read(payload: &[u8]) -> Result<Value, String> {
    serde_json::from_slice::<Strict>(payload).map(|strict| strict.0).map_err(|error| error.to_string())
}

/// Whether two values are the same: members in any order, numbers by their value.
#[must_use]
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (integer(left), integer(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left.as_f64() == right.as_f64(),
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(key, value): (&String, &Value)| right.get(key).is_some_and(|other| same(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}

fn integer(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// A value without a key that is there twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("an object has the same key twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_may_be_in_any_order_and_numbers_in_any_spelling() {
        let same = |left: &str, right: Value| same(&read(left.as_bytes()).expect("JSON"), &right);
        assert!(same(r#"{ "b": 1.0, "a": [1, 2e1] }"#, json!({ "a": [1, 20], "b": 1 })));
        assert!(!same("[1, 2]", json!([2, 1])));
        assert!(!same("9007199254740993", json!(9_007_199_254_740_992_u64)));
        assert!(!same(r#"{"a":1}"#, json!({ "a": 1, "b": 2 })));
        assert!(!same("null", json!(false)));
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error_in_any_spelling() {
        assert!(read(br#"{"card":1,"c\u0061rd":2}"#).is_err_and(|error| error.contains("the same key twice")));
        assert!(read(br#"[{"a":{"b":1,"b":1}}]"#).is_err());
        assert!(read(b"{} x").is_err());
    }
}
