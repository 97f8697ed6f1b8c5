//! Outputs of one message that are stored together or not at all: atomic batches (ADR-50), one for each stream.
//!
//! What the server does, as read in 2.15 and seen in the tests:
//! * The messages of a batch wait at the stream's leader until the one that commits it. Only that one is answered, when
//!   the others ask for no answer; if one before it was lost or refused, the batch is refused as incomplete.
//! * One `Nats-Msg-Id` that the stream knows is enough for the whole batch to be refused.
//! * A batch without news for ten seconds is forgotten. Of unfinished ones a stream has at most 50: those of one
//!   connection are sent one after another, so that they are one at a time.
//! * A server before 2.12 takes the headers for any others, and stores each message by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::jetstream::ErrorCode;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::publish::{Confirmed, NatsPublisher, Outgoing, Pending, PendingKind, PublishError};
use crate::rules::Confirm;

/// The oldest server that knows atomic batches: major and minor version.
const MIN_SERVER: (i64, i64) = (2, 12);
/// Messages that the server takes in one batch.
const MAX_BATCH_MESSAGES: usize = 1000;

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// What became of a batch, message by message, which is waited for by each of them.
pub(super) type Together = Shared<BoxFuture<'static, Result<Arc<[Confirmed]>, PublishError>>>;

