//! Where the sidecar hands messages in: the two sources that it is, and what it has to know about NATS.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::admin::Problem;
use crate::backbone::{Awaited, Connection, Replies};
use crate::message::{Message, Origin, OriginKind, Subject};
use crate::pipeline::{Counter, Handed, NotTaken, Place, Report};
use crate::times::unix_ms;

use super::{answer, unavailable};

/// What handing in needs.
#[derive(Debug)]
pub struct Desk {
    connection: Connection,
    messages: Counter,
    replies: Counter,
    inbox: Replies,
    run: String,
    count: AtomicU64,
}

/// Which of the two sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Messages,
    Replies,
}

/// What becomes of a message that was handed in.
pub(super) struct Told {
    id: String,
    until: Instant,
    told: oneshot::Receiver<Vec<Report>>,
}

impl Desk {
    /// A desk for the sources of messages and of replies. `run` makes ids unique over processes.
    #[must_use]
    pub fn new(connection: Connection, messages: Counter, replies: Counter, inbox: Replies, run: String) -> Self {
        Self { connection, messages, replies, inbox, run, count: AtomicU64::new(0) }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    /// Largest payload that the server could take.
    pub(super) fn max_payload(&self) -> usize {
        self.connection.max_payload()
    }

    /// The id of a message: what its sender calls it, within its subject, or one of our own.
    pub(super) fn id(&self, subject: &Subject, key: Option<&str>) -> String {
        match key {
            Some(key) => format!("sidecar:{subject}:{key}"),
            None => format!("sidecar:{}-{}", self.run, self.count.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Somewhere for a reply to come.
    pub(super) fn await_reply(&self) -> Awaited {
        self.inbox.wait()
    }

    pub(super) fn takes(&self, of: Of, subject: &Subject) -> bool {
        self.counter(of).takes(subject)
    }

    pub(super) fn try_enter(&self, bytes: usize) -> Option<Place> {
        self.messages.try_enter(bytes)
    }

    /// Waits for a place for a reply, which nobody can send a second time.
    pub(super) async fn enter_reply(&self, bytes: usize) -> Place {
        self.replies.enter(bytes).await
    }

    /// Hands a message in. Nothing is returned where nobody waits.
    pub(super) fn hand_in(
        &self,
        of: Of,
        message: Message,
        id: &str,
        reply: Option<Subject>,
        place: Place,
        until: Option<Instant>,
    ) -> Result<Option<Told>, Problem> {
        let origin = Origin {
            kind: OriginKind::Sidecar,
            id: id.into(),
            timestamp_ms: unix_ms(std::time::SystemTime::now()),
            delivery: 1,
        };
        let handed = Handed { message, origin, reply, place, until };
        let told = self.counter(of).take(handed).map_err(|error| not_taken(&error, id))?;
        Ok(told.zip(until).map(|(told, until)| Told { id: id.to_owned(), until, told }))
    }

    fn counter(&self, of: Of) -> &Counter {
        match of {
            Of::Messages => &self.messages,
            Of::Replies => &self.replies,
        }
    }
}

impl Told {
    /// Waits until all rules are done with it.
    pub(super) async fn reports(self) -> Result<Vec<Report>, Problem> {
        match timeout_at(self.until, self.told).await {
            Ok(Ok(reports)) => Ok(reports),
            Ok(Err(_)) => {
                let detail =
                    "Trackside broke off in the middle of this message; send it again with the same Idempotency-Key";
                Err(unavailable(detail, super::RETRY_AFTER))
            }
            Err(_) => Err(answer::late(&self.id)),
        }
    }
}

fn not_taken(error: &NotTaken, id: &str) -> Problem {
    let reason = error.to_string();
    let Some((rule, after)) = error.later() else {
        return Problem::new(axum::http::StatusCode::NOT_FOUND, reason);
    };
    let outcomes = json!([{ "rule": rule.as_str(), "outcome": "unavailable", "reason": reason }]);
    unavailable(reason, after).with("id", id.into()).with("outcomes", outcomes)
}
