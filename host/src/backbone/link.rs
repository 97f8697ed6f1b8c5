//! What the client says about its connection: counted, logged, and passed on to whoever waits for a change.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use async_nats::{ClientError, Event, ServerError};
use tokio::sync::watch;

/// How often the connection was made and lost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LinkState {
    pub(super) made: u64,
    pub(super) lost: u64,
    pub(super) closed: bool,
}

/// Whether the connection is there, as it changes.
#[derive(Debug, Clone)]
pub struct LinkWatch(watch::Receiver<LinkState>);

impl LinkWatch {
    pub(super) fn of(link: &Link) -> Self {
        Self(link.watch())
    }

    /// Whether the connection is there now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let state = *self.0.borrow();
        state.made > state.lost && !state.closed
    }

    /// Waits for a change; false if there will be none any more.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Waits until there will be no connection any more.
    pub async fn closed(&mut self) {
        // Nobody is left who could make one when the other end is gone, which is as good.
        let _ = self.0.wait_for(|state| state.closed).await;
    }
}

/// Attempts to connect that came to nothing, as they are spoken of: when the reason changes, and every so many.
#[derive(Debug, Default)]
pub(super) struct Failures {
    last: String,
    attempts: usize,
}

impl Failures {
    /// A connection that does not come about is spoken of this often.
    const REMIND_EVERY_ATTEMPTS: usize = 15;

    /// Takes in one more; whether to speak of it.
    pub(super) fn note(&mut self, reason: &str) -> Option<usize> {
        self.attempts += 1;
        let news = self.last != reason || self.attempts.is_multiple_of(Self::REMIND_EVERY_ATTEMPTS);
        reason.clone_into(&mut self.last);
        news.then_some(self.attempts)
    }
}

/// The connection's history.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The servers' addresses, as the log tells them.
    servers: String,
    failures: Mutex<Failures>,
    state: watch::Sender<LinkState>,
    slow_consumer: AtomicU64,
    /// The subject of flush markers, which permissions may deny.
    echo_inbox: OnceLock<String>,
    echo_denied: AtomicBool,
}

impl Link {
    pub(super) fn new(servers: String) -> Self {
        Self { servers, ..Self::default() }
    }

    pub(super) fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    pub(super) fn state(&self) -> LinkState {
        *self.state.borrow()
    }

    /// Messages that the client dropped because a subscription was not read fast enough.
    pub(super) fn slow_consumer_drops(&self) -> u64 {
        self.slow_consumer.load(Ordering::Relaxed)
    }

    pub(super) fn set_echo_inbox(&self, inbox: String) {
        self.echo_inbox.get_or_init(|| inbox);
    }

    pub(super) fn is_echo_denied(&self) -> bool {
        self.echo_denied.load(Ordering::Relaxed)
    }

    /// The client is gone, and has not said so.
    pub(super) fn broke_off(&self) {
        self.state.send_modify(|state| state.closed = true);
        tracing::error!(
            "the NATS client broke off by a fault of its own; the log says before this where it panicked, and after the next \
             start which message it cannot read, if it is that"
        );
    }

    /// Takes in one event of the client.
    pub(super) fn note(&self, event: Event) {
        match event {
            Event::Connected => {
                *self.failures() = Failures::default();
                self.state.send_modify(|state| state.made += 1);
            }
            Event::Disconnected => {
                self.state.send_modify(|state| state.lost += 1);
                tracing::warn!("lost the connection to NATS; reconnecting");
            }
            Event::LameDuckMode => tracing::warn!("the NATS server is shutting down (lame duck mode)"),
            Event::Draining => tracing::debug!("draining the connection to NATS"),
            Event::Closed => {
                self.state.send_modify(|state| state.closed = true);
                tracing::info!("closed the connection to NATS");
            }
            Event::SlowConsumer(subscription) => {
                // One event a message: a line each would make a slow process slower.
                if self.slow_consumer.fetch_add(1, Ordering::Relaxed).is_power_of_two() {
                    tracing::warn!(subscription, "messages of a subscription that is not read fast enough are dropped");
                }
            }
            Event::ServerError(error) => self.server_error(&error),
            Event::ClientError(error) => self.client_error(&error),
        }
    }

    /// An attempt to connect again has come to nothing, unless the client says something else.
    fn client_error(&self, error: &ClientError) {
        let mut reason = error.to_string();
        if reason.ends_with("IO error") {
            // Which one it was the client keeps to itself.
            "refused, reset or out of reach".clone_into(&mut reason);
        }
        if let Some(attempt) = self.failures().note(&reason) {
            tracing::warn!(servers = self.servers, reason, attempt, "no NATS server can be reached; trying on");
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server_error(&self, error: &ServerError) {
        let text = error.to_string();
        if text.contains("Permissions Violation") {
            if self.echo_inbox.get().is_some_and(|inbox| text.contains(inbox.as_str())) {
                self.echo_denied.store(true, Ordering::Relaxed);
                tracing::warn!(
                    "this user may not publish to `_INBOX.>`: flushes of core outputs end at the socket, not at the server"
                );
                return;
            }
            if text.contains("$JS.EVENT.ADVISORY") {
                tracing::debug!(error = text, "stream advisories are not permitted; streams are polled for instead");
                return;
            }
        }
        tracing::error!(error = text, "error from the NATS server");
    }
}

#[cfg(test)]
mod tests {
    use super::Failures;

    #[test]
    fn failures_are_spoken_of_when_they_change_and_now_and_then() {
        let mut failures = Failures::default();
        let told: Vec<usize> = (0..32).filter_map(|_| failures.note("refused")).collect();
        assert_eq!(told, [1, 15, 30]);
        assert_eq!(failures.note("no TLS"), Some(33));
        assert_eq!(failures.note("no TLS"), None);
    }
}
