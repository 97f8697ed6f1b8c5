//! A durable pull consumer with explicit acknowledgement: which messages of its stream are delivered next, which are
//! waited for, and until when. Pure: it is told the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::stream::Stream;
use crate::backbone::Room;
use crate::message::SubjectPattern;

/// How far off a deadline is that never comes: longer than any simulation.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[derive(Debug)]
pub(super) struct Consumer {
    /// Empty means every subject.
    pub(super) filter: Vec<SubjectPattern>,
    pub(super) ack_wait: Duration,
    pub(super) max_pending: usize,
    pub(super) ordered: bool,
    /// Acknowledgements are repeated until they have arrived.
    pub(super) double_ack: bool,
    /// The next sequence that was never delivered.
    pub(super) next: u64,
    /// What was delivered and is not done with.
    pending: BTreeMap<u64, Waiting>,
    /// What has to come again before anything newer does; of ordered consumers only.
    awaited: BTreeSet<u64>,
    /// How often it was opened.
    pub(super) openings: u64,
    /// Who an ordered consumer delivers to.
    pub(super) pinned: Option<Pinned>,
    /// How often readers had to forget what was on its way to them.
    pub(super) recalls: u64,
}

/// A reader that is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pinned {
    pub(super) opening: u64,
    pub(super) client: usize,
}

#[derive(Debug)]
struct Waiting {
    /// When it is due again.
    until: Instant,
    deliveries: u32,
    /// The clients that have it in hand, once for each delivery that they have not resolved or dropped.
    holders: Vec<usize>,
}

/// A delivery that has been sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) delivery: u32,
    pub(super) bytes: usize,
}