impl NatsPublisher {
    /// See [`Publisher::publish_together`](super::Publisher::publish_together).
    pub(super) async fn publish_together(&self, outputs: Vec<Outgoing>) -> Vec<Result<Pending, PublishError>> {
        let mut groups: BTreeMap<Arc<str>, Vec<(usize, Outgoing)>> = BTreeMap::new();
        let mut results = Vec::with_capacity(outputs.len());
        for (position, outgoing) in outputs.into_iter().enumerate() {
            match self.stored_by(&outgoing) {
                Ok(Some(stream)) => groups.entry(stream).or_default().push((position, outgoing)),
                Ok(None) => results.push((position, self.publish(outgoing).await)),
                Err(error) => results.push((position, Err(error))),
            }
        }
        for (stream, mut group) in groups {
            let Some((position, last)) = group.pop() else { continue };
            if group.is_empty() {
                results.push((position, self.publish(last).await));
                continue;
            }
            let mut places: Vec<_> =
                group.iter().map(|(position, message)| (*position, message.subject.clone())).collect();
            places.push((position, last.subject.clone()));
            let first = group.into_iter().map(|(_, message)| message).collect();
            let sent = self.publish_batch(stream, first, last).await;
            for (place, (position, subject)) in places.into_iter().enumerate() {
                let pending = sent.clone().map(|sent| Pending { subject, kind: PendingKind::Together(sent, place) });
                results.push((position, pending));
            }
        }
        results.sort_unstable_by_key(|(position, _)| *position);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The stream that stores a message, if one does. Here it has to be known: a message that is published by itself,
    /// because nobody knew where it goes, might be stored without the others.
    fn stored_by(&self, outgoing: &Outgoing) -> Result<Option<Arc<str>>, PublishError> {
        if outgoing.confirm == Confirm::Flush {
            return Ok(None);
        }
        let subject = &outgoing.subject;
        let unknown = |error| PublishError::StreamsUnknown { subject: subject.clone(), error };
        let index = &self.parts.index;
        match index.stream_of(subject.as_str()).map_err(unknown)? {
            None if outgoing.confirm == Confirm::Stream || index.takes(subject.as_str()).map_err(unknown)? => {
                index.mark_stale();
                Err(PublishError::NoStream { subject: subject.clone() })
            }
            stream => Ok(stream),
        }
    }

    /// Puts a batch on the wire, of which the last message commits the others.
    async fn publish_batch(
        &self,
        stream: Arc<str>,
        mut messages: Vec<Outgoing>,
        last: Outgoing,
    ) -> Result<Together, PublishError> {
        let count = messages.len() + 1;
        self.check_batch(&stream, count)?;
        let id = self.parts.wire.client.new_inbox().replace("_INBOX.", "");
        let part = |message: &Outgoing, sequence: usize| {
            let mut message = message.clone();
            message.headers.insert(BATCH_ID, id.clone());
            message.headers.insert(BATCH_SEQUENCE, sequence.to_string());
            message
        };
        let mut commit = part(&last, count);
        commit.headers.insert(BATCH_COMMIT, "1");
        // All of them before any is sent: there is no use in half a batch.
        let parts: Vec<_> = (1..)
            .zip(&messages)
            .map(|(sequence, message)| self.ready(part(message, sequence)))
            .collect::<Result<_, _>>()?;
        let commit = self.ready(commit)?;
        if !self.parts.wire.connected().await {
            return Err(PublishError::Disconnected { subject: last.subject });
        }
        let turn = self.parts.batches.lock().await;
        for part in parts {
            // The commit's answer is about all of them.
            let _ = self.send(part, None).await?;
        }
        let commit = self.send_to_stream(commit).await?;
        drop(turn);
        messages.push(last);
        let publisher = self.clone();
        Ok(async move { publisher.committed(&stream, commit, messages).await }.boxed().shared())
    }

    fn check_batch(&self, stream: &str, messages: usize) -> Result<(), PublishError> {
        let refuse = |reason, retryable| {
            Err(PublishError::NotTogether { stream: stream.to_owned(), messages, reason, retryable })
        };
        if messages > MAX_BATCH_MESSAGES {
            return refuse(format!("the server takes at most {MAX_BATCH_MESSAGES}"), false);
        }
        let (major, minor) = MIN_SERVER;
        let client = &self.parts.wire.client;
        if !client.is_server_compatible(major, minor, 0) {
            let version = client.server_info().version;
            let reason = format!(
                "the NATS server is {version}, and can do so from {major}.{minor} on; update it, or take `atomic` out of the rule"
            );
            return refuse(reason, true);
        }
        Ok(())
    }

    /// Waits for the answer to the commit.
    async fn committed(
        &self,
        stream: &str,
        commit: Pending,
        messages: Vec<Outgoing>,
    ) -> Result<Arc<[Confirmed]>, PublishError> {
        match commit.confirmed().await {
            Err(PublishError::Stream { code, .. }) if ErrorCode(code) == ErrorCode::ATOMIC_PUBLISH_DISABLED => {
                Err(PublishError::NotTogether {
                    stream: stream.to_owned(),
                    messages: messages.len(),
                    reason: format!(
                        "it does not allow that; allow it with:\n    nats stream edit {stream} --allow-batch"
                    ),
                    retryable: true,
                })
            }
            Err(PublishError::Stream { code, .. })
                if ErrorCode(code) == ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE =>
            {
                self.complete(messages).await
            }
            other => other.map(|last| each(last, messages.len())),
        }
    }

    /// Stores what is missing of a batch of which the stream has something. It has all of it, unless the rules have
    /// changed since or the duplicate window has begun to forget it; what is missing comes to what is there, one by
    /// one, and should that fail, the message is tried again.
    async fn complete(&self, messages: Vec<Outgoing>) -> Result<Arc<[Confirmed]>, PublishError> {
        let mut sent = Vec::with_capacity(messages.len());
        for message in messages {
            sent.push(self.publish(message).await?);
        }
        let mut confirmed = Vec::with_capacity(sent.len());
        for pending in sent {
            confirmed.push(pending.confirmed().await?);
        }
        Ok(confirmed.into())
    }
}

/// Where each message of a batch is, by the last one, which alone is answered: they are stored one right after another.
fn each(last: Confirmed, count: usize) -> Arc<[Confirmed]> {
    let Confirmed::Stored { stream, sequence, duplicate } = last else { return vec![last; count].into() };
    let at = |sequence| Confirmed::Stored { stream: stream.clone(), sequence, duplicate };
    let mut all: Vec<_> = (0..=sequence).rev().take(count).map(at).collect();
    all.reverse();
    all.into()
}
