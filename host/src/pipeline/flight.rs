//! The messages of one source that are between intake and acknowledgement: so that none is worked on twice at a time,
//! and so that the server does not give up waiting for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::message::{Origin, OriginKind};
use crate::names::SourceName;
use crate::telemetry::SourceMetrics;
use crate::telemetry::traces::Tracer;

use super::job::Job;

/// Messages handed back whose first try is remembered at least; of up to twice as many it may be. Other instances may
/// get them, so that what is remembered need not ever be asked for: the oldest is forgotten.
const REMEMBERED_MESSAGES: usize = 50_000;

/// One source's messages in flight.
#[derive(Debug)]
pub struct InFlight {
    /// The source.
    pub source: SourceName,
    /// Its counters.
    pub metrics: Arc<SourceMetrics>,
    /// Follows its messages, if that is wanted.
    pub(super) tracer: Option<Tracer>,
    state: Mutex<State>,
    /// How many of its messages keep it paused.
    stuck: watch::Sender<usize>,
}

/// A message's pause of its source, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Paused(Arc<InFlight>);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.stuck.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[derive(Debug, Default)]
struct State {
    /// By id; of durable sources only, since no other delivers twice.
    jobs: HashMap<Arc<str>, Weak<Job>>,
    first_tries: FirstTries,
}

/// When messages that were handed back were tried first.
#[derive(Debug, Default)]
struct FirstTries {
    newer: HashMap<Arc<str>, SystemTime>,
    older: HashMap<Arc<str>, SystemTime>,
}

impl InFlight {
    /// Nothing in flight yet.
    #[must_use]
    pub fn new(source: SourceName, metrics: Arc<SourceMetrics>, tracer: Option<Tracer>) -> Arc<Self> {
        Arc::new(Self { source, metrics, tracer, state: Mutex::default(), stuck: watch::Sender::new(0) })
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
        if comes_again {
            state.first_tries.remember(id, job.first_try());
        } else {
            state.first_tries.forget(id);
        }
    }

    /// When this message was tried first, as far as this process knows.
    pub(super) fn first_try(&self, origin: &Origin) -> SystemTime {
        let known = match origin.kind {
            OriginKind::JetStream if origin.delivery > 1 => self.state().first_tries.of(&origin.id),
            _ => None,
        };
        known.unwrap_or_else(SystemTime::now)
    }

    /// A message keeps the source paused from now on.
    pub(super) fn pause(self: &Arc<Self>) -> Paused {
        self.stuck.send_modify(|count| *count += 1);
        Paused(Arc::clone(self))
    }

    /// Whether a message keeps the source paused.
    pub(super) fn is_stuck(&self) -> bool {
        *self.stuck.borrow() > 0
    }

    /// Waits until no message keeps the source paused. Cancel safe.
    pub(super) async fn unstuck(&self) {
        if !self.is_stuck() {
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

impl FirstTries {
    fn remember(&mut self, id: &Arc<str>, time: SystemTime) {
        if self.newer.len() >= REMEMBERED_MESSAGES {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(Arc::clone(id), time);
    }

    fn forget(&mut self, id: &str) {
        self.newer.remove(id);
        self.older.remove(id);
    }

    fn of(&self, id: &str) -> Option<SystemTime> {
        self.newer.get(id).or_else(|| self.older.get(id)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_messages_that_never_come_back_the_oldest_are_forgotten() {
        let mut first_tries = FirstTries::default();
        let id = |number: usize| Arc::from(number.to_string());
        let many = REMEMBERED_MESSAGES * 3;
        for number in 0..=many {
            first_tries.remember(&id(number), SystemTime::UNIX_EPOCH);
        }
        assert_eq!(first_tries.of(&id(many)), Some(SystemTime::UNIX_EPOCH), "the newest is known");
        assert_eq!(first_tries.of(&id(many - REMEMBERED_MESSAGES)), Some(SystemTime::UNIX_EPOCH));
        assert_eq!(first_tries.of(&id(0)), None);
        first_tries.forget(&id(many));
        assert_eq!(first_tries.of(&id(many)), None);
    }
}
