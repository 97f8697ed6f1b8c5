//! A client of the server in memory: one process, as the server sees it.

use std::sync::Arc;

use async_nats::datetime::parse_rfc3339;

use super::consumer::{Consumer, Pinned};
use super::core::Subscription;
use super::server::Server;
use super::source::{Listener, MemorySource, Reader};
use super::state::{Link, State};
use crate::backbone::publish::{Publisher, PublisherKind};
use crate::backbone::source::Kind;
use crate::backbone::{Source, SourceError, ensure};
use crate::message::SubjectPattern;
use crate::rules::{self, Deliver, Partitions, SourceKind};

/// A connection to the server in memory, which comes back by itself; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) server: Server,
    pub(super) number: usize,
}

impl Client {
    /// Its number, by which events tell of it.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// What outputs are published with.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher(PublisherKind::Memory(self.clone()))
    }

    /// Opens a source. The durable consumer of a JetStream source is made if it is missing.
    ///
    /// # Errors
    /// When its stream does not exist.
    pub fn open(&self, source: &rules::Source) -> Result<Source, SourceError> {
        let (messages, bytes) = (source.max_in_flight_messages, source.max_in_flight_bytes);
        let opened = match &source.kind {
            SourceKind::Core { subject, queue_group } => {
                let subscription =
                    Subscription::new(self.number, subject.clone(), queue_group.clone(), messages, bytes);
                let number = self.server.change(|state| {
                    state.subscribed += 1;
                    state.subscriptions.insert(state.subscribed, subscription);
                    state.subscribed
                });
                MemorySource::Core(Listener::new(self.clone(), number))
            }
            SourceKind::JetStream { stream, filter_subjects, durable, deliver, ack_wait, double_ack, partitions } => {
                let key: (Arc<str>, Arc<str>) = (Arc::from(stream.as_str()), Arc::from(durable.as_str()));
                let filter = filter(filter_subjects, partitions.as_ref());
                let opening = self.server.change(|state| {
                    let first = first(state, &key.0, filter_subjects, deliver)?;
                    let new = || Consumer::new(filter, *ack_wait, messages, first);
                    let consumer = state.consumers.entry(key.clone()).or_insert_with(new);
                    (consumer.ordered, consumer.double_ack) = (partitions.is_some(), *double_ack);
                    consumer.openings += 1;
                    Ok(consumer.openings)
                })?;
                let reader = Pinned { opening, client: self.number };
                MemorySource::Consumer(Reader::new(self.clone(), key, reader, *ack_wait))
            }
            SourceKind::Sidecar | SourceKind::Replies => return Err(SourceError::NotOfNats),
        };
        Ok(Source(Kind::Memory(Box::new(opened))))
    }

    /// The process dies: nothing that it does from now on has an effect or comes to an end, and what it had in hand is
    /// left to come again.
    pub fn crash(&self) {
        self.server.change(|state| state.crash(self.number));
    }

    /// Returns once the connection has been lost more often than that.
    pub(super) async fn lost_since(&self, lost: u64) {
        let look = |state: &mut State| match state.link(self.number) {
            Link::Up(now) if now <= lost => Err(None),
            Link::Gone => Err(None),
            Link::Up(_) | Link::Down(_) => Ok(()),
        };
        self.server.until(look).await;
    }
}

/// The subjects of all partitions together, which one reader reads here.
fn filter(filter_subjects: &[SubjectPattern], partitions: Option<&Partitions>) -> Vec<SubjectPattern> {
    let Some(partitions) = partitions.filter(|partitions| partitions.count > 1) else {
        return filter_subjects.to_vec();
    };
    let any = partitions.filters.iter().map(|filter| filter.replace("{partition}", "*"));
    any.filter_map(|filter| SubjectPattern::new(&filter).ok()).collect()
}

/// The sequence at which a new consumer begins.
fn first(state: &State, name: &str, filter: &[SubjectPattern], deliver: &Deliver) -> Result<u64, SourceError> {
    let Some(stream) = state.streams.get(name) else {
        let command = ensure::add_command(name, filter);
        return Err(SourceError::StreamMissing { stream: name.to_owned(), command });
    };
    Ok(match deliver {
        Deliver::All => 1,
        Deliver::New => stream.last() + 1,
        Deliver::FromSequence(sequence) => *sequence,
        Deliver::FromTime(text) => {
            let time = parse_rfc3339(text).map_err(|_| SourceError::Time { text: text.clone() })?;
            let nanos = u64::try_from(time.unix_timestamp_nanos()).unwrap_or(0);
            let before = stream.messages().partition_point(|message| message.nanos < nanos);
            before as u64 + 1
        }
    })
}
