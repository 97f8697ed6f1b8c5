//! A letter as JSON, as the command line and the admin API show it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pipeline::{header, headers_json, raw_json};
use crate::sealing::Content;
use crate::times::rfc3339;

use super::Letter;

/// A letter, with its original if that was opened.
#[derive(Debug, Serialize)]
pub struct LetterJson<'a> {
    stream: &'a str,
    sequence: u64,
    stored: String,
    rule: &'a str,
    class: &'a str,
    reason: &'a str,
    stage: Option<&'a str>,
    source: &'a str,
    subject: &'a str,
    tries: u32,
    first: String,
    last: String,
    revision: Option<&'a str>,
    encrypted: bool,
    payload_omitted: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    original: Option<Original>,
}

/// The message of a letter, as `trackside try` prints messages.
#[derive(Debug, Serialize)]
struct Original {
    headers: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl<'a> LetterJson<'a> {
    /// The letter, and the original if it is given.
    #[must_use]
    pub fn new(letter: &'a Letter, content: Option<&Content>) -> Self {
        let original = content.map(|content| {
            let payload = content.payload.as_deref().and_then(raw_json);
            let binary = content.payload.as_ref().filter(|_| payload.is_none());
            Original {
                headers: headers_json(&content.headers),
                payload_base64: binary.map(|payload| STANDARD.encode(payload)),
                payload,
            }
        });
        Self {
            stream: &letter.stream,
            sequence: letter.sequence,
            stored: rfc3339(letter.stored),
            rule: letter.rule.as_str(),
            class: &letter.class,
            reason: &letter.reason,
            stage: letter.fact(header::STAGE),
            source: letter.source.as_str(),
            subject: letter.subject.as_str(),
            tries: letter.tries.count,
            first: rfc3339(letter.tries.first),
            last: rfc3339(letter.tries.last),
            revision: letter.fact(header::REVISION),
            encrypted: letter.is_encrypted(),
            payload_omitted: letter.is_payload_omitted(),
            original,
        }
    }
}
