//! What streams hold, read and deleted one message at a time and without a consumer. That works for streams of every
//! retention, and leaves no trace.

use std::time::SystemTime;

use async_nats::jetstream::ErrorCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::connection::Connection;
use super::ensure::streams_of;
use super::wire::{JetStreamError, Wire};
use crate::message::{Header, Headers, Message, Subject, SubjectPattern};
use crate::times::parse_rfc3339;

/// What a stream holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The sequence of its newest message; 0 if there was none yet.
    pub last_sequence: u64,
    /// Whether its messages can be deleted.
    pub deletable: bool,
}

/// A message that a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the stream stored it.
    pub stored: SystemTime,
    /// The message; headers are sorted by name, as deliveries have them.
    pub message: Message,
}

#[derive(Debug, Deserialize)]
struct Info {
    config: InfoConfig,
    state: InfoState,
}

#[derive(Debug, Deserialize)]
struct InfoConfig {
    #[serde(default)]
    deny_delete: bool,
    #[serde(default)]
    sealed: bool,
}

#[derive(Debug, Deserialize)]
struct InfoState {
    last_seq: u64,
}

#[derive(Debug, Deserialize)]
struct Got {
    message: Raw,
}

/// A message as the API tells it: headers as on the wire, and with the payload in Base64.
#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    pub(super) subject: String,
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) hdrs: String,
    #[serde(default)]
    pub(super) data: String,
    time: String,
}

#[derive(Debug, Deserialize)]
struct Deleted {
    success: bool,
}

impl Connection {
    /// The names of the streams that take some subject of this pattern.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn streams_with(&self, pattern: &SubjectPattern) -> Result<Vec<String>, JetStreamError> {
        streams_of(self.wire(), pattern).await
    }

    /// What a stream holds now; `None` if it does not exist.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn holding(&self, stream: &str) -> Result<Option<Holding>, JetStreamError> {
        match self.wire().ask::<Info>(format!("STREAM.INFO.{stream}")).await {
            Ok(Info { config, state }) => {
                Ok(Some(Holding { last_sequence: state.last_seq, deletable: !config.deny_delete && !config.sealed }))
            }
            Err(error) if error.is(ErrorCode::STREAM_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The message with this sequence; `None` if the stream does not hold it or does not exist.
    ///
    /// # Errors
    /// When the server cannot be asked, or the message cannot be read.
    pub async fn held(&self, stream: &str, sequence: u64) -> Result<Option<Held>, JetStreamError> {
        self.get(stream, &json!({ "seq": sequence })).await
    }

    /// The first message of this pattern with this sequence or a later one; `None` if there is none.
    ///
    /// # Errors
    /// When the server cannot be asked, or the message cannot be read.
    pub async fn next_held(
        &self,
        stream: &str,
        from_sequence: u64,
        pattern: &SubjectPattern,
    ) -> Result<Option<Held>, JetStreamError> {
        self.get(stream, &json!({ "seq": from_sequence, "next_by_subj": pattern.as_str() })).await
    }

    /// Deletes a message, without overwriting its bytes on the disk. False if the stream holds it no longer.
    ///
    /// # Errors
    /// When the server cannot be asked or refuses.
    pub async fn delete_held(&self, stream: &str, sequence: u64) -> Result<bool, JetStreamError> {
        let request = json!({ "seq": sequence, "no_erase": true });
        match self.wire().api::<Deleted>(format!("STREAM.MSG.DELETE.{stream}"), &request).await {
            Ok(deleted) => Ok(deleted.success),
            // Of a message that is gone the server says that deleting failed, and the reason in words alone.
            Err(error) => match self.held(stream, sequence).await {
                Ok(None) => Ok(false),
                _ => Err(error),
            },
        }
    }

    async fn get(&self, stream: &str, request: &serde_json::Value) -> Result<Option<Held>, JetStreamError> {
        let Some(raw) = raw(self.wire(), stream, request).await? else { return Ok(None) };
        let sequence = raw.seq;
        let unreadable = || JetStreamError::Unavailable {
            request: call(stream),
            reason: format!("message {sequence} cannot be read"),
        };
        read(raw).map(Some).ok_or_else(unreadable)
    }
}

/// A message as it is kept, whether it can be read or not.
pub(super) async fn raw(wire: &Wire, stream: &str, request: &serde_json::Value) -> Result<Option<Raw>, JetStreamError> {
    match wire.api::<Got>(call(stream), request).await {
        Ok(got) => Ok(Some(got.message)),
        Err(error) if error.is(ErrorCode::NO_MESSAGE_FOUND) || error.is(ErrorCode::STREAM_NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

fn call(stream: &str) -> String {
    format!("STREAM.MSG.GET.{stream}")
}

fn read(raw: Raw) -> Option<Held> {
    let headers = headers(&STANDARD.decode(raw.hdrs).ok()?)?;
    let payload = STANDARD.decode(raw.data).ok()?.into();
    let message = Message { subject: Subject::delivered(&raw.subject), headers, payload };
    Some(Held { sequence: raw.seq, stored: parse_rfc3339(&raw.time)?, message })
}

/// Reads headers as they are on the wire (ADR-4), the way deliveries are read. The client has a function for it too,
/// which keeps one value of each name only.
fn headers(wire: &[u8]) -> Option<Headers> {
    if wire.is_empty() {
        return Some(Headers::default());
    }
    let mut lines = std::str::from_utf8(wire).ok()?.strip_prefix("NATS/1.0")?.split("\r\n").skip(1).peekable();
    let mut headers = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        let mut value = value.trim_start().to_owned();
        while let Some(folded) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(folded);
        }
        value.truncate(value.trim_end().len());
        headers.push(Header { name: name.to_owned().into(), value });
    }
    headers.sort_by(|a: &Header, b: &Header| a.name.cmp(&b.name));
    Some(headers.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_deliveries_have_them() {
        let wire = b"NATS/1.0\r\nRegion: eu\r\nA:  1 \r\nRegion:us\r\nEmpty: \r\nLong: a\r\n  b\r\n\r\n";
        let headers = headers(wire).expect("are headers");
        let lines: Vec<_> = headers.iter().map(|header| format!("{}={}", header.name, header.value)).collect();
        assert_eq!(lines, ["A=1", "Empty=", "Long=a  b", "Region=eu", "Region=us"]);
        assert_eq!(super::headers(b""), Some(Headers::default()));
        for wire in [b"HTTP/1.1\r\nA: b\r\n".as_slice(), b"NATS/1.0\r\nno colon\r\n", b"\xff"] {
            assert_eq!(super::headers(wire), None);
        }
    }
}
