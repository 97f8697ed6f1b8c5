//! Where messages come from, seen from the intake: ask for as many as there is room for.

use std::time::Duration;

use super::Delivery;
use super::consumer::{Difference, Differences};
use super::core::CoreSource;
use super::drops::Drops;
use super::jetstream::JetStreamSource;
use super::memory::MemorySource;
use super::partitions::PartitionedSource;
use super::wire::JetStreamError;

/// How much more the caller can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In messages.
    pub messages: usize,
    /// In bytes, as [`Delivery::bytes`] counts them.
    pub bytes: usize,
    /// Whether the caller holds nothing at all. Then one message of any size may come, so that one larger than the
    /// whole bound does not stop the source for ever.
    pub holds_nothing: bool,
}

/// Why a source cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The stream does not exist.
    #[error("stream `{stream}` does not exist; make it with:\n    {command}")]
    StreamMissing {
        /// The stream.
        stream: String,
        /// The line that makes it.
        command: String,
    },
    /// The consumer was deleted while it was read. Opening the source again makes a new one.
    #[error("consumer `{consumer}` of stream `{stream}` was deleted")]
    ConsumerGone {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
    },
    /// The consumer exists and is not what the configuration asks for.
    #[error("consumer `{consumer}` of stream `{stream}` is not as the configuration says:{}", Differences(.stream, .consumer, .differences))]
    ConsumerDiffers {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// In what it differs, at least one thing.
        differences: Vec<Difference>,
    },
    /// The server does not let it be read.
    #[error("consumer `{consumer}` of stream `{stream}` cannot be read: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// The server's words.
        reason: String,
    },
    /// The JetStream API failed.
    #[error("cannot read stream `{stream}`: {error}")]
    JetStream {
        /// The stream.
        stream: String,
        /// What happened.
        error: JetStreamError,
    },
    /// The subscription was not possible.
    #[error("cannot subscribe to `{subject}`: {reason}")]
    Subscribe {
        /// What was to be subscribed to.
        subject: String,
        /// Why not.
        reason: String,
    },
    /// The time to begin at cannot be read.
    #[error("`from-time = \"{text}\"` is not a time of RFC 3339, such as 2026-11-22T10:00:00Z")]
    Time {
        /// As written.
        text: String,
    },
    /// Its messages do not come off NATS.
    #[error("the sidecar's messages do not come off NATS")]
    NotOfNats,
    /// The connection is closed.
    #[error("the connection to NATS is closed")]
    Closed,
}

impl SourceError {
    /// Whether opening the source again may help: the world has to change for it, but not the configuration.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::StreamMissing { .. } | Self::ConsumerGone { .. } | Self::Refused { .. } => true,
            Self::JetStream { error, .. } => error.retryable(),
            Self::ConsumerDiffers { .. }
            | Self::Subscribe { .. }
            | Self::Time { .. }
            | Self::NotOfNats
            | Self::Closed => false,
        }
    }
}

/// An open source.
#[derive(Debug)]
pub struct Source(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    JetStream(Box<JetStreamSource>),
    Partitioned(Box<PartitionedSource>),
    Core(CoreSource),
    Memory(Box<MemorySource>),
}

impl Source {
    /// Waits for messages and returns those that have come: at least one, at most what there is room for. It goes on
    /// through reconnects and restarts of the server.
    ///
    /// Cancel safe: drop the future and call again when there is more room. With room for no message it never
    /// returns.
    ///
    /// # Errors
    /// When there is nothing more to be had from this source; see [`SourceError::retryable`].
    pub async fn next(&mut self, room: Room) -> Result<Vec<Delivery>, SourceError> {
        match &mut self.0 {
            Kind::JetStream(source) => source.next(room).await,
            Kind::Partitioned(source) => source.next(room).await,
            Kind::Core(source) => source.next(room).await,
            Kind::Memory(source) => source.next(room).await,
        }
    }

    /// Leaves what is not handed over yet to other instances, at once instead of after a time-out. To be called when
    /// [`next`](Self::next) will not be any more. What was handed over can still be resolved.
    pub async fn retire(&mut self) {
        match &mut self.0 {
            Kind::JetStream(source) => source.retire().await,
            Kind::Partitioned(source) => source.retire().await,
            Kind::Core(_) | Kind::Memory(_) => {}
        }
    }

    /// What it drops because there is no room for it. `None` for JetStream, which keeps everything.
    #[must_use]
    pub fn drops(&self) -> Option<Drops> {
        match &self.0 {
            Kind::JetStream(_) | Kind::Partitioned(_) => None,
            Kind::Core(source) => Some(source.drops()),
            Kind::Memory(source) => source.drops(),
        }
    }

    /// After how long without an answer the server delivers a message again; `None` for a core source. Half of it is
    /// a good time to say [`in_progress`](super::Acker::in_progress).
    #[must_use]
    pub fn ack_wait(&self) -> Option<Duration> {
        match &self.0 {
            Kind::JetStream(source) => Some(source.ack_wait()),
            Kind::Partitioned(source) => Some(source.ack_wait()),
            Kind::Core(_) => None,
            Kind::Memory(source) => source.ack_wait(),
        }
    }
}
