//! Publishing: decided at once, confirmed later.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::client::Client;
use super::event::Happened;
use super::faults::{Sabotage, happens};
use super::server::REQUEST_TIMEOUT;
use super::state::{Link, State};
use super::stream::Stream;
use crate::backbone::{Confirmed, Outgoing, PublishError};
use crate::message::{Message, Subject};
use crate::rules::Confirm;

/// Largest message that the server takes, headers and payload together: the default of a real one.
const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// A message that is on its way.
#[derive(Debug)]
pub(in crate::backbone) struct Pending {
    client: Client,
    subject: Subject,
    id: String,
    /// How often the client's connection had been lost when it was sent.
    lost: u64,
    answer: Answer,
}

/// What the server answers, and when that arrives.
#[derive(Debug)]
struct Answer {
    due: Instant,
    by_stream: bool,
    result: Result<Confirmed, PublishError>,
}

impl Client {
    /// See [`Publisher::publish`](crate::backbone::Publisher::publish).
    pub(in crate::backbone) async fn publish(&self, outgoing: Outgoing) -> Result<Pending, PublishError> {
        let size = outgoing.headers.byte_len() + outgoing.message_id.len() + outgoing.payload.len();
        let (subject, id) = (outgoing.subject.clone(), outgoing.message_id.clone());
        if size > MAX_PAYLOAD_BYTES {
            return Err(PublishError::TooLarge { subject, size, max: MAX_PAYLOAD_BYTES });
        }
        let Some(lost) = self.connected().await else { return Err(PublishError::Disconnected { subject }) };
        self.may_panic(&id);
        let answer = self.server.change(|state| state.publish(outgoing));
        Ok(Pending { client: self.clone(), subject, id, lost, answer })
    }

    /// See [`Publisher::publish_together`](crate::backbone::Publisher::publish_together).
    pub(in crate::backbone) async fn publish_together(
        &self,
        outputs: Vec<Outgoing>,
    ) -> Vec<(Subject, Result<Pending, PublishError>)> {
        let subjects: Vec<_> = outputs.iter().map(|output| output.subject.clone()).collect();
        let Some(lost) = self.connected().await else {
            let fail = |subject: Subject| (subject.clone(), Err(PublishError::Disconnected { subject }));
            return subjects.into_iter().map(fail).collect();
        };
        let ids: Vec<_> = outputs.iter().map(|output| output.message_id.clone()).collect();
        ids.iter().for_each(|id| self.may_panic(id));
        let answers = self.server.change(|state| state.publish_together(outputs));
        let pending = |((subject, id), answer): ((Subject, String), Answer)| {
            (subject.clone(), Ok(Pending { client: self.clone(), subject, id, lost, answer }))
        };
        subjects.into_iter().zip(ids).zip(answers).map(pending).collect()
    }

    /// Waits for the connection, at most as long as a request may take. Returns how often it was lost.
    async fn connected(&self) -> Option<u64> {
        let give_up = Instant::now() + REQUEST_TIMEOUT;
        loop {
            match self.server.change(|state| state.link(self.number)) {
                Link::Up(lost) => return Some(lost),
                Link::Gone => return std::future::pending().await,
                Link::Down(_) if Instant::now() >= give_up => return None,
                Link::Down(until) => tokio::time::sleep_until(until.min(give_up)).await,
            }
        }
    }

    /// Stands for a bug of the host that breaks a lane or a settler off.
    fn may_panic(&self, id: &str) {
        let panics = self.server.change(|state| {
            let panics = happens(&mut state.rng, state.faults.panics);
            if panics {
                state.note(Happened::Panicked { id: id.to_owned() });
            }
            panics
        });
        if panics {
            // Unlike a panic it prints nothing.
            std::panic::resume_unwind(Box::new("the simulation wants it so"));
        }
    }
}

impl Pending {
    pub(in crate::backbone) fn is_stored(&self) -> bool {
        self.answer.by_stream
    }

    /// See [`Pending::confirmed`](crate::backbone::Pending::confirmed).
    pub(in crate::backbone) async fn confirmed(self) -> Result<Confirmed, PublishError> {
        let Self { client, subject, id, lost, answer } = self;
        client.may_panic(&id);
        tokio::select! {
            biased;
            () = client.lost_since(lost) => Err(PublishError::Disconnected { subject }),
            () = tokio::time::sleep_until(answer.due) => answer.result,
        }
    }
}

impl State {
    fn publish(&mut self, outgoing: Outgoing) -> Answer {
        self.publish_batch(vec![outgoing]).remove(0)
    }

