//! Everything that the server knows, behind one lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::consumer::{Consumer, Pinned, Sent};
use super::core::{Arrived, Subscription};
use super::event::{Event, Happened, Place};
use super::faults::{Faults, Sabotage, happens};
use super::stream::Stream;
use super::{Resolution, Stored};
use crate::backbone::Room;
use crate::message::{Message, Subject};

/// When the server began, in nanoseconds since the Unix epoch: 2026-11-22, 10:00 UTC.
const BEGUN_NANOS: u64 = 1_795_341_600_000_000_000;

/// How long an ordered consumer keeps to a reader that is not connected.
const PIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Events that are kept; later ones are not.
const MAX_EVENTS: usize = 1_000_000;

#[derive(Debug)]
pub(super) struct State {
    begun: Instant,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    pub(super) sabotage: Option<Sabotage>,
    pub(super) streams: BTreeMap<Arc<str>, Stream>,
    /// By stream and name.
    pub(super) consumers: BTreeMap<(Arc<str>, Arc<str>), Consumer>,
    pub(super) subscriptions: BTreeMap<u64, Subscription>,
    pub(super) subscribed: u64,
    pub(super) clients: Vec<Connected>,
    pub(super) events: Vec<Event>,
}

/// What the server knows of a client.
#[derive(Debug, Default)]
pub(super) struct Connected {
    gone: bool,
    /// How often the connection was lost.
    lost: u64,
    down_until: Option<Instant>,
    /// When the connection was lost last.
    down_since: Option<Instant>,
    /// What it sent without a connection, and arrives when that is back.
    late: Vec<(Place, Resolution)>,
}

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// With the number of connections that were lost before.
    Up(u64),
    Down(Instant),
    /// The client has crashed: nothing that it does has any effect.
    Gone,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            begun: Instant::now(),
            rng: Rng::with_seed(seed),
            faults: Faults::default(),
            sabotage: None,
            streams: BTreeMap::new(),
            consumers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            subscribed: 0,
            clients: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, what: Happened) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(Event { at: self.begun.elapsed(), what });
        }
    }

    pub(super) fn nanos(&self) -> u64 {
        BEGUN_NANOS + u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX - BEGUN_NANOS)
    }

    pub(super) fn link(&self, client: usize) -> Link {
        let client = &self.clients[client];
        match client.down_until {
            _ if client.gone => Link::Gone,
            Some(until) => Link::Down(until),
            None => Link::Up(client.lost),
        }
    }

    /// Brings back the connections whose time has come.
    pub(super) fn advance(&mut self) {
        let now = Instant::now();
        for number in 0..self.clients.len() {
            let client = &mut self.clients[number];
            if client.down_until.is_none_or(|until| until > now) {
                continue;
            }
            client.down_until = None;
            let late = std::mem::take(&mut client.late);
            self.note(Happened::Reconnected(number));
            for (place, resolution) in late {
                self.apply(number, &place, resolution);
            }
        }
    }

    /// Every connection is lost for a while, and whatever was on its way.
    pub(super) fn interrupt(&mut self, during: Duration) {
        self.note(Happened::Interrupted(during));
        (0..self.clients.len()).for_each(|client| self.lose(client, during));
    }

    /// A client's connection is lost for a while, and whatever was on its way to it.
    pub(super) fn lose(&mut self, number: usize, during: Duration) {
        let now = Instant::now();
        let client = &mut self.clients[number];
        if client.gone {
            return;
        }
        client.lost += 1;
        if client.down_until.is_none() {
            client.down_since = Some(now);
        }
        client.down_until = client.down_until.max(Some(now + during));
        let own = |subscription: &&mut Subscription| subscription.client == number;
        self.subscriptions.values_mut().filter(own).for_each(Subscription::lose);
        let reads = |consumer: &Consumer| consumer.pinned.is_some_and(|pinned| pinned.client == number);
        let keys: Vec<_> = self.consumers.iter().filter(|(_, c)| reads(c)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.raise_barrier(&key);
        }
    }

    /// Whether an ordered consumer delivers to this reader: to the first one that asks, once the one before is gone or
    /// was not there for too long. Otherwise, when to ask again.
    pub(super) fn pin(&mut self, key: &(Arc<str>, Arc<str>), reader: Pinned) -> Result<(), Option<Instant>> {
        let consumer = self.consumers.get(key).ok_or(None)?;
        if !consumer.ordered || consumer.pinned == Some(reader) {
            return Ok(());
        }
        if let Some(Pinned { client, .. }) = consumer.pinned {
            let gone = match self.link(client) {
                Link::Up(_) => return Err(None),
                Link::Down(_) => self.clients[client].down_since.map(|since| since + PIN_TIMEOUT),
                Link::Gone => None,
            };
            if gone.is_some_and(|gone| gone > Instant::now()) {
                return Err(gone);
            }
        }
        self.consumers.get_mut(key).ok_or(None)?.pinned = Some(reader);
        self.note(Happened::Pinned { consumer: Arc::clone(&key.1), client: reader.client });
        self.raise_barrier(key);
        Ok(())
    }

    /// A client has given something up that goes before what is newer.
    pub(super) fn given_up(&mut self, client: usize, place: &Place) {
        let key = place.key();
        let matters = |consumer: &Consumer| {
            let reads = consumer.pinned.is_some_and(|pinned| pinned.client == client);
            reads && consumer.pending().any(|pending| pending == place.sequence)
        };
        if self.consumers.get(&key).is_some_and(matters) {
            self.raise_barrier(&key);
        }
    }

    /// A client is gone.
    pub(super) fn crash(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.gone = true;
        client.down_until = None;
        for (place, resolution) in std::mem::take(&mut client.late) {
            self.note(resolution.lost(number, place));
        }
        self.subscriptions.retain(|_, subscription| subscription.client != number);
        self.consumers.values_mut().for_each(|consumer| consumer.forget(number));
        self.note(Happened::Crashed(number));
    }

    pub(super) fn raise_barrier(&mut self, key: &(Arc<str>, Arc<str>)) {
        if self.sabotage == Some(Sabotage::SkipBarriers) {
            return;
        }
        let Some(consumer) = self.consumers.get_mut(key).filter(|consumer| consumer.ordered) else { return };
        let awaited = consumer.raise_barrier();
        if awaited > 0 {
            self.note(Happened::Barrier { consumer: Arc::clone(&key.1), awaited });
        }
    }

    /// Sends what a reader has room for, each with the time at which it arrives.
    pub(super) fn pull(&mut self, key: &(Arc<str>, Arc<str>), room: Room) -> Vec<(Instant, Sent)> {
        let now = Instant::now();
        let (Some(consumer), Some(stream)) = (self.consumers.get_mut(key), self.streams.get(&key.0)) else {
            return Vec::new();
        };
        let mut sent = Vec::new();
        for one in consumer.pull(stream, now, room) {
            sent.push((now + self.faults.delay(&mut self.rng), one));
            if happens(&mut self.rng, self.faults.delivered_twice)
                && let Some(again) = consumer.again(one)
            {
                sent.push((now + self.faults.delay(&mut self.rng), again));
            }
        }
        sent
    }

    /// Hands a delivery over that has arrived, if it is to be.
    pub(super) fn hand_over(&mut self, place: &Place, sent: Sent, client: usize) -> Option<Stored> {
        let stored = self.streams.get(&place.stream)?.get(sent.sequence)?.clone();
        let consumer = self.consumers.get_mut(&place.key())?;
        if !consumer.hand_over(sent.sequence, client) {
            return None;
        }
        self.note(Happened::Delivered { client, place: place.clone(), delivery: sent.delivery });
        if self.sabotage == Some(Sabotage::AckEarly) {
            self.apply(client, place, Resolution::Ack);
        }
        Some(stored)
    }

    /// A client says what became of a delivery.
    pub(super) fn resolve(&mut self, client: usize, place: &Place, resolution: Resolution) {
        let sure = self.consumers.get(&place.key()).is_some_and(|consumer| consumer.double_ack);
        let lost = match self.link(client) {
            Link::Gone => return,
            Link::Up(_) => !sure && happens(&mut self.rng, self.faults.acks_lost),
            Link::Down(_) if sure || self.rng.bool() => {
                self.clients[client].late.push((place.clone(), resolution));
                return;
            }
            Link::Down(_) => true,
        };
        if lost {
            self.note(resolution.lost(client, place.clone()));
        } else {
            self.apply(client, place, resolution);
        }
    }

    fn apply(&mut self, client: usize, place: &Place, resolution: Resolution) {
        let Some(consumer) = self.consumers.get_mut(&place.key()) else { return };
        let (sequence, now) = (place.sequence, Instant::now());
        let happened = match resolution {
            Resolution::Ack => consumer.done(sequence).then(|| Happened::Acknowledged(place.clone())),
            Resolution::Term => consumer.done(sequence).then(|| Happened::Terminated(place.clone())),
            Resolution::Nak(after) => {
                let until = (self.sabotage != Some(Sabotage::DropNaks)).then_some(now + after);
                consumer.put_off(sequence, until).then(|| Happened::HandedBack { client, place: place.clone(), after })
            }
            Resolution::InProgress => {
                consumer.put_off(sequence, Some(now + consumer.ack_wait));
                None
            }
        };
        if let Some(happened) = happened {
            self.note(happened);
        }
    }

    /// A message reaches the server by way of a client or of somebody else: it is stored if a stream takes it, and
    /// passed on to the subscriptions in any case. Returns where it is stored, and whether it was before.
    pub(super) fn receive(&mut self, message: Message, reply: Option<&Subject>) -> Option<(Arc<str>, u64, bool)> {
        let (now, nanos) = (Instant::now(), self.nanos());
        let receivers = self.pass(&message, reply);
        let id = message.headers.get("Nats-Msg-Id").unwrap_or_default().to_owned();
        let subject = message.subject.to_string();
        let Some((name, stream)) = self.streams.iter_mut().find(|(_, stream)| stream.takes(&subject)) else {
            self.note(Happened::Passed { subject, id, receivers });
            return None;
        };
        let name = Arc::clone(name);
        let known = stream.duplicate_of(&id, now).filter(|_| self.sabotage != Some(Sabotage::IgnoreIds));
        if let Some(sequence) = known {
            self.note(Happened::Duplicate { stream: Arc::clone(&name), sequence, id });
            return Some((name, sequence, true));
        }
        let sequence = stream.store(message.subject, message.headers, message.payload, nanos, now);
        self.note(Happened::Stored { stream: Arc::clone(&name), sequence, subject, id });
        Some((name, sequence, false))
    }

    /// Passes a message to every subscription of its own, and to one of each queue group.
    fn pass(&mut self, message: &Message, reply: Option<&Subject>) -> usize {
        let subject = message.subject.as_str();
        let connected = |s: &Subscription| self.clients[s.client].down_until.is_none();
        let mut groups: BTreeMap<Option<&str>, Vec<u64>> = BTreeMap::new();
        for (number, subscription) in &self.subscriptions {
            if subscription.pattern.matches(subject) && connected(subscription) {
                groups.entry(subscription.queue_group.as_deref()).or_default().push(*number);
            }
        }
        let mut receivers = groups.remove(&None).unwrap_or_default();
        receivers.extend(groups.into_values().map(|members| members[self.rng.usize(..members.len())]));
        let due = Instant::now() + self.faults.delay(&mut self.rng);
        for number in &receivers {
            let arrived = Arrived::new(message.clone(), reply.cloned(), due);
            let taken = self.subscriptions.get_mut(number).is_some_and(|subscription| subscription.offer(arrived));
            if !taken {
                self.note(Happened::Dropped { subject: subject.to_owned() });
            }
        }
        receivers.len()
    }
}

impl Place {
    pub(super) fn key(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.stream), Arc::clone(&self.consumer))
    }
}
