//! Messages as CloudEvents 1.0 in structured mode: one JSON object with attributes and data (the JSON Event Format). In
//! binary mode there is nothing to do: the NATS and the HTTP bindings have the same `ce-` headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::message::Headers;

const PREFIX: &str = "ce-";
const CONTENT_TYPE: &str = "Content-Type";
/// The media type of an event in structured mode.
const STRUCTURED: &str = "application/cloudevents+json";

/// What stands for attributes that every event has where a message has no such header.
#[derive(Debug)]
pub struct Defaults<'m> {
    /// `id`
    pub id: &'m str,
    /// `source`, a URI reference.
    pub source: String,
    /// `type`
    pub kind: &'m str,
    /// `time`, RFC 3339.
    pub time: String,
}

/// The headers and the body of a message in structured mode. Its `ce-` headers become attributes, its other headers stay.
/// A payload that is JSON stays byte for byte, any other goes as Base64.
#[must_use]
pub fn structured(headers: &Headers, payload: &[u8], defaults: &Defaults<'_>) -> (Headers, Bytes) {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for header in headers {
        let Some(name) = attribute(&header.name) else { continue };
        if !attributes.iter().any(|(known, _)| *known == name) {
            attributes.push((name, decoded(&header.value)));
        }
    }
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        attributes.push(("datacontenttype".to_owned(), kind.to_owned()));
    }
    let fallbacks = [
        ("specversion", "1.0"),
        ("id", defaults.id),
        ("source", &defaults.source),
        ("type", defaults.kind),
        ("time", &defaults.time),
    ];
    for (name, value) in fallbacks {
        if !attributes.iter().any(|(known, value)| known == name && !value.is_empty()) {
            attributes.retain(|(known, _)| known != name);
            attributes.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut body = vec![b'{'];
    for (name, value) in &attributes {
        // A `Value` prints as JSON, quotes and escapes included.
        body.extend_from_slice(format!("{}:{},", Value::from(name.as_str()), Value::from(value.as_str())).as_bytes());
    }
    let json = headers.get(CONTENT_TYPE).is_none_or(is_json)
        && trackside_json::validate(payload, &trackside_json::Limits::default()).is_ok();
    if json {
        body.extend_from_slice(b"\"data\":");
        body.extend_from_slice(payload);
    } else if !payload.is_empty() {
        body.extend_from_slice(format!("\"data_base64\":\"{}\"", STANDARD.encode(payload)).as_bytes());
    } else {
        // The comma after the last attribute.
        body.pop();
    }
    body.push(b'}');
    let mut kept = headers.clone();
    kept.retain(|header| attribute(&header.name).is_none());
    kept.insert(CONTENT_TYPE, STRUCTURED);
    (kept, body.into())
}

/// The attribute that a header is: its name has lower-case letters and digits only. `data` is not one.
fn attribute(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix(PREFIX)?;
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let payload = matches!(name, "data" | "datacontenttype");
    (fits && !payload).then(|| name.to_owned())
}

/// `application/json` and everything `+json`, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

/// A text without its percent-encoding, as the values of `ce-` headers have it (HTTP binding, 3.1.3.2). What is not such an
/// encoding stays.
pub(crate) fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(headers: &[(&'static str, &str)], payload: &[u8]) -> (Headers, String) {
        let mut of_message = Headers::default();
        headers.iter().for_each(|(name, value)| of_message.push(*name, *value));
        let defaults = Defaults {
            id: "ORDERS:7:1",
            source: "/trackside/orders".to_owned(),
            kind: "orders.created",
            time: "2026-11-25T11:00:00Z".to_owned(),
        };
        let (headers, body) = structured(&of_message, payload, &defaults);
        (headers, String::from_utf8(body.to_vec()).expect("it is text"))
    }

    #[test]
    fn attributes_come_from_headers_and_a_json_payload_stays_byte_for_byte() {
        let told = [("CE-Id", "a%20%22b"), ("ce-tenant", "eu"), ("Region", "x"), ("ce-bad_name", "y")];
        let (headers, body) = event(&told, b" {\"n\": 1.50}");
        assert_eq!(
            body,
            "{\"id\":\"a \\\"b\",\"tenant\":\"eu\",\"specversion\":\"1.0\",\"source\":\"/trackside/orders\",\
             \"type\":\"orders.created\",\"time\":\"2026-11-25T11:00:00Z\",\"data\": {\"n\": 1.50}}"
        );
        let names: Vec<_> = headers.iter().map(|header| &*header.name).collect();
        assert_eq!(names, ["Region", "ce-bad_name", "Content-Type"]);
        assert_eq!(headers.get("content-type"), Some(STRUCTURED));
    }

    #[test]
    fn what_is_not_json_goes_as_base64_and_nothing_goes_as_nothing() {
        let (_, body) = event(&[("Content-Type", "text/plain")], b"{}");
        assert!(body.contains("\"datacontenttype\":\"text/plain\"") && body.ends_with("\"data_base64\":\"e30=\"}"));
        let (_, body) = event(&[("Content-Type", "application/vnd.x+json; charset=utf-8")], b"[1]");
        assert!(body.ends_with("\"data\":[1]}"), "{body}");
        let (_, body) = event(&[], b"");
        assert!(serde_json::from_str::<Value>(&body).is_ok() && !body.contains("data"), "{body}");
    }
}
