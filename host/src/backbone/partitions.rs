//! A stream that several instances read in order: in partitions, each with a consumer of its own, that is delivered to
//! one instance at a time.
//!
//! An instance asks for the messages of its share of the partitions only, and gives up what is not of its share any
//! more: it lets the server deliver to another one, and that one waits for what is still worked on here, as it does
//! after a death. So a partition keeps its order while it moves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;

use self::presence::Presence;
use super::Delivery;
use super::consumer::Wanted;
use super::jetstream::{JetStreamSource, Requested};
use super::source::{Room, SourceError};
use super::wire::Wire;
use crate::message::SubjectPattern;
use crate::rules::Partitions;

mod presence;
mod shares;

/// Consumers that are opened at a time.
const OPEN_AT_ONCE: usize = 16;

/// What stands for the partition's number in a filter.
const PLACEHOLDER: &str = "{partition}";

/// The consumers of all partitions, of which this instance reads some.
#[derive(Debug)]
pub(super) struct PartitionedSource {
    stream: String,
    durable: String,
    count: u32,
    presence: Presence,
    /// The numbers of those that are to be read here.
    share: BTreeSet<u32>,
    /// Those that are read.
    reading: BTreeMap<u32, JetStreamSource>,
    /// Those that are being given up. By tasks, since a caller may be cancelled or busy, and others wait for it.
    leaving: JoinSet<(u32, JetStreamSource)>,
    /// Those that are read by others.
    idle: BTreeMap<u32, JetStreamSource>,
    /// Came when there was no room for it.
    ready: VecDeque<Delivery>,
    /// Which of those that are read is asked first.
    turn: usize,
    ack_wait: Duration,
}

/// The consumer of one partition.
pub(super) fn durable_of(durable: &str, number: u32) -> String {
    format!("{durable}-{number}")
}

impl PartitionedSource {
    /// Finds or makes the consumers, `DURABLE-0` and so on.
    pub(super) async fn open(
        wire: Arc<Wire>,
        wanted: Wanted<'_>,
        partitions: &Partitions,
    ) -> Result<Self, SourceError> {
        let open = |number: u32| {
            let wire = Arc::clone(&wire);
            async move {
                let durable = durable_of(wanted.durable, number);
                let filter_subjects = filters(&partitions.filters, number)?;
                let wanted = Wanted { durable: &durable, filter_subjects: &filter_subjects, ..wanted };
                Ok((number, JetStreamSource::open(wire, wanted).await?))
            }
        };
        let opening = futures::stream::iter((0..partitions.count).map(open)).buffered(OPEN_AT_ONCE);
        let idle: BTreeMap<_, _> = opening.try_collect::<Vec<_>>().await?.into_iter().collect();
        // The shortest, by which all can be kept: the owner may have changed some of them.
        let ack_wait = idle.values().map(JetStreamSource::ack_wait).min().unwrap_or(wanted.ack_wait);
        Ok(Self {
            stream: wanted.stream.to_owned(),
            durable: wanted.durable.to_owned(),
            count: partitions.count,
            presence: Presence::begin(&wire, wanted.stream, wanted.durable).await?,
            share: BTreeSet::new(),
            reading: BTreeMap::new(),
            leaving: JoinSet::new(),
            idle,
            ready: VecDeque::new(),
            turn: 0,
            ack_wait,
        })
    }

    pub(super) fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// See [`Source::next`](super::Source::next).
    pub(super) async fn next(&mut self, room: Room) -> Result<Vec<Delivery>, SourceError> {
        loop {
            let taken = self.take(room);
            if !taken.is_empty() {
                return Ok(taken);
            }
            self.share();
            let rooms = self.rooms(room);
            self.turn = self.turn.wrapping_add(1);
            tokio::select! {
                biased;
                () = self.presence.changed() => {}
                (number, partition) = left(&mut self.leaving) => {
                    self.idle.insert(number, partition);
                }
                batch = any(&mut self.reading, &rooms, self.turn) => self.ready.extend(batch?),
            }
        }
    }

