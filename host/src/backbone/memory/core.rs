//! A core subscription: bounded, and what does not fit is dropped and counted.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::backbone::{Drops, Room};
use crate::message::{Headers, Message, Subject, SubjectPattern};

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) client: usize,
    pub(super) pattern: SubjectPattern,
    pub(super) queue_group: Option<String>,
    max_messages: usize,
    max_bytes: usize,
    queue: VecDeque<Arrived>,
    bytes: usize,
    pub(super) drops: Drops,
}

/// A message that is on its way to a subscription, or there.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) reply: Option<Subject>,
    pub(super) bytes: usize,
    /// When it is there.
    pub(super) due: Instant,
}

impl Subscription {
    pub(super) fn new(
        client: usize,
        pattern: SubjectPattern,
        queue_group: Option<String>,
        max_messages: usize,
        max_bytes: usize,
    ) -> Self {
        Self {
            client,
            pattern,
            queue_group,
            max_messages,
            max_bytes,
            queue: VecDeque::new(),
            bytes: 0,
            drops: Drops::default(),
        }
    }

    /// Takes a message in. False if there is no room for it.
    pub(super) fn offer(&mut self, mut arrived: Arrived) -> bool {
        let fits = self.queue.len() < self.max_messages && self.bytes + arrived.bytes <= self.max_bytes;
        if !fits && !self.queue.is_empty() {
            self.drops.one();
            return false;
        }
        // What was published first arrives first.
        arrived.due = self.queue.back().map_or(arrived.due, |last| last.due.max(arrived.due));
        self.bytes += arrived.bytes;
        self.queue.push_back(arrived);
        true
    }

    /// Takes out what has arrived and there is room for.
    pub(super) fn take(&mut self, now: Instant, room: Room) -> Vec<Arrived> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < room.messages {
            let fits = |next: &mut Arrived| {
                let alone = room.holds_nothing && taken.is_empty();
                next.due <= now && (bytes + next.bytes <= room.bytes || alone)
            };
            let Some(next) = self.queue.pop_front_if(fits) else { break };
            bytes += next.bytes;
            taken.push(next);
        }
        self.bytes -= bytes;
        taken
    }

    /// When the next message is there.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.queue.front().map(|next| next.due)
    }

    /// The connection is lost, and with it what was not handed over.
    pub(super) fn lose(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}

impl Arrived {
    pub(super) fn new(message: Message, reply: Option<Subject>, due: Instant) -> Self {
        let Message { subject, headers, payload } = &message;
        let reply_bytes = reply.as_ref().map_or(0, |reply| reply.as_str().len());
        let bytes = subject.as_str().len() + reply_bytes + Headers::byte_len(headers) + payload.len();
        Self { message, reply, bytes, due }
    }
}
