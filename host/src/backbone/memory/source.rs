//! Reading: what was sent to a client arrives after a while, unless its connection is lost before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ack::MemoryAcker;
use super::client::Client;
use super::consumer::{Pinned, Sent};
use super::core::Arrived;
use super::event::{Happened, Place};
use super::state::{Link, State};
use crate::backbone::{Acker, Delivery, Drops, Room, SourceError};
use crate::message::{Message, Origin, OriginKind};

/// An open source of the server in memory.
#[derive(Debug)]
pub(in crate::backbone) enum MemorySource {
    Consumer(Reader),
    Core(Listener),
}

/// Reads a durable consumer.
#[derive(Debug)]
pub(in crate::backbone) struct Reader {
    client: Client,
    key: (Arc<str>, Arc<str>),
    reader: Pinned,
    ack_wait: Duration,
    inbox: Inbox,
}

/// What is on its way to a reader.
#[derive(Debug, Default)]
struct Inbox {
    /// How often the connection had been lost, and the reader told to forget, when it was sent.
    lost: (u64, u64),
    /// With the times of arrival, which ascend.
    sent: VecDeque<(Instant, Sent)>,
}

/// Reads a core subscription.
#[derive(Debug)]
pub(in crate::backbone) struct Listener {
    client: Client,
    number: u64,
    /// Messages without an id so far.
    nameless: u64,
}

impl MemorySource {
    /// See [`Source::next`](crate::backbone::Source::next).
    pub(in crate::backbone) async fn next(&mut self, room: Room) -> Result<Vec<Delivery>, SourceError> {
        Ok(match self {
            Self::Consumer(reader) => reader.next(room).await,
            Self::Core(listener) => listener.next(room).await,
        })
    }

    pub(in crate::backbone) fn drops(&self) -> Option<Drops> {
        let Self::Core(Listener { client, number, .. }) = self else { return None };
        client.server.change(|state| state.subscriptions.get(number).map(|subscription| subscription.drops.clone()))
    }

    pub(in crate::backbone) fn ack_wait(&self) -> Option<Duration> {
        match self {
            Self::Consumer(reader) => Some(reader.ack_wait),
            Self::Core(_) => None,
        }
    }
}

impl Reader {
    pub(super) fn new(client: Client, key: (Arc<str>, Arc<str>), reader: Pinned, ack_wait: Duration) -> Self {
        Self { client, key, reader, ack_wait, inbox: Inbox::default() }
    }

    async fn next(&mut self, room: Room) -> Vec<Delivery> {
        let Self { client, key, reader, inbox, .. } = self;
        client.server.until(|state| inbox.look(state, client, key, *reader, room)).await
    }
}

impl Inbox {
    /// Takes what has arrived, having asked for as much as there is room for; or says when to look again.
    fn look(
        &mut self,
        state: &mut State,
        client: &Client,
        key: &(Arc<str>, Arc<str>),
        reader: Pinned,
        room: Room,
    ) -> Result<Vec<Delivery>, Option<Instant>> {
        let lost = match state.link(client.number) {
            Link::Up(lost) => lost,
            Link::Down(until) => return Err(Some(until)),
            Link::Gone => return Err(None),
        };
        state.pin(key, reader)?;
        let lost = (lost, state.consumers[key].recalls);
        if lost != self.lost {
            self.sent.clear();
            self.lost = lost;
        }
        let more = self.left_of(room);
        for (due, sent) in state.pull(key, more) {
            let due = self.sent.back().map_or(due, |(last, _)| due.max(*last));
            self.sent.push_back((due, sent));
        }
        let mut taken = Vec::new();
        while taken.len() < room.messages
            && let Some((_, sent)) = self.sent.pop_front_if(|(due, _)| *due <= Instant::now())
        {
            taken.extend(deliver(state, client, key, sent));
        }
        if !taken.is_empty() {
            return Ok(taken);
        }
        // What is due already and was not sent waits for more room than this call has.
        let due = state.consumers[key].wake().filter(|due| *due > Instant::now());
        Err([self.sent.front().map(|(due, _)| *due), due].into_iter().flatten().min())
    }

    /// What is left of the room when everything has arrived.
    fn left_of(&self, room: Room) -> Room {
        let bytes: usize = self.sent.iter().map(|(_, sent)| sent.bytes).sum();
        Room {
            messages: room.messages.saturating_sub(self.sent.len()),
            bytes: room.bytes.saturating_sub(bytes),
            holds_nothing: room.holds_nothing && self.sent.is_empty(),
        }
    }
}

fn deliver(state: &mut State, client: &Client, key: &(Arc<str>, Arc<str>), sent: Sent) -> Option<Delivery> {
    let place = Place { stream: Arc::clone(&key.0), consumer: Arc::clone(&key.1), sequence: sent.sequence };
    let stored = state.hand_over(&place, sent, client.number)?;
    let id = format!("{}:{}:{}", key.0, stored.sequence, stored.nanos);
    Some(Delivery {
        origin: Origin {
            kind: OriginKind::JetStream,
            id: id.into(),
            timestamp_ms: stored.nanos / 1_000_000,
            delivery: sent.delivery,
        },
        message: Message { subject: stored.subject, headers: stored.headers, payload: stored.payload },
        reply: None,
        bytes: sent.bytes,
        acker: Acker::Memory(MemoryAcker::new(client.clone(), place)),
    })
}

impl Listener {
    pub(super) fn new(client: Client, number: u64) -> Self {
        Self { client, number, nameless: 0 }
    }

    async fn next(&mut self, room: Room) -> Vec<Delivery> {
        let Self { client, number, nameless } = self;
        let look = |state: &mut State| {
            let Some(subscription) = state.subscriptions.get_mut(number) else { return Err(None) };
            let taken = subscription.take(Instant::now(), room);
            if taken.is_empty() {
                return Err(subscription.wake().filter(|due| *due > Instant::now()));
            }
            Ok(taken.into_iter().map(|arrived| received(state, client.number, nameless, arrived)).collect())
        };
        client.server.until(look).await
    }
}

fn received(state: &mut State, client: usize, nameless: &mut u64, arrived: Arrived) -> Delivery {
    let Arrived { message, reply, bytes, .. } = arrived;
    let id = match message.headers.get("Nats-Msg-Id") {
        Some(id) => id.to_owned(),
        None => {
            *nameless += 1;
            format!("core:{client}:{nameless}")
        }
    };
    state.note(Happened::Received { client, subject: message.subject.to_string(), id: id.clone() });
    let timestamp_ms = state.nanos() / 1_000_000;
    let origin = Origin { kind: OriginKind::Core, id: id.into(), timestamp_ms, delivery: 1 };
    Delivery { message, origin, reply, bytes, acker: Acker::Core }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Self { client, key, reader, .. } = self;
        client.server.change(|state| {
            if let Some(consumer) = state.consumers.get_mut(key).filter(|consumer| consumer.pinned == Some(*reader)) {
                consumer.pinned = None;
            }
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.client.server.change(|state| state.subscriptions.remove(&self.number));
    }
}
