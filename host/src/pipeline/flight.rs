//! The messages of one source that are between intake and acknowledgement: so that none is worked on twice at a time,
//! and so that the server does not give up waiting for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::message::{Origin, OriginKind};
use crate::names::SourceName;
use crate::telemetry::SourceMetrics;

use super::job::Job;

/// Messages handed back whose first try is remembered.
const MAX_REMEMBERED_MESSAGES: usize = 100_000;

/// One source's messages in flight.
#[derive(Debug)]
pub struct InFlight {
    /// The source.
    pub source: SourceName,
    /// Its counters.
    pub metrics: Arc<SourceMetrics>,
    state: Mutex<State>,
    /// How many of its messages keep it paused.
    stuck: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// By id; of durable sources only, since no other delivers twice.
    jobs: HashMap<Arc<str>, Weak<Job>>,
    /// When messages that were handed back were tried first.
    first_tries: HashMap<Arc<str>, SystemTime>,
}

impl InFlight {
    /// Nothing in flight yet.
    #[must_use]
    pub fn new(source: SourceName, metrics: Arc<SourceMetrics>) -> Arc<Self> {
        Arc::new(Self { source, metrics, state: Mutex::default(), stuck: watch::Sender::new(0) })
    }

    /// Whether this message is being worked on: then it was delivered once more because an acknowledgement wait ran
    /// out, and resolving the earlier delivery resolves it.
    pub(super) fn has(&self, origin: &Origin) -> bool {
        self.state().jobs.get(&origin.id).is_some_and(|job| job.strong_count() > 0)
    }

    /// A message is in flight from now on.
    pub(super) fn entered(&self, job: &Arc<Job>) {
        if job.redelivers() {
            self.state().jobs.insert(Arc::clone(&job.origin.id), Arc::downgrade(job));
        }
    }

    /// A message is no longer in flight; one that was handed back will come again.
    pub(super) fn left(&self, job: &Job, comes_again: bool) {
        let id = &job.origin.id;
        let mut state = self.state();
        state.jobs.remove(id);
        if comes_again && state.first_tries.len() < MAX_REMEMBERED_MESSAGES {
            state.first_tries.entry(Arc::clone(id)).or_insert_with(|| job.first_try());
        } else {
            state.first_tries.remove(id);
        }
    }

    /// When this message was tried first, as far as this process knows.
    pub(super) fn first_try(&self, origin: &Origin) -> SystemTime {
        let known = match origin.kind {
            OriginKind::JetStream if origin.delivery > 1 => self.state().first_tries.get(&origin.id).copied(),
            _ => None,
        };
        known.unwrap_or_else(SystemTime::now)
    }

    /// A message keeps the source paused, or does so no longer.
    pub(super) fn stuck(&self, stuck: bool) {
        self.stuck.send_modify(|count| *count = if stuck { *count + 1 } else { count.saturating_sub(1) });
    }

    /// Waits until no message keeps the source paused. Cancel safe.
    pub(super) async fn unstuck(&self) {
        if *self.stuck.borrow() == 0 {
            return;
        }
        // It fails only when the sender is gone, and that is ourselves.
        let _ = self.stuck.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Whether a message keeps the source paused, now and after every change.
    #[must_use]
    pub fn watch_stuck(&self) -> watch::Receiver<usize> {
        self.stuck.subscribe()
    }

    /// Tells the server of every message that has been in flight for a while that it is still worked on, three times
    /// in each ack wait, for as long as anything uses this.
    pub fn keep(self: &Arc<Self>, ack_wait: Duration) {
        let (flight, pause) = (Arc::downgrade(self), ack_wait / 3);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(flight) = flight.upgrade() else { return };
                for job in flight.older_than(pause) {
                    job.in_progress().await;
                }
            }
        });
    }

    fn older_than(&self, age: Duration) -> Vec<Arc<Job>> {
        let state = self.state();
        // What is younger is told of the next time, well within its ack wait.
        let mut jobs: Vec<_> =
            state.jobs.values().filter_map(Weak::upgrade).filter(|job| job.begun.elapsed() >= age).collect();
        // Of those that came at the same time the order does not matter, but has to be one that can be repeated.
        jobs.sort_unstable_by(|a, b| (a.begun, &a.origin.id).cmp(&(b.begun, &b.origin.id)));
        jobs
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