    /// Publishes each stream's part as one batch (ADR-50), if there is more than one of it and it has none of them.
    fn publish_together(&mut self, outputs: Vec<Outgoing>) -> Vec<Answer> {
        let mut groups: BTreeMap<Option<Arc<str>>, Vec<(usize, Outgoing)>> = BTreeMap::new();
        for (position, outgoing) in outputs.into_iter().enumerate() {
            let takes = |(_, stream): &(&Arc<str>, &Stream)| stream.takes(outgoing.subject.as_str());
            let stream = self.streams.iter().find(takes).map(|(name, _)| Arc::clone(name));
            groups.entry(stream.filter(|_| outgoing.confirm != Confirm::Flush)).or_default().push((position, outgoing));
        }
        let mut answers = Vec::new();
        for (stream, group) in groups {
            let (positions, group): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let known = |id: &str, state: &mut Self| {
                let stream = stream.as_ref().and_then(|stream| state.streams.get_mut(stream));
                stream.is_none_or(|stream| stream.duplicate_of(id, Instant::now()).is_some())
            };
            let split = self.sabotage == Some(Sabotage::SplitBatches);
            let answered = if split || group.iter().any(|outgoing| known(&outgoing.message_id, self)) {
                group.into_iter().map(|outgoing| self.publish(outgoing)).collect()
            } else {
                self.publish_batch(group)
            };
            answers.extend(positions.into_iter().zip(answered));
        }
        answers.sort_by_key(|(position, _)| *position);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Publishes messages that one stream takes, all or none; or one message.
    fn publish_batch(&mut self, batch: Vec<Outgoing>) -> Vec<Answer> {
        let now = Instant::now();
        let due = now + self.faults.delay(&mut self.rng);
        let Outgoing { subject, confirm, .. } = &batch[0];
        let stream = self.streams.values().find(|stream| stream.takes(subject.as_str()));
        let by_stream = match confirm {
            Confirm::Stream => true,
            Confirm::Flush => false,
            Confirm::Auto => stream.is_some(),
        };
        let full = stream.is_some_and(|stream| stream.is_full(now));
        let missing = by_stream && stream.is_none();
        let timeout = || PublishError::Timeout { subject: subject.clone(), after: REQUEST_TIMEOUT };

        let failed = happens(&mut self.rng, self.faults.publishes_failed);
        let error = match (missing, full, failed) {
            (true, ..) => Some(PublishError::NoStream { subject: subject.clone() }),
            (_, true, _) if by_stream => Some(refused(subject, "maximum messages exceeded")),
            (_, _, true) if by_stream && self.rng.bool() => Some(refused(subject, "no space left on device")),
            (_, _, true) => Some(timeout()),
            _ => None,
        };
        if let Some(error) = error {
            let due = if matches!(error, PublishError::Timeout { .. }) { now + REQUEST_TIMEOUT } else { due };
            let mut answers = Vec::with_capacity(batch.len());
            for Outgoing { subject, message_id: id, .. } in batch {
                self.note(Happened::Failed { subject: subject.to_string(), id, why: error.to_string() });
                let confirms = self.sabotage == Some(Sabotage::ConfirmUnstored);
                let result = if confirms { Ok(Confirmed::Flushed) } else { Err(error.clone()) };
                answers.push(Answer { due, by_stream, result });
            }
            return answers;
        }
        let unconfirmed = happens(&mut self.rng, self.faults.confirmations_lost).then(timeout);
        let mut stored = Vec::with_capacity(batch.len());
        for Outgoing { subject, reply, mut headers, payload, message_id: id, .. } in batch {
            headers.insert("Nats-Msg-Id", id.clone());
            // A full stream keeps nothing of what is not confirmed by it, and nobody is told.
            let kept = if full { None } else { self.receive(Message { subject, headers, payload }, reply.as_ref()) };
            stored.push((id, kept));
        }
        let answer = |(id, kept): (String, Option<(Arc<str>, u64, bool)>)| {
            if let Some(error) = &unconfirmed {
                self.note(Happened::Unconfirmed { id });
                return Answer { due: now + REQUEST_TIMEOUT, by_stream, result: Err(error.clone()) };
            }
            let confirmed = match kept.filter(|_| by_stream) {
                Some((stream, sequence, duplicate)) => {
                    Confirmed::Stored { stream: stream.to_string(), sequence, duplicate }
                }
                None => Confirmed::Flushed,
            };
            Answer { due, by_stream, result: Ok(confirmed) }
        };
        stored.into_iter().map(answer).collect()
    }
}

/// What a stream says that cannot store a message now: `JSStreamStoreFailedF` of the server's `errors.json`.
fn refused(subject: &Subject, text: &str) -> PublishError {
    PublishError::Stream { subject: subject.clone(), text: text.to_owned(), code: 10077, retryable: true }
}
