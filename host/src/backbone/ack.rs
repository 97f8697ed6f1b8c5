//! Telling the server what became of a delivery.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Request;
use async_nats::client::traits::Publisher as _;
use async_nats::message::OutboundMessage;
use bytes::Bytes;

use super::connect;
use super::memory::{MemoryAcker, Resolution};
use super::ordered::Ticket;
use super::wire::Wire;

/// Longest reason sent along with a termination, in bytes.
const MAX_REASON_BYTES: usize = 256;
/// Acknowledgements that are acknowledged are sent this many times in a request timeout, as long as none is.
const MAX_REQUESTS: u32 = 4;

/// Why an acknowledgement could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The connection was closed; the server redelivers the message to somebody else.
    #[error("the acknowledgement was not sent, because the connection to NATS is closed")]
    Closed,
    /// The server was to say that it has it, and did not; the message comes again unless it was only the answer that
    /// was lost.
    #[error("the server did not confirm the acknowledgement within {after:?}: {reason}")]
    Unconfirmed {
        /// How long it was asked.
        after: Duration,
        /// What came instead, the last time.
        reason: String,
    },
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
    /// Whether the server has to say that it has the acknowledgement.
    double: bool,
    /// Its place among what an ordered source has handed over.
    ticket: Option<Ticket>,
}

impl Acker {
    pub(super) fn jetstream(wire: Arc<Wire>, reply: async_nats::Subject, double: bool) -> Self {
        Self::JetStream(JetStreamAcker { wire, reply, double, ticket: None })
    }

    /// Takes along a place among what an ordered source has handed over.
    pub(super) fn carry(&mut self, ticket: Ticket) {
        if let Self::JetStream(acker) = self {
            acker.ticket = Some(ticket);
        }
    }

    /// Whether the source delivers the message again unless it is acknowledged.
    #[must_use]
    pub fn redelivers(&self) -> bool {
        !matches!(self, Self::Core)
    }

    /// The message is done with. Waits only for its place in the send queue, unless the source has `double-ack`: should
    /// the acknowledgement be lost, the message comes again and its outputs are recognised as duplicates.
    ///
    /// # Errors
    /// When the connection is closed, or with `double-ack` the server does not confirm within the request timeout.
    pub async fn ack(self) -> Result<(), AckError> {
        match self {
            Self::JetStream(acker) => acker.resolve(Bytes::new()).await,
            Self::Core => Ok(()),
            Self::Memory(acker) => acker.resolve(Resolution::Ack).await,
        }
    }

    /// The message is to be delivered again, after this delay if there is one. A source that keeps order hands over
    /// nothing else before it has come again, unless there is a delay: then it gives up its place.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn nak(self, delay: Option<Duration>) -> Result<(), AckError> {
        match (self, delay) {
            (Self::JetStream(acker), Some(delay)) => {
                acker.send(Bytes::from(format!("-NAK {{\"delay\":{}}}", delay.as_nanos()))).await?;
                acker.ticket.into_iter().for_each(Ticket::put_off);
                Ok(())
            }
            (Self::JetStream(acker), None) => acker.send(Bytes::from_static(b"-NAK")).await,
            (Self::Core, _) => Ok(()),
            (Self::Memory(acker), delay) => acker.resolve(Resolution::Nak(delay.unwrap_or_default())).await,
        }
    }

    /// The message is never to be delivered again; the reason, cut at 256 bytes, shows in the server's advisory.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn term(self, reason: &str) -> Result<(), AckError> {
        let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
        match self {
            Self::JetStream(acker) => acker.resolve(Bytes::from(format!("+TERM {reason}"))).await,
            Self::Core => Ok(()),
            Self::Memory(acker) => acker.resolve(Resolution::Term).await,
        }
    }

    /// The message is still being worked on: its ack wait begins anew.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn in_progress(&self) -> Result<(), AckError> {
        match self {
            Self::JetStream(acker) => acker.send(Bytes::from_static(b"+WPI")).await,
            Self::Core => Ok(()),
            Self::Memory(acker) => acker.in_progress().await,
        }
    }
}

impl JetStreamAcker {
    /// The server need not deliver the message again.
    async fn resolve(self, payload: Bytes) -> Result<(), AckError> {
        if self.double {
            self.request(payload).await?;
        } else {
            self.send(payload).await?;
        }
        self.ticket.into_iter().for_each(Ticket::done);
        Ok(())
    }

    async fn send(&self, payload: Bytes) -> Result<(), AckError> {
        let message = OutboundMessage { subject: self.reply.clone(), reply: None, payload, headers: None };
        self.wire.client.publish_message(message).await.map_err(|_| AckError::Closed)
    }

    /// Sends it with a subject for the answer, again and again until there is one. The server takes any number of
    /// acknowledgements of one delivery, and answers each.
    async fn request(&self, payload: Bytes) -> Result<(), AckError> {
        let after = self.wire.request_timeout;
        let mut link = self.wire.link.watch();
        let mut reason = String::new();
        let repeat = async {
            for attempt in 1.. {
                let request = Request::new().payload(payload.clone()).timeout(Some(after / MAX_REQUESTS));
                match self.wire.client.send_request(self.reply.clone(), request).await {
                    Ok(_) => return,
                    Err(error) => reason = error.to_string(),
                }
                tokio::time::sleep(connect::backoff(attempt)).await;
            }
        };
        tokio::select! {
            biased;
            answered = tokio::time::timeout(after, repeat) => answered.map_err(|_| AckError::Unconfirmed { after, reason }),
            _ = link.wait_for(|state| state.closed) => Err(AckError::Closed),
        }
    }
}
