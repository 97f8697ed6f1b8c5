//! Takes single messages in, at once or not at all, for somebody who waits for what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backbone::{Acker, Delivery};
use crate::message::{Message, Origin, Subject};
use crate::names::RuleName;
use crate::plan::{Live, Plan};

use super::caller::{Caller, Report};
use super::flight::InFlight;
use super::intake::{Place, Window};
use super::job::Job;
use super::schedule::Scheduler;
use super::taps::Taps;

/// Where messages of one source are handed in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Counter {
    flight: Arc<InFlight>,
    window: Window,
    live: Live,
    scheduler: Scheduler,
    taps: Taps,
}

/// A message to hand in.
#[derive(Debug)]
pub struct Handed {
    /// The message.
    pub message: Message,
    /// Where it came from.
    pub origin: Origin,
    /// Where an answer of NATS is waited for.
    pub reply: Option<Subject>,
    /// Its place in the window.
    pub place: Place,
    /// Until when somebody waits for what becomes of it; `None` if nobody does, and it is tried as its rules say.
    pub until: Option<Instant>,
}

/// Why a message is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No rule takes its subject.
    #[error("no rule of source `{source_name}` takes `{subject}`")]
    NoRule {
        /// The source.
        source_name: String,
        /// The subject.
        subject: Subject,
    },
    /// What it goes through or to is left alone.
    #[error(
        "what the messages of rule `{rule}` go through or to has failed again and again, and is left alone for {} s",
        .after.as_secs_f64().ceil()
    )]
    Shut {
        /// The rule.
        rule: RuleName,
        /// For how much longer.
        after: Duration,
    },
    /// A service that it goes to takes nothing now.
    #[error(
        "the service at {service}, which rule `{rule}` posts to, is not there or asked to be left alone for a while"
    )]
    Closed {
        /// The rule.
        rule: RuleName,
        /// Where the service is.
        service: String,
        /// When to come again.
        after: Duration,
    },
}

impl NotTaken {
    /// The rule that could not begin with it, and when to come again, if it could have otherwise.
    #[must_use]
    pub fn later(&self) -> Option<(&RuleName, Duration)> {
        match self {
            Self::NoRule { .. } => None,
            Self::Shut { rule, after } | Self::Closed { rule, after, .. } => Some((rule, *after)),
        }
    }
}

impl Counter {
    /// A counter for a source.
    #[must_use]
    pub fn new(flight: Arc<InFlight>, window: Window, live: Live, scheduler: Scheduler, taps: Taps) -> Self {
        Self { flight, window, live, scheduler, taps }
    }

    /// A place for a message of so many bytes, if there is one now.
    #[must_use]
    pub fn try_enter(&self, bytes: usize) -> Option<Place> {
        self.window.try_enter(bytes)
    }

    /// Waits for a place.
    pub async fn enter(&self, bytes: usize) -> Place {
        self.window.enter(bytes).await
    }

    /// Whether the plan in force has a rule for this subject.
    #[must_use]
    pub fn takes(&self, subject: &Subject) -> bool {
        !self.rules(&self.live.current(), subject).is_empty()
    }

    /// Takes a message in. What became of it in each of its rules comes out of what is returned; if nobody waits, that
    /// never says anything.
    ///
    /// # Errors
    /// When no rule takes it, or somebody waits and a rule could not begin with it now.
    pub fn take(&self, handed: Handed) -> Result<Option<oneshot::Receiver<Vec<Report>>>, NotTaken> {
        let Handed { message, origin, reply, place, until } = handed;
        self.flight.metrics.received(false);
        let plan = self.live.current();
        let rules = self.rules(&plan, &message.subject);
        if rules.is_empty() {
            self.flight.metrics.unmatched();
            self.taps.unmatched(&plan, &self.flight.source, &message, &Arc::new(origin));
            return Err(NotTaken::NoRule { source_name: self.flight.source.to_string(), subject: message.subject });
        }
        if until.is_some() {
            let taking = rules.iter().map(|rule| &plan.rules[*rule as usize]);
            if let Some((rule, until)) =
                taking.filter_map(|rule| Some((rule, rule.shut_until()?))).max_by_key(|(_, until)| *until)
            {
                let after = until.saturating_duration_since(Instant::now());
                let closed = rule.services().find(|service| service.closed_until().is_some());
                let (rule, service) = (rule.name.clone(), closed.map(|service| service.address().to_string()));
                return Err(match service {
                    Some(service) => NotTaken::Closed { rule, service, after },
                    None => NotTaken::Shut { rule, after },
                });
            }
        }
        let (caller, told) = until.map(Caller::new).unzip();
        let bytes = message.payload.len();
        let delivery = Delivery { message, origin, reply, bytes, acker: Acker::Core };
        let job = Job::called(delivery, plan, &self.flight, &rules, place, caller);
        self.scheduler.submit(job.tasks(&rules));
        Ok(told)
    }

    fn rules(&self, plan: &Plan, subject: &Subject) -> Vec<u32> {
        let mut found = Vec::new();
        if let Some(source) = plan.sources.get(&self.flight.source) {
            source.index.find(subject.as_str(), &mut found);
        }
        found
    }
}