    /// Leaves all partitions to others.
    pub(super) async fn retire(&mut self) {
        self.presence.end().await;
        self.share.clear();
        self.give_up();
        for delivery in self.ready.drain(..) {
            let _ = delivery.acker.nak(None).await;
        }
        while !self.leaving.is_empty() {
            let (number, partition) = left(&mut self.leaving).await;
            self.idle.insert(number, partition);
        }
    }

    /// Takes what is there and fits.
    fn take(&mut self, mut room: Room) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while let Some(next) = self.ready.front() {
            let fits = room.messages > 0 && (next.bytes <= room.bytes || room.holds_nothing);
            let Some(delivery) = self.ready.pop_front_if(|_| fits) else { break };
            room = room.less(delivery.bytes);
            taken.push(delivery);
        }
        taken
    }

    /// Begins to read what has come to our share, and to give up what has left it.
    fn share(&mut self) {
        if let Some(instances) = self.presence.news() {
            let share = shares::of(self.presence.me(), &instances, self.count);
            if share != self.share {
                self.share = share;
                self.tell(instances.len());
            }
        }
        self.give_up();
        let come = self.idle.extract_if(.., |number, _| self.share.contains(number));
        self.reading.extend(come);
    }

    fn give_up(&mut self) {
        for (number, mut partition) in self.reading.extract_if(.., |number, _| !self.share.contains(number)) {
            self.leaving.spawn(async move {
                partition.retire().await;
                (number, partition)
            });
        }
    }

    fn tell(&self, instances: usize) {
        let partitions: Vec<_> = self.share.iter().map(u32::to_string).collect();
        tracing::info!(
            stream = self.stream,
            consumer = self.durable,
            of = self.count,
            instances,
            partitions = partitions.join(" "),
            "this instance reads these partitions"
        );
    }

    /// The room of each partition that is read: what it has asked for, and an even part of what nobody has. Each may
    /// have one message, or one that asks for nothing would keep the last place for ever; so up to one message for each
    /// partition may come that there is no room for, and waits here.
    fn rooms(&self, room: Room) -> Vec<Room> {
        let number = self.reading.len().max(1);
        let asked = self.reading.values().map(JetStreamSource::requested);
        let (messages, bytes) =
            asked.fold((0, 0), |(messages, bytes), asked| (messages + asked.messages, bytes + asked.bytes));
        let free_messages = room.messages.saturating_sub(messages) / number;
        let free_bytes = room.bytes.saturating_sub(bytes) / number;
        let room_of = |partition: &JetStreamSource| {
            let Requested { messages, bytes } = partition.requested();
            Room {
                messages: (messages + free_messages).max(1),
                bytes: bytes + free_bytes,
                holds_nothing: room.holds_nothing,
            }
        };
        self.reading.values().map(room_of).collect()
    }
}

/// The first of these partitions that has something, beginning with another one at each turn.
async fn any(
    partitions: &mut BTreeMap<u32, JetStreamSource>,
    rooms: &[Room],
    turn: usize,
) -> Result<Vec<Delivery>, SourceError> {
    let mut calls: Vec<_> =
        partitions.values_mut().zip(rooms).map(|(partition, room)| partition.next(*room).boxed()).collect();
    if calls.is_empty() {
        return std::future::pending().await;
    }
    let first = turn % calls.len();
    calls.rotate_left(first);
    select_all(calls).await.0
}

/// The next partition that has been given up. Cancel safe.
async fn left(leaving: &mut JoinSet<(u32, JetStreamSource)>) -> (u32, JetStreamSource) {
    match leaving.join_next().await {
        Some(Ok(left)) => left,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // None is being given up, or the process ends.
        _ => std::future::pending().await,
    }
}

/// The filters of one partition.
fn filters(templates: &[String], number: u32) -> Result<Vec<SubjectPattern>, SourceError> {
    let filter = |template: &String| {
        let subject = template.replace(PLACEHOLDER, &number.to_string());
        SubjectPattern::new(&subject).map_err(|error| SourceError::Subscribe { subject, reason: error.to_string() })
    };
    templates.iter().map(filter).collect()
}
