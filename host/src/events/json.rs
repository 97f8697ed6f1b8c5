//! Events as JSON (the JSON Event Format of CloudEvents 1.0): one object that has attributes and data.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_json::value::RawValue;

use super::attribute::{checked, is_name, short};
use super::{Event, EventError};

/// Longest value of an attribute, in bytes.
const MAX_VALUE_BYTES: usize = 8 << 10;

/// The members of an object, each as it is written.
struct Members<'b>(Vec<(String, &'b RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                    if members.len() > 1000 {
                        return Err(de::Error::custom("too many members"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The elements of a list, each as it is written.
pub(crate) fn elements(body: &[u8]) -> Result<Vec<&RawValue>, EventError> {
    serde_json::from_slice(body).map_err(|_| EventError::NotAList)
}

impl Event {
    /// Takes an event of structured mode apart; data that is JSON stays byte for byte. `text` is a part of `body`.
    pub(crate) fn of_json(body: &Bytes, text: &[u8]) -> Result<Self, EventError> {
        let Members(members) = serde_json::from_slice(text).map_err(|_| EventError::NotAnObject)?;
        let (mut attributes, mut content_type) = (Vec::with_capacity(members.len()), None);
        let (mut data, mut encoded) = (None, None);
        let mut seen: Vec<String> = Vec::with_capacity(members.len());
        for (name, value) in members {
            if seen.contains(&name) {
                return Err(EventError::Twice(short(&name)));
            }
            match name.as_str() {
                // An attribute that is null is not there.
                _ if value.get() == "null" => {}
                "data" => data = Some(value),
                "data_base64" => encoded = Some(value),
                "datacontenttype" => content_type = Some(attribute(&name, value)?),
                _ if is_name(&name) => attributes.push((name.clone(), attribute(&name, value)?)),
                _ => return Err(EventError::Name(short(&name))),
            }
            seen.push(name);
        }
        let payload = match (data, encoded) {
            (Some(_), Some(_)) => return Err(EventError::DataTwice),
            (None, None) => Bytes::new(),
            (None, Some(encoded)) => {
                let text: String = serde_json::from_str(encoded.get()).map_err(|_| EventError::Base64)?;
                STANDARD.decode(text).map_err(|_| EventError::Base64)?.into()
            }
            // Without a media type data is JSON; with one that is not JSON, a text stands for itself.
            (Some(data), None) if content_type.as_deref().is_none_or(is_json) => {
                content_type.get_or_insert_with(|| "application/json".to_owned());
                body.slice_ref(data.get().as_bytes())
            }
            (Some(data), None) => match serde_json::from_str::<String>(data.get()) {
                Ok(text) => text.into(),
                Err(_) => body.slice_ref(data.get().as_bytes()),
            },
        };
        let event = Self { attributes, content_type, payload };
        event.complete()?;
        Ok(event)
    }

    /// The event as one object. A payload that is JSON stays byte for byte, any other goes as Base64.
    pub(super) fn json(&self) -> Vec<u8> {
        let mut body = vec![b'{'];
        for (name, value) in &self.attributes {
            member(&mut body, name, value);
        }
        if let Some(kind) = &self.content_type {
            member(&mut body, "datacontenttype", kind);
        }
        if self.is_json() {
            body.extend_from_slice(b"\"data\":");
            body.extend_from_slice(&self.payload);
        } else if !self.payload.is_empty() {
            body.extend_from_slice(format!("\"data_base64\":\"{}\"", STANDARD.encode(&self.payload)).as_bytes());
        } else {
            // The comma after the last attribute.
            body.pop();
        }
        body.push(b'}');
        body
    }

    /// Whether the payload can stand as the event's `data`. A `null` there would be none.
    fn is_json(&self) -> bool {
        self.content_type.as_deref().is_none_or(is_json)
            && self.payload.trim_ascii() != b"null"
            && trackside_json::validate(&self.payload, &trackside_json::Limits::default()).is_ok()
    }
}

/// An event as it is written, an object with members, with further attributes that it does not have.
pub(super) fn extended(text: &[u8], event: &Event, extensions: &[(&str, String)]) -> Vec<u8> {
    let text = text.trim_ascii();
    let mut body = text[..text.len() - 1].to_vec();
    for (name, value) in extensions.iter().filter(|(name, _)| event.lacks(name)) {
        body.push(b',');
        member(&mut body, name, value);
        body.pop();
    }
    body.push(b'}');
    body
}

/// A `Value` prints as JSON, quotes and escapes included.
fn member(body: &mut Vec<u8>, name: &str, value: &str) {
    body.extend_from_slice(format!("{}:{},", Value::from(name), Value::from(value)).as_bytes());
}

fn attribute(name: &str, value: &RawValue) -> Result<String, EventError> {
    let text = match serde_json::from_str(value.get()) {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Bool(boolean)) => Some(boolean.to_string()),
        Ok(Value::Number(number)) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    let text = text.filter(|text| text.len() <= MAX_VALUE_BYTES);
    checked(name, text.ok_or_else(|| EventError::Value(short(name)))?)
}

/// `application/json` and everything `+json`, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let kind = super::media_type(content_type);
    kind.ends_with("/json") || kind.ends_with("+json")
}
