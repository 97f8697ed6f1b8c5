//! Being the one client that a consumer delivers to (ADR-42, policy `pinned_client`).
//!
//! What the server does, as read in 2.15 and seen in the tests:
//! * It pins the client whose request it serves first, and says so by the header `Nats-Pin-Id` of every delivery.
//! * A client stays pinned for as long as requests with its id come at least once in the consumer's `priority_timeout`.
//!   Any request counts, also one that is not served, and neither heartbeats nor a closed connection matter.
//! * Requests with an id that is not the pinned one are ended with status 423; those without an id wait.
//! * After a restart nobody is pinned.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::watch;

use super::super::wire::Wire;

/// The one priority group of an ordered source's consumer.
pub(in super::super) const GROUP: &str = "trackside";

/// The header in which the server says who is pinned. It comes after what a producer may have stored by that name.
pub(in super::super) const PIN_ID: &str = "Nats-Pin-Id";

/// Requests that keep the pin come this many times in the time after which it would be lost.
const KEEP_TIMES: u32 = 3;

/// How long a client of a consumer with this ack wait stays pinned without a sign of life: less than the ack wait, so
/// that the pin has moved when what the client held comes again.
pub(in super::super) fn timeout(ack_wait: Duration) -> Duration {
    ack_wait.clamp(Duration::from_secs(1), Duration::from_secs(10))
}

/// The id by which the server knows us, while we are pinned. It is kept alive in the background, also while there is no
/// room for messages, and lost with the process.
#[derive(Debug)]
pub(super) struct Pin {
    id: watch::Sender<Option<Arc<str>>>,
    stream: Arc<str>,
    durable: Arc<str>,
}

impl Pin {
    pub(super) fn new(wire: &Arc<Wire>, stream: &str, durable: &str, timeout: Duration) -> Self {
        let id = watch::Sender::new(None);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}");
        tokio::spawn(keep(Arc::clone(wire), subject, id.subscribe(), timeout / KEEP_TIMES));
        Self { id, stream: stream.into(), durable: durable.into() }
    }

    pub(super) fn is_held(&self) -> bool {
        self.id.borrow().is_some()
    }

    pub(super) fn is(&self, id: &str) -> bool {
        self.id.borrow().as_deref() == Some(id)
    }

    pub(super) fn gained(&self, id: &str) {
        self.id.send_replace(Some(id.into()));
    }

    pub(super) fn lost(&self) {
        self.id.send_replace(None);
    }

    /// What a request has to say, as members of its JSON object.
    pub(super) fn members(&self) -> String {
        members(self.id.borrow().as_deref())
    }

    /// Lets the server choose another client at once. Should the request fail, it does so after the time-out.
    pub(super) async fn release(&self, wire: &Wire) {
        self.lost();
        let request = format!("CONSUMER.UNPIN.{}.{}", self.stream, self.durable);
        if let Err(error) = wire.api::<IgnoredAny>(request, &json!({ "group": GROUP })).await {
            tracing::debug!(stream = &*self.stream, consumer = &*self.durable, %error, "the pin has to time out");
        }
    }
}

fn members(id: Option<&str>) -> String {
    let id = id.map(|id| format!(",\"id\":{}", json!(id))).unwrap_or_default();
    format!(",\"group\":{}{id}", json!(GROUP))
}

/// Asks for a message of at most one byte at a subject that nobody reads: it is never served, and counts as a sign of
/// life. Ends with the pin's owner.
async fn keep(wire: Arc<Wire>, subject: String, mut id: watch::Receiver<Option<Arc<str>>>, every: Duration) {
    let nowhere = wire.client.new_inbox();
    let expires = every.as_nanos();
    while id.wait_for(Option::is_some).await.is_ok() {
        let members = members(id.borrow_and_update().as_deref());
        let body = format!("{{\"batch\":1,\"max_bytes\":1,\"expires\":{expires}{members}}}");
        let sent = wire.client.publish_with_reply(subject.clone(), nowhere.clone(), Bytes::from(body)).await;
        if sent.is_err() {
            return;
        }
        tokio::select! {
            changed = id.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(every) => {}
        }
    }
}
