//! Somebody who waits for what becomes of a message: a service at the sidecar. Its message is not tried for longer than it
//! waits, and what cannot be done now is told instead of being kept for later.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::names::{PluginName, RouteName, RuleName};
use crate::outlets::Content;
use crate::plan::RulePlan;

use super::outcome::{Failure, FailureClass};

/// Who waits, from the side of the pipeline.
#[derive(Debug)]
pub struct Caller {
    until: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    told: Vec<Report>,
    done: Option<oneshot::Sender<Vec<Report>>>,
}

/// What became of a message in one rule.
#[derive(Debug)]
pub struct Report {
    /// The rule.
    pub rule: RuleName,
    /// What became of it.
    pub ended: Ended,
}

/// How a message ended in a rule.
#[derive(Debug)]
pub enum Ended {
    /// Everything that it became is safe.
    Done(Vec<Part>),
    /// It failed for good.
    Failed {
        /// What kind of failure it is.
        class: FailureClass,
        /// Why, showing nothing of the payload.
        reason: String,
        /// The plugin whose stage failed, if one did.
        plugin: Option<PluginName>,
        /// Where its dead letter is stored, if the rule keeps one: the stream and the sequence there.
        letter: Option<(String, u64)>,
    },
    /// It could not be done in time, and the same message may be taken later.
    Unavailable {
        /// Why.
        reason: String,
        /// After how long it may be tried again.
        after: Duration,
    },
    /// Nobody waited any more when its turn came, so that nothing was done.
    Late,
}

/// One thing that a message became.
#[derive(Debug)]
pub enum Part {
    /// An output that is safe.
    Sent {
        /// The route.
        route: RouteName,
        /// The subject, the URL, or what was subscribed to.
        to: String,
        /// Where it is kept, if NATS has it.
        kept: Kept,
    },
    /// A plugin dropped it, for this reason.
    Dropped(String),
    /// It is the answer to a request.
    Answer(Box<Content>),
}

/// Who has an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A stream.
    Stored {
        /// Its name.
        stream: String,
        /// The sequence there.
        sequence: u64,
        /// Whether the stream had it already.
        duplicate: bool,
    },
    /// The NATS server has read it; nobody keeps it.
    Flushed,
    /// A service; or a stream that does not say at which sequence.
    Taken,
}

impl Caller {
    /// Somebody who waits until then, and where what became of the message comes out: a report for each rule. An error
    /// there means that the message was lost on its way.
    #[must_use]
    pub fn new(until: Instant) -> (Self, oneshot::Receiver<Vec<Report>>) {
        let (done, told) = oneshot::channel();
        (Self { until, state: Mutex::new(State { told: Vec::new(), done: Some(done) }) }, told)
    }

    /// Whether it does not wait any more.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Whether it still waits after this long.
    pub(super) fn waits(&self, after: Duration) -> bool {
        Instant::now() + after < self.until
    }

    pub(super) fn tell(&self, rule: &RulePlan, ended: Ended) {
        self.state().told.push(Report { rule: rule.name.clone(), ended });
    }

    pub(super) fn failed(&self, rule: &RulePlan, failure: &Failure, letter: Option<(String, u64)>) {
        let plugin = failure.plugin.as_ref().map(|(plugin, _)| plugin.clone());
        let reason = failure.reason.clone();
        self.tell(rule, Ended::Failed { class: failure.class, reason, plugin, letter });
    }

    /// The scheduler gives the message up: what it goes through or to is left alone, or everything ends.
    pub(super) fn given_up(&self, rule: &RulePlan) {
        let ended = match rule.shut_until() {
            Some(until) => Ended::Unavailable {
                reason: "what its messages go through or to has failed again and again, and is left alone for a while"
                    .to_owned(),
                after: until.saturating_duration_since(Instant::now()),
            },
            None => Ended::Unavailable { reason: "Trackside is stopping".to_owned(), after: Duration::from_secs(1) },
        };
        self.tell(rule, ended);
    }

    /// All rules are done with the message.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        if let Some(done) = state.done.take() {
            // An error means that nobody waits any more.
            let _ = done.send(std::mem::take(&mut state.told));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
