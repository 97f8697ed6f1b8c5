//! Outputs: put on the wire in order, confirmed by the stream that stores them or by a flush.

use std::future::IntoFuture as _;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::traits::Publisher as _;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::traits::Publisher as Publish;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::{HeaderMap, HeaderName, HeaderValue, jetstream};
use bytes::Bytes;
use tokio::sync::{Mutex, oneshot, watch};

use super::batch::Together;
use super::connection::Tasks;
use super::echo::{Echo, FlushFailure};
use super::ingest::Alone;
use super::link::LinkState;
use super::memory;
use super::streams::StreamIndex;
use super::wire::{JetStreamError, Wire, describe};
use crate::message::{Headers, Subject};
use crate::rules::Confirm;

/// One message to publish.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What to publish to.
    pub subject: Subject,
    /// Where an answer is wanted. A message that a stream confirms cannot carry it: the confirmation comes there.
    pub reply: Option<Subject>,
    /// Headers; a `Nats-Msg-Id` among them is replaced.
    pub headers: Headers,
    /// The payload.
    pub payload: Bytes,
    /// How it counts as safe.
    pub confirm: Confirm,
    /// Its `Nats-Msg-Id`, by which a stream recognises what it has stored already (ADR-4).
    pub message_id: String,
}

/// How an output became safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// A stream has stored it.
    Stored {
        /// The stream.
        stream: String,
        /// Its sequence there.
        sequence: u64,
        /// It had been stored before, within the stream's duplicate window.
        duplicate: bool,
    },
    /// A stream has stored it, and said so of many messages at once, without their sequences.
    Among {
        /// The stream.
        stream: Arc<str>,
    },
    /// The server has read it; core NATS promises no more.
    Flushed,
}

/// Why a message is not known to be safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A stream was to take it and none does.
    #[error("no stream takes `{subject}`")]
    NoStream {
        /// What was published to.
        subject: Subject,
    },
    /// No confirmation came in time.
    #[error("no confirmation of a message to `{subject}` within {after:?}")]
    Timeout {
        /// What was published to.
        subject: Subject,
        /// How long was waited.
        after: Duration,
    },
    /// The stream refused it.
    #[error("the stream did not take a message to `{subject}`: {text} (JetStream error {code})")]
    Stream {
        /// What was published to.
        subject: Subject,
        /// The server's words.
        text: String,
        /// The error's number, from the table in the server's `errors.json`.
        code: u64,
        /// Whether the stream may take it later.
        retryable: bool,
    },
    /// It is larger than the server lets through.
    #[error("a message to `{subject}` has {size} bytes with its headers, the NATS server takes {max} (`max_payload`)")]
    TooLarge {
        /// What was to be published to.
        subject: Subject,
        /// Bytes of headers and payload on the wire.
        size: usize,
        /// The server's limit.
        max: usize,
    },
    /// The connection was lost or is not there.
    #[error("no connection to NATS to confirm a message to `{subject}`")]
    Disconnected {
        /// What was published to.
        subject: Subject,
    },
    /// The client cannot carry it.
    #[error("a message to `{subject}` cannot be sent: {reason}")]
    Invalid {
        /// What was to be published to.
        subject: Subject,
        /// What is wrong with its subject or headers.
        reason: String,
    },
    /// Outputs that belong together cannot be stored together.
    #[error("stream `{stream}` cannot store {messages} outputs of one message together: {reason}")]
    NotTogether {
        /// The stream that takes them.
        stream: String,
        /// How many there are.
        messages: usize,
        /// Why not, and what to do about it.
        reason: String,
        /// Whether it may be possible later, without another message or configuration.
        retryable: bool,
    },
    /// Whether a stream takes the subject is not known.
    #[error(
        "cannot tell whether a stream takes `{subject}`: {error}; `confirm = \"stream\"` or `\"flush\"` needs no answer"
    )]
    StreamsUnknown {
        /// What was to be published to.
        subject: Subject,
        /// Why the streams could not be listed.
        error: JetStreamError,
    },
}

impl PublishError {
    /// Whether the same message may be published later. It may have been stored nevertheless: the `Nats-Msg-Id`
    /// keeps it from being stored twice.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::NoStream { .. } | Self::Timeout { .. } | Self::Disconnected { .. } | Self::StreamsUnknown { .. } => {
                true
            }
            Self::Stream { retryable, .. } | Self::NotTogether { retryable, .. } => *retryable,
            Self::TooLarge { .. } | Self::Invalid { .. } => false,
        }
    }

    /// Whether it says nothing about the message but that NATS cannot be reached.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected { .. })
    }
}

