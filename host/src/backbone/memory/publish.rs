//! Publishing: decided at once, confirmed later.

use tokio::time::Instant;

use super::client::Client;
use super::event::Happened;
use super::faults::{Sabotage, happens};
use super::server::REQUEST_TIMEOUT;
use super::state::{Link, State};
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
        let subject = outgoing.subject.clone();
        if size > MAX_PAYLOAD_BYTES {
            return Err(PublishError::TooLarge { subject, size, max: MAX_PAYLOAD_BYTES });
        }
        let Some(lost) = self.connected().await else { return Err(PublishError::Disconnected { subject }) };
        let answer = self.server.change(|state| state.publish(outgoing));
        Ok(Pending { client: self.clone(), subject, lost, answer })
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
}

impl Pending {
    pub(in crate::backbone) fn is_stored(&self) -> bool {
        self.answer.by_stream
    }

    /// See [`Pending::confirmed`](crate::backbone::Pending::confirmed).
    pub(in crate::backbone) async fn confirmed(self) -> Result<Confirmed, PublishError> {
        let Self { client, subject, lost, answer } = self;
        tokio::select! {
            biased;
            () = client.lost_since(lost) => Err(PublishError::Disconnected { subject }),
            () = tokio::time::sleep_until(answer.due) => answer.result,
        }
    }
}

impl State {
    fn publish(&mut self, outgoing: Outgoing) -> Answer {
        let Outgoing { subject, reply, mut headers, payload, confirm, message_id: id } = outgoing;
        headers.insert("Nats-Msg-Id", id.clone());
        let now = Instant::now();
        let due = now + self.faults.delay(&mut self.rng);
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
            (_, true, _) if by_stream => Some(refused(&subject, "maximum messages exceeded")),
            (_, _, true) if by_stream && self.rng.bool() => Some(refused(&subject, "no space left on device")),
            (_, _, true) => Some(timeout()),
            _ => None,
        };
        if let Some(error) = error {
            self.note(Happened::Failed { subject: subject.to_string(), id, why: error.to_string() });
            let due = if matches!(error, PublishError::Timeout { .. }) { now + REQUEST_TIMEOUT } else { due };
            let result =
                if self.sabotage == Some(Sabotage::ConfirmUnstored) { Ok(Confirmed::Flushed) } else { Err(error) };
            return Answer { due, by_stream, result };
        }
        // A full stream keeps nothing of what is not confirmed by it, and nobody is told.
        let kept = if full {
            None
        } else {
            self.receive(Message { subject: subject.clone(), headers, payload }, reply.as_ref())
        };
        if happens(&mut self.rng, self.faults.confirmations_lost) {
            self.note(Happened::Unconfirmed { id });
            return Answer { due: now + REQUEST_TIMEOUT, by_stream, result: Err(timeout()) };
        }
        let confirmed = match kept.filter(|_| by_stream) {
            Some((stream, sequence, duplicate)) => {
                Confirmed::Stored { stream: stream.to_string(), sequence, duplicate }
            }
            None => Confirmed::Flushed,
        };
        Answer { due, by_stream, result: Ok(confirmed) }
    }
}

/// What a stream says that cannot store a message now: `JSStreamStoreFailedF` of the server's `errors.json`.
fn refused(subject: &Subject, text: &str) -> PublishError {
    PublishError::Stream { subject: subject.clone(), text: text.to_owned(), code: 10077, retryable: true }
}
