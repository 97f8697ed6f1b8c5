//! A dead letter as it was read from its stream.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::backbone::Held;
use crate::message::{Header, Headers, Origin, OriginKind, Subject, is_reserved};
use crate::names::{RuleName, SourceName};
use crate::pipeline::{Tries, header};
use crate::sealing::{Content, OpenError};
use crate::times::{parse_rfc3339, unix_ms};

use super::Keys;

/// A dead letter as it was read from its stream: what it says about itself, and the original, which may be encrypted.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The stream that holds it.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// When it was stored there.
    pub stored: SystemTime,
    /// The rule that gave the message up.
    pub rule: RuleName,
    /// The source of the message.
    pub source: SourceName,
    /// The subject of the message.
    pub subject: Subject,
    /// The class of the failure, as [`FailureClass::as_str`](crate::pipeline::FailureClass::as_str) has it.
    pub class: String,
    /// Why it failed.
    pub reason: String,
    /// How often it was tried, and when.
    pub tries: Tries,
    /// Stable across redeliveries and replays: the outputs' ids are made of it.
    id: Arc<str>,
    /// The message's own time, in milliseconds since the Unix epoch.
    timestamp_ms: u64,
    /// All headers of the letter.
    headers: Headers,
    /// The original payload, or what was sealed.
    payload: Bytes,
}

/// Why the original cannot be had from a letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// Its key is not at hand.
    #[error(
        "it is encrypted with the key {id}, which is not at hand: give it by `--key env:NAME` or `--key file:PATH` ({instead})"
    )]
    NoKey {
        /// The id of the key.
        id: String,
        /// Which keys are at hand, and why others are not.
        instead: String,
    },
    /// It is encrypted in another way.
    #[error("it is encrypted by `{0}`, which this version of Trackside does not know")]
    Algorithm(String),
    /// It was changed.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Letter {
    /// Reads a letter; `None` if the message is none.
    #[must_use]
    pub fn read(stream: &str, held: Held) -> Option<Self> {
        let headers = held.message.headers;
        let time = |name| parse_rfc3339(headers.get(name)?);
        Some(Self {
            rule: RuleName::new(headers.get(header::RULE)?).ok()?,
            source: SourceName::new(headers.get(header::SOURCE)?).ok()?,
            subject: headers.get(header::SUBJECT).filter(|subject| !subject.is_empty()).map(Subject::delivered)?,
            class: headers.get(header::CLASS)?.to_owned(),
            reason: headers.get(header::REASON)?.to_owned(),
            tries: Tries {
                count: headers.get(header::TRIES)?.parse().ok()?,
                first: time(header::FIRST_TIME)?,
                last: time(header::LAST_TIME)?,
            },
            id: headers.get(header::ID)?.into(),
            timestamp_ms: unix_ms(time(header::TIME)?),
            stream: stream.to_owned(),
            sequence: held.sequence,
            stored: held.stored,
            headers,
            payload: held.message.payload,
        })
    }

    /// What the letter says about itself: its headers but for those of the original and of the server.
    pub fn facts(&self) -> impl Iterator<Item = &Header> {
        let begins =
            |name: &str, prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        self.headers
            .iter()
            .filter(move |fact| begins(&fact.name, "trackside-") && !begins(&fact.name, header::KEPT_PREFIX))
    }

    /// One of the facts, by its name in [`header`].
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Whether the original is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.fact(header::ENCRYPTED).is_some()
    }

    /// Whether the original's payload was too large to be kept.
    #[must_use]
    pub fn is_payload_omitted(&self) -> bool {
        self.fact(header::PAYLOAD_OMITTED).is_some()
    }

    /// Where the message came from, to be tried once more.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            kind: if self.position().is_some() { OriginKind::JetStream } else { OriginKind::Core },
            id: Arc::clone(&self.id),
            timestamp_ms: self.timestamp_ms,
            delivery: self.tries.count.saturating_add(1),
        }
    }

    /// Stream and sequence of the original, for a message from JetStream.
    #[must_use]
    pub fn position(&self) -> Option<(&str, u64)> {
        Some((self.fact(header::STREAM)?, self.fact(header::SEQUENCE)?.parse().ok()?))
    }

    /// The original's headers and payload.
    ///
    /// # Errors
    /// When they are encrypted and cannot be decrypted.
    pub fn original(&self, keys: &Keys) -> Result<Content, LetterError> {
        let Some(algorithm) = self.fact(header::ENCRYPTED) else {
            let payload = (!self.is_payload_omitted()).then(|| self.payload.clone());
            return Ok(Content { headers: self.original_headers(), payload });
        };
        if algorithm != crate::sealing::ALGORITHM {
            return Err(LetterError::Algorithm(algorithm.to_owned()));
        }
        let key = keys.get(self.fact(header::KEY).unwrap_or_default())?;
        let content = key.open(&self.headers, &self.payload)?;
        // Cut off where the headers end, it looks like one whose payload was left out.
        if content.payload.is_none() && !self.is_payload_omitted() {
            return Err(OpenError::Malformed.into());
        }
        Ok(content)
    }

    /// Undoes what was done to the headers for the letter; sorted by name, as deliveries have them.
    fn original_headers(&self) -> Headers {
        let original = |kept: &Header| match kept.name.strip_prefix(header::KEPT_PREFIX) {
            Some(name) => Some(Header { name: name.to_owned().into(), value: kept.value.clone() }),
            None => (!is_reserved(&kept.name)).then(|| kept.clone()),
        };
        let mut headers: Vec<Header> = self.headers.iter().filter_map(original).collect();
        headers.sort_by(|a, b| a.name.cmp(&b.name));
        headers.into_iter().collect()
    }
}
