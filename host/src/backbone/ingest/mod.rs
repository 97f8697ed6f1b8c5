//! Fast ingest (ADR-50, NATS 2.14): outputs of a stream that allows it share one batch that stays open, and the server
//! answers for many of them at once. The guarantee is that of messages that are published by themselves: each counts as
//! safe once the stream has said that it has stored it, each keeps its `Nats-Msg-Id`, and they are stored in their order.
//!
//! A batch is for a backlog. While little is under way, a message is published by itself and answered at once; a batch
//! is opened when answers are behind, and ended when no more than a few messages are left in it.
//!
//! The batch reports nothing but that messages are stored. Whatever it does not confirm is published again by itself,
//! in order and with the same id, and it is that answer which says what is wrong with a message.
//!
//! What the server does, as read in its source and seen in 2.15.1 by the tests:
//! * The reply subject of a message says its place in the batch. A batch with `fail` in it ends at the first gap, so what
//!   is said to be stored is stored up to there without one.
//! * The first message is answered at once, then every so many; a duplicate counts as stored. A ping confirms nothing
//!   of the rest; the message that ends the batch does.
//! * What ends a batch on the way is told first, and then how far it got. A message that is too large, or that the store
//!   has no room for, gets an answer like one that was published by itself, on its own reply subject.
//! * A batch without news for ten seconds is forgotten, and messages for it are refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::publish::{NatsPublisher, Outgoing, Pending, PendingKind, PublishError};
use super::streams::Stream;

mod answer;
mod batch;
mod follow;

use batch::Batch;

/// Unanswered messages of a stream from which on a batch is worth opening.
const BACKLOG_MESSAGES: usize = 64;
/// Larger payloads go by themselves: a message is kept until it is confirmed, and an answer each costs them little.
const MAX_PAYLOAD_BYTES: usize = 16 << 10;

/// The way to a stream, as far as fast ingest is concerned.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    allowed: AtomicBool,
    /// Messages that were published by themselves and are not answered.
    alone: AtomicUsize,
    /// Whose turn it is to send: places in a batch are in the order of the wire.
    turn: Mutex<Option<Arc<Batch>>>,
    /// After what went wrong with a batch, when there may be one again.
    rests_until: Lock<Option<Instant>>,
}

/// A message that was published by itself and counts as unanswered until this is dropped.
#[derive(Debug)]
pub(super) struct Alone(Arc<Stream>);

impl Inlet {
    /// Takes in what the server says about the stream.
    pub(super) fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::Relaxed);
    }

    /// Whether the stream allows fast ingest, as far as is known.
    pub(super) fn is_allowed(&self) -> bool {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Whether a batch is worth it.
    fn is_behind(&self) -> bool {
        self.alone.load(Ordering::Relaxed) >= BACKLOG_MESSAGES
            && self.rests_until().is_none_or(|until| Instant::now() >= until)
    }

    fn rest(&self, pause: Duration) {
        *self.rests_until() = Some(Instant::now() + pause);
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Alone {
    fn new(stream: &Arc<Stream>) -> Self {
        stream.inlet.alone.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(stream))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.inlet.alone.fetch_sub(1, Ordering::Relaxed);
    }
}

impl NatsPublisher {
    /// Publishes to a stream that allows fast ingest: in a batch if there is a backlog.
    pub(super) async fn ingest(&self, stream: Arc<Stream>, outgoing: Outgoing) -> Result<Pending, PublishError> {
        let headers = self.headers(&outgoing)?;
        if !self.parts.wire.connected().await {
            return Err(PublishError::Disconnected { subject: outgoing.subject });
        }
        let large = outgoing.payload.len() > MAX_PAYLOAD_BYTES;
        let mut turn = stream.inlet.turn.lock().await;
        if turn.as_ref().is_some_and(|batch| batch.is_over(self.parts.wire.connects())) {
            *turn = None;
        }
        if turn.is_none() && !large && stream.inlet.is_behind() {
            *turn = Batch::open(self, &stream).await;
        }
        match &*turn {
            Some(batch) if !large => batch.add(self, outgoing, headers).await,
            _ => {
                let mut pending = self.send_to_stream(outgoing.ready(headers)).await?;
                if let PendingKind::Stored { alone, .. } = &mut pending.kind {
                    *alone = Some(Alone::new(&stream));
                }
                Ok(pending)
            }
        }
    }
}
