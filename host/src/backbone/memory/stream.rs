//! A stream: what it takes, what it has stored, and what it recognises as stored already.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::message::{Headers, Subject, SubjectPattern};

/// Most messages that a stream stores; then it is full for good.
const MAX_MESSAGES: usize = 1_000_000;

/// A message that a stream has stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its sequence, counted from 1.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since the Unix epoch.
    pub nanos: u64,
    /// What it was published to.
    pub subject: Subject,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
}

#[derive(Debug)]
pub(super) struct Stream {
    subjects: Vec<SubjectPattern>,
    duplicate_window: Duration,
    messages: Vec<Stored>,
    /// The ids that were stored within the duplicate window, with their sequences.
    ids: BTreeMap<String, u64>,
    /// The same ids in the order in which they are forgotten.
    forgotten: VecDeque<(Instant, String)>,
    pub(super) full_until: Option<Instant>,
}

impl Stream {
    pub(super) fn new(subjects: &[SubjectPattern], duplicate_window: Duration) -> Self {
        Self {
            subjects: subjects.to_vec(),
            duplicate_window,
            messages: Vec::new(),
            ids: BTreeMap::new(),
            forgotten: VecDeque::new(),
            full_until: None,
        }
    }

    pub(super) fn takes(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| pattern.matches(subject))
    }

    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.messages.len() >= MAX_MESSAGES || self.full_until.is_some_and(|until| now < until)
    }

    /// The sequence under which a message of this id was stored within the duplicate window.
    pub(super) fn duplicate_of(&mut self, id: &str, now: Instant) -> Option<u64> {
        while let Some((_, id)) = self.forgotten.pop_front_if(|(time, _)| *time <= now) {
            self.ids.remove(&id);
        }
        self.ids.get(id).copied()
    }

    /// Stores a message and returns its sequence.
    pub(super) fn store(
        &mut self,
        subject: Subject,
        headers: Headers,
        payload: Bytes,
        nanos: u64,
        now: Instant,
    ) -> u64 {
        let sequence = self.last() + 1;
        if let Some(id) = headers.get("Nats-Msg-Id") {
            self.ids.insert(id.to_owned(), sequence);
            self.forgotten.push_back((now + self.duplicate_window, id.to_owned()));
        }
        self.messages.push(Stored { sequence, nanos, subject, headers, payload });
        sequence
    }

    /// The sequence of the last message; 0 without any.
    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Stored> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.messages.get(index)
    }

    pub(super) fn messages(&self) -> &[Stored] {
        &self.messages
    }
}

impl Stored {
    /// What it counts against a bound in bytes: subject, headers and payload.
    pub(super) fn bytes(&self) -> usize {
        self.subject.as_str().len() + self.headers.byte_len() + self.payload.len()
    }
}