/// Publishes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(pub(super) PublisherKind);

#[derive(Debug, Clone)]
pub(super) enum PublisherKind {
    Nats(NatsPublisher),
    Memory(memory::Client),
}

/// Publishes by a connection to NATS servers.
#[derive(Debug, Clone)]
pub(super) struct NatsPublisher {
    pub(super) parts: Arc<Parts>,
}

/// What all handles of one connection share.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) wire: Arc<Wire>,
    pub(super) index: Arc<StreamIndex>,
    pub(super) echo: Echo,
    /// Whose turn it is to send a batch.
    pub(super) batches: Mutex<()>,
    pub(super) _tasks: Tasks,
}

/// A message that is on its way. Dropping it leaves unknown whether it arrives.
#[derive(Debug)]
#[must_use = "a message is not safe before it is confirmed"]
pub struct Pending {
    pub(super) subject: Subject,
    pub(super) kind: PendingKind,
}

pub(super) enum PendingKind {
    Stored {
        publisher: NatsPublisher,
        ack: PublishAckFuture,
        link: watch::Receiver<LinkState>,
        lost: u64,
        /// Its place in the backlog of a stream that allows fast ingest.
        alone: Option<Alone>,
    },
    Batched(oneshot::Receiver<Result<Confirmed, PublishError>>),
    Flushed {
        publisher: NatsPublisher,
        connects: u64,
    },
    Together(Together),
    Memory(memory::Pending),
}

/// A message as the client takes it.
pub(super) struct Ready {
    subject: Subject,
    headers: HeaderMap,
    payload: Bytes,
}

impl std::fmt::Debug for PendingKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stored { .. } => "Stored",
            Self::Batched(_) => "Batched",
            Self::Flushed { .. } => "Flushed",
            Self::Together(_) => "Together",
            Self::Memory(_) => "Memory",
        })
    }
}

impl Publisher {
    /// Puts a message on the wire. Waits for a place in the send queue, and for the connection if it is not there,
    /// but not for the confirmation.
    ///
    /// # Errors
    /// When it cannot be sent as it is, or the connection does not come back within the request timeout.
    pub async fn publish(&self, outgoing: Outgoing) -> Result<Pending, PublishError> {
        match &self.0 {
            PublisherKind::Nats(nats) => nats.publish(outgoing).await,
            PublisherKind::Memory(client) => {
                let subject = outgoing.subject.clone();
                let pending = client.publish(outgoing).await?;
                Ok(Pending { subject, kind: PendingKind::Memory(pending) })
            }
        }
    }

    /// As [`publish`](Self::publish), for who need not know at which sequence it is stored: where a stream allows fast
    /// ingest and is behind with its answers, it answers for many messages at once.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_among(&self, outgoing: Outgoing) -> Result<Pending, PublishError> {
        match &self.0 {
            PublisherKind::Nats(nats) => nats.publish_among(outgoing).await,
            PublisherKind::Memory(_) => self.publish(outgoing).await,
        }
    }

    /// Publishes the outputs of one message: those that one stream takes are stored together or not at all, and their
    /// results tell the same. The others are published as by [`publish`](Self::publish). There is a result for each
    /// output, in the order of the outputs.
    ///
    /// A batch of which the stream has something already is completed instead of stored again.
    pub async fn publish_together(&self, outputs: Vec<Outgoing>) -> Vec<Result<Pending, PublishError>> {
        match &self.0 {
            PublisherKind::Nats(nats) => nats.publish_together(outputs).await,
            PublisherKind::Memory(client) => {
                let sent = client.publish_together(outputs).await.into_iter();
                let pending = |(subject, sent): (Subject, Result<memory::Pending, _>)| {
                    sent.map(|pending| Pending { subject, kind: PendingKind::Memory(pending) })
                };
                sent.map(pending).collect()
            }
        }
    }
}

