//! A message as every part of Trackside sees it: subject, headers and payload. A leaf: it knows no NATS client, no
//! rules and no plugins.

mod headers;
mod index;
mod mismatch;
mod subject;

use bytes::Bytes;

pub use headers::{Header, HeaderError, Headers, is_reserved};
pub use index::SubjectIndex;
pub use mismatch::Mismatch;
pub use subject::{MAX_SUBJECT_BYTES, Subject, SubjectError, SubjectPattern};

/// One message on its way through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What it was published to.
    pub subject: Subject,
    /// Its headers, in wire order where the client keeps it.
    pub headers: Headers,
    /// Its payload, any bytes.
    pub payload: Bytes,
}

/// What a plugin may know about where a message came from; the same on every redelivery, except `delivery`.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Which kind of source it came from.
    pub kind: OriginKind,
    /// Stable across redeliveries and replays: `STREAM:SEQUENCE:NANOSECONDS` for JetStream.
    pub id: std::sync::Arc<str>,
    /// The message's own time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// 1 on the first delivery.
    pub delivery: u32,
}

impl Origin {
    /// The stream and the sequence in it, for a message from JetStream.
    #[must_use]
    pub fn stream_position(&self) -> Option<(&str, &str)> {
        if self.kind != OriginKind::JetStream {
            return None;
        }
        let mut parts = self.id.rsplitn(3, ':').skip(1);
        let sequence = parts.next()?;
        Some((parts.next()?, sequence))
    }
}

/// The kind of source a message came from (`origin-kind` of the contract).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginKind {
    /// A JetStream stream, read by a durable consumer.
    JetStream,
    /// A core NATS subscription.
    Core,
    /// The sidecar's HTTP.
    Sidecar,
    /// A dry run, such as `trackside try`.
    Trial,
}
