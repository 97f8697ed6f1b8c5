//! Where the server answers pull requests.

use std::collections::VecDeque;

use async_nats::Subscriber;
use futures::{FutureExt as _, StreamExt as _};

use super::super::source::SourceError;
use super::super::wire::Wire;

/// A subject of our own, and what has come to it.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) subject: async_nats::Subject,
    pub(super) messages: Subscriber,
    /// Came to an inbox that was given up.
    pub(super) left_over: VecDeque<async_nats::Message>,
    /// Requests made to it may be lost: a new one keeps their late answers from exceeding the room.
    pub(super) stale: bool,
}

impl Inbox {
    pub(super) async fn open(wire: &Wire) -> Result<Self, SourceError> {
        let subject: async_nats::Subject = wire.client.new_inbox().into();
        let messages = wire.client.subscribe(subject.clone()).await.map_err(|_| SourceError::Closed)?;
        Ok(Self { subject, messages, left_over: VecDeque::new(), stale: false })
    }

    /// Takes a new subject, and along what has come to the old one.
    pub(super) async fn renew(&mut self, wire: &Wire) -> Result<(), SourceError> {
        let mut next = Self::open(wire).await?;
        while let Some(message) = self.pop() {
            // What the server said about requests of the old inbox is of no use now.
            if message.reply.is_some() {
                next.left_over.push_back(message);
            }
        }
        *self = next;
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<async_nats::Message> {
        self.left_over.pop_front().or_else(|| self.messages.next().now_or_never().flatten())
    }
}
