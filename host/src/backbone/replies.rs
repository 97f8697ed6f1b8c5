//! Replies to requests that are published as outputs: one subscription for all of them, and a subject below it for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{StatusCode, Subscriber};
use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::jetstream::headers_from_wire;
use super::source::SourceError;
use super::wire::Wire;
use crate::message::{Headers, Message, Subject};

/// Replies to one request that may wait; the first one counts, and others say only that nobody listens.
const WAITING: usize = 64;

/// Where replies come in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Replies(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    prefix: String,
    waiting: Arc<Mutex<Waiting>>,
    reader: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_number: HashMap<u64, mpsc::Sender<Reply>>,
    count: u64,
}

/// What came to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Message(Message),
    /// Nobody listens to what an output was published to.
    NoResponders,
}

/// A request that waits for replies. Dropping it forgets them.
#[derive(Debug)]
pub struct Awaited {
    number: u64,
    subject: Subject,
    replies: mpsc::Receiver<Reply>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Replies {
    pub(super) async fn open(wire: &Wire) -> Result<Self, SourceError> {
        let prefix = wire.client.new_inbox();
        let subscribed = wire.client.subscribe(format!("{prefix}.*")).await;
        let messages = subscribed
            .map_err(|error| SourceError::Subscribe { subject: format!("{prefix}.*"), reason: error.to_string() })?;
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        let reader = tokio::spawn(read(messages, prefix.len() + 1, Arc::clone(&waiting)));
        Ok(Self(Arc::new(Shared { prefix, waiting, reader })))
    }

    /// A subject for replies, and what comes there.
    #[must_use]
    pub fn wait(&self) -> Awaited {
        let (sender, replies) = mpsc::channel(WAITING);
        let mut waiting = lock(&self.0.waiting);
        waiting.count += 1;
        let number = waiting.count;
        waiting.by_number.insert(number, sender);
        let subject = Subject::delivered(&format!("{}.{number}", self.0.prefix));
        Awaited { number, subject, replies, waiting: Arc::clone(&self.0.waiting) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Awaited {
    /// Where replies are to be sent.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Waits for the next one; `None` if there can be none any more.
    pub async fn next(&mut self) -> Option<Reply> {
        self.replies.recv().await
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        lock(&self.waiting).by_number.remove(&self.number);
    }
}

async fn read(mut messages: Subscriber, prefix: usize, waiting: Arc<Mutex<Waiting>>) {
    while let Some(message) = messages.next().await {
        let number = message.subject.get(prefix..).and_then(|number| number.parse().ok());
        let sender = number.and_then(|number: u64| lock(&waiting).by_number.get(&number).cloned());
        let Some(sender) = sender else { continue };
        let reply = if message.status == Some(StatusCode::NO_RESPONDERS) {
            Reply::NoResponders
        } else {
            let headers = message.headers.as_ref().map_or_else(Headers::default, headers_from_wire);
            Reply::Message(Message { subject: Subject::delivered(&message.subject), headers, payload: message.payload })
        };
        // A full queue means that there was an answer long ago.
        let _ = sender.try_send(reply);
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