impl NatsPublisher {
    pub(super) async fn publish(&self, mut outgoing: Outgoing) -> Result<Pending, PublishError> {
        let (confirm, reply) = (outgoing.confirm, outgoing.reply.take());
        let message = self.ready(outgoing)?;
        let by_stream = match confirm {
            Confirm::Stream => true,
            Confirm::Flush => false,
            Confirm::Auto => self
                .parts
                .index
                .takes(message.subject.as_str())
                .map_err(|error| PublishError::StreamsUnknown { subject: message.subject.clone(), error })?,
        };
        if !self.parts.wire.connected().await {
            return Err(PublishError::Disconnected { subject: message.subject });
        }
        if by_stream { self.send_to_stream(message).await } else { self.send(message, reply.as_ref()).await }
    }

    async fn publish_among(&self, outgoing: Outgoing) -> Result<Pending, PublishError> {
        let stored = outgoing.confirm != Confirm::Flush;
        match stored.then(|| self.parts.index.ingesting(outgoing.subject.as_str())).flatten() {
            Some(stream) => self.ingest(stream, outgoing).await,
            None => self.publish(outgoing).await,
        }
    }

    /// Checks a message, and puts it in the client's terms.
    pub(super) fn ready(&self, outgoing: Outgoing) -> Result<Ready, PublishError> {
        let headers = self.headers(&outgoing)?;
        Ok(outgoing.ready(headers))
    }

    /// Checks a message, and puts its headers in the client's terms.
    pub(super) fn headers(&self, outgoing: &Outgoing) -> Result<HeaderMap, PublishError> {
        let Outgoing { subject, headers, payload, message_id, .. } = outgoing;
        self.check_size(subject, headers, message_id, payload.len())?;
        to_wire(headers, message_id).map_err(|reason| PublishError::Invalid { subject: subject.clone(), reason })
    }

    /// Waits until the server has read a message that was sent when there had been that many connections.
    async fn flush(&self, subject: &Subject, connects: u64) -> Result<(), PublishError> {
        let subject = || subject.clone();
        match self.parts.echo.flush().await {
            // What was sent by an earlier connection may be lost, whatever came back by this one.
            Ok(()) if self.parts.wire.connects() != connects => Err(PublishError::Disconnected { subject: subject() }),
            Ok(()) => Ok(()),
            Err(FlushFailure::Disconnected) => Err(PublishError::Disconnected { subject: subject() }),
            Err(FlushFailure::Timeout) => {
                Err(PublishError::Timeout { subject: subject(), after: self.parts.wire.request_timeout })
            }
        }
    }

    pub(super) async fn send_to_stream(&self, message: Ready) -> Result<Pending, PublishError> {
        let Ready { subject, headers, payload } = message;
        let link = self.parts.wire.link.watch();
        let lost = link.borrow().lost;
        let message = jetstream::message::OutboundMessage::new(subject.as_str().into(), payload, Some(headers));
        match Publish::publish_message(&self.parts.wire.jetstream, message).await {
            Ok(ack) => {
                let kind = PendingKind::Stored { publisher: self.clone(), ack, link, lost, alone: None };
                Ok(Pending { subject, kind })
            }
            Err(error) => Err(self.failed(&subject, &error)),
        }
    }

    pub(super) async fn send(&self, message: Ready, reply: Option<&Subject>) -> Result<Pending, PublishError> {
        let Ready { subject, headers, payload } = message;
        let message = async_nats::message::OutboundMessage {
            subject: subject.as_str().into(),
            reply: reply.map(|reply| reply.as_str().into()),
            payload,
            headers: Some(headers),
        };
        let connects = self.parts.wire.connects();
        self.put(&subject, message).await?;
        Ok(Pending { subject, kind: PendingKind::Flushed { publisher: self.clone(), connects } })
    }