impl Consumer {
    /// One that has delivered nothing before the sequence `next`.
    pub(super) fn new(filter: Vec<SubjectPattern>, ack_wait: Duration, max_pending: usize, next: u64) -> Self {
        Self {
            filter,
            ack_wait,
            max_pending,
            ordered: false,
            double_ack: false,
            next,
            pending: BTreeMap::new(),
            awaited: BTreeSet::new(),
            openings: 0,
            pinned: None,
            recalls: 0,
        }
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = u64> {
        self.pending.keys().copied()
    }

    /// Sends what there is room for: first what is due again, then what is new.
    pub(super) fn pull(&mut self, stream: &Stream, now: Instant, room: Room) -> Vec<Sent> {
        let mut room = Filling { room, sent: Vec::new() };
        for sequence in self.due(now) {
            let Some(bytes) = stream.get(sequence).map(super::Stored::bytes) else { continue };
            if !room.has(bytes) {
                return room.sent;
            }
            let delivery = self.deliver(sequence, now);
            room.sent.push(Sent { sequence, delivery, bytes });
        }
        while self.awaited.is_empty() && self.pending.len() < self.max_pending {
            let Some(message) = stream.get(self.next) else { break };
            let taken = self.filter.is_empty() || self.filter.iter().any(|f| f.matches(message.subject.as_str()));
            if taken {
                if !room.has(message.bytes()) {
                    break;
                }
                let delivery = self.deliver(self.next, now);
                room.sent.push(Sent { sequence: self.next, delivery, bytes: message.bytes() });
            }
            self.next += 1;
        }
        room.sent
    }

    /// What is due again, in the order in which it is to be sent.
    fn due(&mut self, now: Instant) -> Vec<u64> {
        if self.ordered {
            // What the reader has in hand it answers; a second delivery could only come out of order.
            let reader = self.pinned.map(|pinned| pinned.client);
            for waiting in self.pending.values_mut().filter(|waiting| waiting.is_held_by(reader)) {
                if waiting.until <= now {
                    waiting.until = now + self.ack_wait;
                }
            }
            let pending = &self.pending;
            self.awaited.retain(|sequence| pending.contains_key(sequence));
            if !self.awaited.is_empty() {
                let all = self.awaited.iter().all(|sequence| pending[sequence].until <= now);
                return if all { self.awaited.iter().copied().collect() } else { Vec::new() };
            }
        }
        let mut due: Vec<(Instant, u64)> = Vec::new();
        due.extend(self.pending.iter().filter(|(_, w)| w.until <= now).map(|(sequence, w)| (w.until, *sequence)));
        due.sort_unstable();
        due.into_iter().map(|(_, sequence)| sequence).collect()
    }

    fn deliver(&mut self, sequence: u64, now: Instant) -> u32 {
        self.awaited.remove(&sequence);
        let new = || Waiting { until: now, deliveries: 0, holders: Vec::new() };
        let waiting = self.pending.entry(sequence).or_insert_with(new);
        waiting.until = now + self.ack_wait;
        waiting.deliveries += 1;
        waiting.deliveries
    }

    /// Counts a further delivery of a message that has just been sent.
    pub(super) fn again(&mut self, sent: Sent) -> Option<Sent> {
        let waiting = self.pending.get_mut(&sent.sequence)?;
        waiting.deliveries += 1;
        Some(Sent { delivery: waiting.deliveries, ..sent })
    }

    /// When something that was sent is due again.
    pub(super) fn wake(&self) -> Option<Instant> {
        if self.awaited.is_empty() {
            return self.pending.values().map(|waiting| waiting.until).min();
        }
        self.awaited.iter().filter_map(|sequence| self.pending.get(sequence)).map(|waiting| waiting.until).max()
    }

    /// Whether a delivery that has arrived is handed over. Of an ordered consumer it is not if the client has the
    /// message in hand already.
    pub(super) fn hand_over(&mut self, sequence: u64, client: usize) -> bool {
        let Some(waiting) = self.pending.get_mut(&sequence) else { return true };
        if self.ordered && waiting.is_held_by(Some(client)) {
            return false;
        }
        waiting.holders.push(client);
        true
    }

    /// A client has resolved a delivery, or dropped it.
    pub(super) fn let_go(&mut self, sequence: u64, client: usize) {
        let Some(waiting) = self.pending.get_mut(&sequence) else { return };
        if let Some(position) = waiting.holders.iter().position(|holder| *holder == client) {
            waiting.holders.swap_remove(position);
        }
    }

    /// The message is done with. False if it was already.
    pub(super) fn done(&mut self, sequence: u64) -> bool {
        self.awaited.remove(&sequence);
        self.pending.remove(&sequence).is_some()
    }

    /// The message is due again at this time; `None` for never. False if it is done with.
    pub(super) fn put_off(&mut self, sequence: u64, until: Option<Instant>) -> bool {
        let Some(waiting) = self.pending.get_mut(&sequence) else { return false };
        waiting.until = until.unwrap_or_else(|| Instant::now() + NEVER);
        true
    }

    /// A client is gone: nothing is in its hands any more.
    pub(super) fn forget(&mut self, client: usize) {
        for waiting in self.pending.values_mut() {
            waiting.holders.retain(|holder| *holder != client);
        }
    }

    /// Some delivery may have been lost: whatever the reader does not have in hand has to be done with by others, or to
    /// come again, before anything newer. Returns how many there are.
    pub(super) fn raise_barrier(&mut self) -> usize {
        let reader = self.pinned.map(|pinned| pinned.client);
        let lost = self.pending.iter().filter(|(_, waiting)| !waiting.is_held_by(reader));
        self.awaited.extend(lost.map(|(sequence, _)| *sequence));
        self.recalls += 1;
        self.awaited.len()
    }
}

impl Waiting {
    fn is_held_by(&self, client: Option<usize>) -> bool {
        client.is_some_and(|client| self.holders.contains(&client))
    }
}

/// Room that is being used up.
struct Filling {
    room: Room,
    sent: Vec<Sent>,
}

impl Filling {
    fn has(&mut self, bytes: usize) -> bool {
        let alone = self.room.holds_nothing && self.sent.is_empty();
        if self.room.messages == 0 || (bytes > self.room.bytes && !alone) {
            return false;
        }
        self.room.messages -= 1;
        self.room.bytes = self.room.bytes.saturating_sub(bytes);
        true
    }
}
