//! Telling the server what became of a delivery.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::traits::Publisher as _;
use async_nats::message::OutboundMessage;
use bytes::Bytes;

use super::memory::{MemoryAcker, Resolution};
use super::wire::Wire;

/// Longest reason sent along with a termination, in bytes.
const MAX_REASON_BYTES: usize = 256;

/// Why an acknowledgement could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The connection was closed; the server redelivers the message to somebody else.
    #[error("the acknowledgement was not sent, because the connection to NATS is closed")]
    Closed,
}

/// Resolves one delivery. Dropping it resolves nothing: the server delivers the message again after the ack wait.
#[derive(Debug)]
pub enum Acker {
    /// Of a JetStream consumer.
    JetStream(JetStreamAcker),
    /// Of a core subscription, where there is nobody to tell.
    Core,
    /// Of a consumer of the server in memory.
    Memory(MemoryAcker),
}

/// The reply subject of a JetStream delivery.
#[derive(Debug)]
pub struct JetStreamAcker {
    wire: Arc<Wire>,
    reply: async_nats::Subject,
}

impl Acker {
    pub(super) fn jetstream(wire: Arc<Wire>, reply: async_nats::Subject) -> Self {
        Self::JetStream(JetStreamAcker { wire, reply })
    }

    /// Whether the source delivers the message again unless it is acknowledged.
    #[must_use]
    pub fn redelivers(&self) -> bool {
        !matches!(self, Self::Core)
    }

    /// The message is done with. Waits only for its place in the send queue: should the acknowledgement be lost, the
    /// message comes again and its outputs are recognised as duplicates.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn ack(self) -> Result<(), AckError> {
        match self {
            Self::Memory(acker) => acker.resolve(Resolution::Ack).await,
            acker => acker.send(Bytes::new()).await,
        }
    }

    /// The message is to be delivered again, after this delay if there is one.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn nak(self, delay: Option<Duration>) -> Result<(), AckError> {
        if let Self::Memory(acker) = self {
            return acker.resolve(Resolution::Nak(delay.unwrap_or_default())).await;
        }
        let payload = match delay {
            Some(delay) => Bytes::from(format!("-NAK {{\"delay\":{}}}", delay.as_nanos())),
            None => Bytes::from_static(b"-NAK"),
        };
        self.send(payload).await
    }

    /// The message is never to be delivered again; the reason, cut at 256 bytes, shows in the server's advisory.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn term(self, reason: &str) -> Result<(), AckError> {
        if let Self::Memory(acker) = self {
            return acker.resolve(Resolution::Term).await;
        }
        let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
        self.send(Bytes::from(format!("+TERM {reason}"))).await
    }

    /// The message is still being worked on: its ack wait begins anew.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn in_progress(&self) -> Result<(), AckError> {
        match self {
            Self::Memory(acker) => acker.in_progress().await,
            acker => acker.send(Bytes::from_static(b"+WPI")).await,
        }
    }

    async fn send(&self, payload: Bytes) -> Result<(), AckError> {
        let Self::JetStream(acker) = self else { return Ok(()) };
        let message = OutboundMessage { subject: acker.reply.clone(), reply: None, payload, headers: None };
        acker.wire.client.publish_message(message).await.map_err(|_| AckError::Closed)
    }
}