    /// Hands a message to the client, which sends what it is handed in order.
    pub(super) async fn put(
        &self,
        subject: &Subject,
        message: async_nats::message::OutboundMessage,
    ) -> Result<(), PublishError> {
        let (subject, after) = (|| subject.clone(), self.parts.wire.request_timeout);
        match tokio::time::timeout(after, self.parts.wire.client.publish_message(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => match error.kind() {
                async_nats::PublishErrorKind::Send => Err(PublishError::Disconnected { subject: subject() }),
                _ => Err(PublishError::Invalid { subject: subject(), reason: error.to_string() }),
            },
            Err(_) if self.parts.wire.is_connected() => Err(PublishError::Timeout { subject: subject(), after }),
            Err(_) => Err(PublishError::Disconnected { subject: subject() }),
        }
    }

    fn check_size(
        &self,
        subject: &Subject,
        headers: &Headers,
        message_id: &str,
        payload: usize,
    ) -> Result<(), PublishError> {
        const FRAME: usize = "NATS/1.0\r\n\r\n".len();
        const LINE: usize = ": \r\n".len();
        let id_line = "Nats-Msg-Id".len() + message_id.len() + LINE;
        let size = FRAME + id_line + headers.byte_len() + headers.len() * LINE + payload;
        let max = self.parts.wire.client.max_payload();
        if size > max {
            return Err(PublishError::TooLarge { subject: subject.clone(), size, max });
        }
        Ok(())
    }

    fn failed(&self, subject: &Subject, error: &jetstream::context::PublishError) -> PublishError {
        let subject = subject.clone();
        match error.kind() {
            PublishErrorKind::StreamNotFound => {
                self.parts.index.mark_stale();
                PublishError::NoStream { subject }
            }
            PublishErrorKind::TimedOut if self.parts.wire.is_connected() => {
                PublishError::Timeout { subject, after: self.parts.wire.request_timeout }
            }
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => PublishError::Disconnected { subject },
            _ => match std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>()) {
                Some(refusal) => refused(subject, refusal),
                None => PublishError::Invalid { subject, reason: error.to_string() },
            },
        }
    }
}

impl Outgoing {
    /// It, with its headers in the client's terms.
    pub(super) fn ready(self, headers: HeaderMap) -> Ready {
        Ready { subject: self.subject, headers, payload: self.payload }
    }
}

impl Pending {
    /// What was published to.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether a stream confirms it; otherwise a flush has to do.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        match &self.kind {
            PendingKind::Stored { .. } | PendingKind::Batched(_) | PendingKind::Together(_) => true,
            PendingKind::Flushed { .. } => false,
            PendingKind::Memory(pending) => pending.is_stored(),
        }
    }

    /// Waits until the message is safe.
    ///
    /// # Errors
    /// When it is not known to be safe within the request timeout.
    pub async fn confirmed(self) -> Result<Confirmed, PublishError> {
        let Self { subject, kind } = self;
        let (publisher, ack, mut link, lost, _alone) = match kind {
            PendingKind::Stored { publisher, ack, link, lost, alone } => (publisher, ack, link, lost, alone),
            PendingKind::Batched(told) => return told.await.unwrap_or(Err(PublishError::Disconnected { subject })),
            PendingKind::Flushed { publisher, connects } => {
                return publisher.flush(&subject, connects).await.map(|()| Confirmed::Flushed);
            }
            PendingKind::Together(outcome) => return outcome.await,
            PendingKind::Memory(pending) => return pending.confirmed().await,
        };
        // A confirmation cannot outlive the connection it would have come by: waiting on would only cost time.
        let result = tokio::select! {
            biased;
            result = ack.into_future() => result,
            _ = link.wait_for(|state| state.lost > lost || state.closed) => {
                return Err(PublishError::Disconnected { subject });
            }
        };
        match result {
            Ok(ack) => Ok(Confirmed::Stored { stream: ack.stream, sequence: ack.sequence, duplicate: ack.duplicate }),
            Err(error) => Err(publisher.failed(&subject, &error)),
        }
    }
}

/// What a stream said no to. Codes below 500 are about the message, 5xx about the stream's state. 409 means that the same
/// message id is being stored right now, 429 that there are too many unfinished batches, and a batch is incomplete when
/// the rest of it was lost.
fn refused(subject: Subject, refusal: &jetstream::Error) -> PublishError {
    let code = refusal.error_code();
    let incomplete = code == ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH;
    let retryable = incomplete || matches!(refusal.code(), 409 | 429 | 500..);
    PublishError::Stream { subject, text: describe(refusal), code: code.0, retryable }
}

fn to_wire(headers: &Headers, message_id: &str) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for header in headers {
        let about = |error: &dyn std::fmt::Display| format!("header `{}`: {error}", header.name.escape_debug());
        let name = HeaderName::from_str(&header.name).map_err(|error| about(&error))?;
        let value = HeaderValue::from_str(&header.value).map_err(|error| about(&error))?;
        map.append(name, value);
    }
    let id = HeaderValue::from_str(message_id).map_err(|error| format!("message id: {error}"))?;
    map.insert(NATS_MESSAGE_ID, id);
    Ok(map)
}
