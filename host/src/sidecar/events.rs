//! CloudEvents 1.0 that come in. In binary mode attributes are `ce-` headers in HTTP and in NATS alike, so nothing but what
//! has to be there is checked. Structured and batched events are taken apart into that mode, so that rules see the data
//! itself; data that is JSON stays byte for byte.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::message::Headers;

use super::call::EVENT_PREFIX;

/// The media type of one event.
pub(super) const STRUCTURED: &str = "application/cloudevents+json";

/// The media type of a list of events.
pub(super) const BATCHED: &str = "application/cloudevents-batch+json";

/// What every event has.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// Longest value of an attribute, in bytes.
const MAX_VALUE_BYTES: usize = 8 << 10;

/// An event as a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its attributes as headers.
    pub(super) headers: Headers,
    /// Its data.
    pub(super) payload: Bytes,
}

/// Why something is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EventError {
    #[error("this is not a CloudEvent: it is no object of JSON")]
    NotAnObject,
    #[error("this is not a list of CloudEvents in JSON")]
    NotAList,
    #[error("this is not a CloudEvent: it has no `{0}`")]
    Missing(&'static str),
    #[error("this CloudEvent is not of version 1.0")]
    Version,
    #[error("`{0}` cannot be the name of an attribute of a CloudEvent: names have lower-case letters and digits")]
    Name(String),
    #[error("the attribute `{0}` is there twice")]
    Twice(String),
    #[error("the attribute `{0}` is neither text, a whole number, true nor false, or too long")]
    Value(String),
    #[error("`data` and `data_base64` are both there")]
    DataTwice,
    #[error("`data_base64` is not Base64")]
    Base64,
}

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
pub(super) fn elements(body: &[u8]) -> Result<Vec<&RawValue>, EventError> {
    serde_json::from_slice(body).map_err(|_| EventError::NotAList)
}

/// Takes an event of structured mode apart. `text` is a part of `body`.
pub(super) fn structured(body: &Bytes, text: &[u8]) -> Result<Event, EventError> {
    let Members(members) = serde_json::from_slice(text).map_err(|_| EventError::NotAnObject)?;
    let mut headers = Headers::default();
    let (mut data, mut encoded, mut content_type) = (None, None, None);
    let mut seen: Vec<String> = Vec::with_capacity(members.len());
    for (name, value) in members {
        if seen.contains(&name) {
            return Err(EventError::Twice(short(&name)));
        }
        match name.as_str() {
            _ if value.get() == "null" => {}
            "data" => data = Some(value),
            "data_base64" => encoded = Some(value),
            "datacontenttype" => content_type = Some(attribute(&name, value)?),
            _ if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) => {
                headers.push(format!("{EVENT_PREFIX}{name}"), encode(&attribute(&name, value)?));
            }
            _ => return Err(EventError::Name(short(&name))),
        }
        seen.push(name);
    }
    check(&headers)?;
    if let Some(kind) = &content_type {
        headers.push("Content-Type", kind.as_str());
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
            if content_type.is_none() {
                headers.push("Content-Type", "application/json");
            }
            body.slice_ref(data.get().as_bytes())
        }
        (Some(data), None) => match serde_json::from_str::<String>(data.get()) {
            Ok(text) => text.into(),
            Err(_) => body.slice_ref(data.get().as_bytes()),
        },
    };
    Ok(Event { headers, payload })
}

/// Whether these are the headers of an event of binary mode; whether it has what every event has.
pub(super) fn binary(headers: &Headers) -> Result<bool, EventError> {
    let event = headers.iter().any(|header| header.name.starts_with(EVENT_PREFIX));
    if event {
        check(headers)?;
    }
    Ok(event)
}

/// What tells an event from all others: the same source never gives an id to two.
pub(super) fn key(headers: &Headers) -> Option<String> {
    let get = |name: &str| headers.get(&format!("{EVENT_PREFIX}{name}"));
    let (source, id) = (get("source")?, get("id")?);
    let mut hasher = Sha256::new();
    hasher.update((source.len() as u64).to_le_bytes());
    hasher.update(source);
    hasher.update(id);
    Some(format!("ce-{}", hex::encode(&hasher.finalize()[..16])))
}

/// Has the message go on in the trace that its event tells of (the Distributed Tracing extension), if its call is in none.
pub(super) fn traced(headers: &mut Headers) {
    let attribute = |name: &str| headers.get(&format!("{EVENT_PREFIX}{name}")).map(str::to_owned);
    let (parent, state) = (attribute("traceparent"), attribute("tracestate"));
    let Some(parent) = parent.filter(|_| headers.get("traceparent").is_none()) else { return };
    // Without a parent of its own, it told of nothing.
    headers.retain(|header| !header.name.eq_ignore_ascii_case("tracestate"));
    headers.push("traceparent", parent);
    // One that is percent-encoded is no `tracestate` as it stands, and a parent does without it.
    if let Some(state) = state.filter(|state| !state.contains('%')) {
        headers.push("tracestate", state);
    }
}

