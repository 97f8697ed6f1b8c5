//! A core subscription. A core publisher waits for nobody, so what does not fit the queue is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::Subscriber;
use futures::StreamExt as _;
use tokio::sync::Notify;

use super::drops::Drops;
use super::echo::Echo;
use super::jetstream::{headers_from_wire, room};
use super::source::{Room, SourceError};
use super::wire::Wire;
use super::{Acker, Delivery};
use crate::message::{Message, Origin, OriginKind, Subject, SubjectPattern};

/// An open subscription.
#[derive(Debug)]
pub(super) struct CoreSource {
    queue: Arc<Queue>,
    ids: Ids,
    reader: tokio::task::JoinHandle<()>,
}

/// What has come and was not taken yet, bounded in messages and bytes.
#[derive(Debug)]
struct Queue {
    held: Mutex<Held>,
    changed: Notify,
    drops: Drops,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    messages: VecDeque<(async_nats::Message, SystemTime)>,
    bytes: usize,
    ended: bool,
}

/// Makes ids for messages, unique over processes and restarts.
#[derive(Debug)]
struct Ids {
    process: String,
    count: u64,
}

impl CoreSource {
    pub(super) async fn open(
        wire: &Wire,
        echo: &Echo,
        subject: &SubjectPattern,
        queue_group: Option<&str>,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<Self, SourceError> {
        let text = subject.as_str().to_owned();
        let subscribed = match queue_group {
            Some(group) => wire.client.queue_subscribe(text.clone(), group.to_owned()).await,
            None => wire.client.subscribe(text.clone()).await,
        };
        let messages =
            subscribed.map_err(|error| SourceError::Subscribe { subject: text, reason: error.to_string() })?;
        // So that what anybody publishes once this has returned is received. If it fails, the subscription is made
        // again with the connection.
        let _ = echo.flush().await;
        let queue = Arc::new(Queue {
            held: Mutex::default(),
            changed: Notify::new(),
            drops: Drops::default(),
            max_messages,
            max_bytes,
        });
        let reader = tokio::spawn(read(Arc::clone(&queue), messages));
        let ids = Ids { process: wire.client.new_inbox().replace("_INBOX.", ""), count: 0 };
        Ok(Self { queue, ids, reader })
    }

    pub(super) fn drops(&self) -> Drops {
        self.queue.drops.clone()
    }

    /// See [`Source::next`](super::Source::next).
    pub(super) async fn next(&mut self, room: Room) -> Result<Vec<Delivery>, SourceError> {
        loop {
            let taken = self.queue.take(room);
            if !taken.is_empty() {
                return Ok(taken.into_iter().map(|(message, time)| self.ids.deliver(message, time)).collect());
            }
            if self.queue.has_ended() {
                return Err(SourceError::Closed);
            }
            self.queue.changed.notified().await;
        }
    }
}

impl Drop for CoreSource {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(queue: Arc<Queue>, mut messages: Subscriber) {
    while let Some(message) = messages.next().await {
        queue.offer(message);
    }
    queue.lock().ended = true;
    queue.changed.notify_one();
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, message: async_nats::Message) {
        let bytes = room(&message);
        {
            let mut held = self.lock();
            let fits = held.messages.len() < self.max_messages && held.bytes + bytes <= self.max_bytes;
            if !fits && !held.messages.is_empty() {
                drop(held);
                self.drops.one();
                return;
            }
            held.bytes += bytes;
            held.messages.push_back((message, SystemTime::now()));
        }
        self.changed.notify_one();
    }

    fn take(&self, space: Room) -> Vec<(async_nats::Message, SystemTime)> {
        let mut held = self.lock();
        let (mut count, mut bytes) = (0, 0);
        for (message, _) in held.messages.iter().take(space.messages) {
            let (alone, taken) = (space.holds_nothing && count == 0, room(message));
            if bytes + taken > space.bytes && !alone {
                break;
            }
            count += 1;
            bytes += taken;
        }
        held.bytes -= bytes;
        held.messages.drain(..count).collect()
    }

    fn has_ended(&self) -> bool {
        let held = self.lock();
        held.ended && held.messages.is_empty()
    }
}

impl Ids {
    fn deliver(&mut self, message: async_nats::Message, received: SystemTime) -> Delivery {
        let headers = message.headers.as_ref().map(headers_from_wire).unwrap_or_default();
        // Never the producer's own `Nats-Msg-Id`: core NATS gives it no meaning, so two producers may use the same, and
        // the outputs of one would be taken for duplicates of the other's.
        self.count += 1;
        let id = Arc::from(format!("core:{}:{}", self.process, self.count));
        let since = received.duration_since(UNIX_EPOCH).unwrap_or_default();
        Delivery {
            bytes: room(&message),
            origin: Origin {
                kind: OriginKind::Core,
                id,
                timestamp_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
                delivery: 1,
            },
            reply: message.reply.as_deref().map(Subject::delivered),
            acker: Acker::Core,
            message: Message { subject: Subject::delivered(&message.subject), headers, payload: message.payload },
        }
    }
}
