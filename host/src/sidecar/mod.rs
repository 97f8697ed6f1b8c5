//! HTTP for a service beside Trackside that has no NATS client.
//!
//! What the service publishes goes through the rules of source `sidecar` while it waits (`publish.rs`, `batch.rs`), and so
//! does what it asks (`request.rs`), whose reply comes back through the rules of source `sidecar-replies`. Services that
//! would rather pull than be posted to get what routes hand out by `subscribe.rs`. What a call says about its message is
//! read by `call.rs` and `events.rs`; `answer.rs` puts what became of it into words. Nothing here decides what becomes of a
//! message: its rules do.

mod accept;
mod answer;
mod batch;
mod call;
mod desk;
mod events;
mod listener;
mod publish;
mod request;
mod server;
mod subscribe;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::watch;

use crate::admin::Problem;
use crate::outlets::Outlets;
use crate::rules::SidecarSettings;
use crate::telemetry::Readiness;

pub use desk::Desk;
pub use listener::Listener;
pub use server::serve;

/// What one that is refused for now is told to wait, unless more is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the listener needs.
#[derive(Debug, Clone)]
pub struct Sidecar {
    settings: Arc<SidecarSettings>,
    outlets: Outlets,
    readiness: Readiness,
    /// Tells what this process has handed out from what another one has.
    run: Arc<str>,
    /// Where messages are handed in, once everything has started.
    desk: Arc<OnceLock<Desk>>,
    calls: Arc<watch::Sender<Calls>>,
}

/// Calls that hand messages in.
#[derive(Debug, Default)]
struct Calls {
    under_way: usize,
    stopping: bool,
}

/// A call that hands messages in, from its head to the end of its answer.
#[derive(Debug)]
struct UnderWay(Arc<watch::Sender<Calls>>);

impl Sidecar {
    /// A sidecar that hands out what waits in these queues, and hands in nothing yet.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new(settings: SidecarSettings, outlets: Outlets, readiness: Readiness) -> Result<Self, getrandom::Error> {
        let mut run = [0; 6];
        getrandom::fill(&mut run)?;
        let (desk, calls) = (Arc::default(), Arc::default());
        Ok(Self { settings: Arc::new(settings), outlets, readiness, run: hex::encode(run).into(), desk, calls })
    }

    /// Messages can be handed in from now on.
    pub fn open(&self, desk: Desk) {
        self.desk.get_or_init(|| desk);
    }

    /// Takes no further calls that hand messages in, and waits until those under way are answered.
    pub async fn stop(&self) {
        self.calls.send_modify(|calls| calls.stopping = true);
        // It fails only when the sender is gone, and that is ourselves.
        let _ = self.calls.subscribe().wait_for(|calls| calls.under_way == 0).await;
    }

    /// Begins with a call.
    fn begin(&self) -> Result<UnderWay, Problem> {
        let mut stopping = false;
        self.calls.send_if_modified(|calls| {
            stopping = calls.stopping;
            calls.under_way += usize::from(!stopping);
            false
        });
        if stopping {
            return Err(unavailable("Trackside is stopping; publish to the one that comes after it", RETRY_AFTER));
        }
        Ok(UnderWay(Arc::clone(&self.calls)))
    }

    /// Where messages are handed in, if that is possible now.
    fn desk(&self) -> Result<&Desk, Problem> {
        let desk = self.desk.get().ok_or_else(|| unavailable("Trackside is starting", RETRY_AFTER))?;
        if !desk.is_connected() {
            return Err(unavailable("there is no connection to NATS, so nothing could be confirmed", RETRY_AFTER));
        }
        Ok(desk)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|calls| calls.under_way = calls.under_way.saturating_sub(1));
    }
}

/// `503`, with when to come again.
fn unavailable(detail: impl Into<String>, after: Duration) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(seconds(after))
}

/// Whole seconds, at least one.
fn seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}