fn check(headers: &Headers) -> Result<(), EventError> {
    for name in REQUIRED {
        let mut values = headers.iter().filter(|header| header.name.strip_prefix(EVENT_PREFIX) == Some(name));
        let value = values.next().filter(|header| !header.value.is_empty()).ok_or(EventError::Missing(name))?;
        if values.next().is_some() {
            return Err(EventError::Twice(name.to_owned()));
        }
        if name == "specversion" && value.value != "1.0" {
            return Err(EventError::Version);
        }
    }
    Ok(())
}

fn attribute(name: &str, value: &RawValue) -> Result<String, EventError> {
    let text = match serde_json::from_str(value.get()) {
        Ok(serde_json::Value::String(text)) => Some(text),
        Ok(serde_json::Value::Bool(boolean)) => Some(boolean.to_string()),
        Ok(serde_json::Value::Number(number)) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    let text = text.filter(|text| text.len() <= MAX_VALUE_BYTES && !text.chars().any(char::is_control));
    text.ok_or_else(|| EventError::Value(short(name)))
}

/// An attribute's value as a header has it (HTTP binding, 3.1.3.2; the NATS binding has the same).
fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

fn short(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Result<Event, EventError> {
        let body = Bytes::from(text.to_owned());
        structured(&body, &body)
    }

    const HEAD: &str = r#""specversion":"1.0","id":"a \"1\"","source":"/shop","type":"order.created""#;

    #[test]
    fn attributes_become_headers_and_json_data_stays_byte_for_byte() {
        let event =
            event(&format!(r#"{{{HEAD},"tenant":"é","attempt":3,"urgent":true,"data": {{"n": 1.50}} }}"#)).unwrap();
        let headers: Vec<_> = event.headers.iter().map(|header| (&*header.name, header.value.as_str())).collect();
        assert_eq!(
            headers,
            [
                ("ce-specversion", "1.0"),
                ("ce-id", "a%20%221%22"),
                ("ce-source", "/shop"),
                ("ce-type", "order.created"),
                ("ce-tenant", "%C3%A9"),
                ("ce-attempt", "3"),
                ("ce-urgent", "true"),
                ("Content-Type", "application/json"),
            ]
        );
        assert_eq!(&event.payload[..], b"{\"n\": 1.50}");
    }

    #[test]
    fn text_that_is_not_json_stands_for_itself_and_base64_is_decoded() {
        let text = event(&format!(r#"{{{HEAD},"datacontenttype":"text/plain","data":"a\"b"}}"#)).unwrap();
        assert_eq!((&text.payload[..], text.headers.get("content-type")), (&b"a\"b"[..], Some("text/plain")));
        let bytes = event(&format!(r#"{{{HEAD},"data_base64":"AP8="}}"#)).unwrap();
        assert_eq!(&bytes.payload[..], [0, 255]);
    }

    #[test]
    fn what_is_not_an_event_is_told() {
        for (text, want) in [
            ("[]", EventError::NotAnObject),
            ("{", EventError::NotAnObject),
            (r#"{"specversion":"1.0","id":"1","source":"/"}"#, EventError::Missing("type")),
            (r#"{"specversion":"0.3","id":"1","source":"/","type":"t"}"#, EventError::Version),
            (r#"{"id":"1","id":"2"}"#, EventError::Twice("id".to_owned())),
            (r#"{"Id":"1"}"#, EventError::Name("Id".to_owned())),
            (r#"{"id":{}}"#, EventError::Value("id".to_owned())),
            (r#"{"id":"a\nNats-Rollup: all"}"#, EventError::Value("id".to_owned())),
        ] {
            assert_eq!(event(text), Err(want), "{text}");
        }
        assert_eq!(event(&format!(r#"{{{HEAD},"data":1,"data_base64":""}}"#)), Err(EventError::DataTwice));
        assert_eq!(event(&format!(r#"{{{HEAD},"data_base64":"*"}}"#)), Err(EventError::Base64));
    }

    #[test]
    fn an_event_goes_on_in_its_trace_unless_its_call_is_in_one() {
        let of = |told: &[(&'static str, &str)]| {
            let mut headers = Headers::default();
            told.iter().for_each(|(name, value)| headers.push(*name, *value));
            traced(&mut headers);
            [headers.get("traceparent"), headers.get("tracestate")].map(|value| value.map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        let event = [("ce-traceparent", "00-a"), ("ce-tracestate", "a=1")];
        assert_eq!(of(&event), [some("00-a"), some("a=1")]);
        assert_eq!(of(&[&event[..], &[("tracestate", "of=nothing")]].concat()), [some("00-a"), some("a=1")]);
        assert_eq!(of(&[&event[..], &[("traceparent", "00-b")]].concat()), [some("00-b"), None]);
        assert_eq!(of(&[event[0], ("ce-tracestate", "a=%22")]), [some("00-a"), None]);
        assert_eq!(of(&event[1..]), [None, None]);
    }

    #[test]
    fn the_key_depends_on_source_and_id_and_where_one_ends() {
        let of = |source: &str, id: &str| {
            let mut headers = Headers::default();
            headers.push("ce-source", source);
            headers.push("ce-id", id);
            key(&headers)
        };
        assert_eq!(of("/a", "1"), of("/a", "1"));
        assert_ne!(of("/a", "1"), of("/a1", ""));
        assert_eq!(key(&Headers::default()), None);
    }
}
