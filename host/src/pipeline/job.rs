//! A delivery on its way through: one [`Job`], and a [`Task`] for each rule that takes its message. The tasks go their
//! ways independently; the delivery is resolved when all of them are over, and the worst of their fates wins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::backbone::{Acker, Delivery};
use crate::message::{Message, Origin, Subject};
use crate::plan::{Plan, Probe, RulePlan};
use crate::telemetry::traces::MessageSpan;

use super::caller::Caller;
use super::dead::Tries;
use super::flight::{InFlight, Paused};
use super::intake::Place;
use super::schedule::Scheduler;
use super::spans;

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acked {
    /// Everything it became is safe.
    Acknowledged,
    /// Handed back, to be delivered again after this long.
    Retried(Duration),
    /// It failed for good and nobody wants to keep it.
    Terminated,
}

/// A delivery with the plan it is pinned to, and its place in the source's window.
#[derive(Debug)]
pub struct Job {
    /// The message as it was delivered.
    pub message: Message,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// Where a requester waits for an answer.
    pub reply: Option<Subject>,
    /// The plan that was in force when it was taken in.
    pub plan: Arc<Plan>,
    /// The source's messages in flight, of which it is one.
    pub flight: Arc<InFlight>,
    /// Whether it is tried again here, and not by being delivered again.
    pub in_place: bool,
    /// Who waits for what becomes of it.
    pub(super) caller: Option<Caller>,
    /// When it was taken in.
    pub begun: Instant,
    /// Its span, if it is traced.
    pub(super) span: Option<Box<MessageSpan>>,
    first_try: SystemTime,
    redelivers: bool,
    /// Tasks that are not over.
    open: AtomicUsize,
    fate: Mutex<Acked>,
    /// Taken by whoever resolves the delivery.
    acker: tokio::sync::Mutex<Option<Acker>>,
    place: Mutex<Option<Place>>,
}

/// What is to be done with one message in one rule.
#[derive(Debug)]
pub struct Task {
    /// The delivery.
    pub job: Arc<Job>,
    /// The plan that decides about this try: that of the delivery, until it is tried again here or was held up.
    pub plan: Arc<Plan>,
    /// The rule, by its position in the plan.
    pub rule: usize,
    /// Which try this is, counted from 1. A try that failed because NATS could not be reached does not count.
    pub tries: u32,
    /// How often it has waited for its next try.
    pub waits: u32,
    /// Its lane, if the rule keeps order.
    pub(super) key: Option<LaneKey>,
    /// What its result decides about.
    pub(super) probes: Vec<Probe>,
    /// While it is in a lane or being settled: who is told should it be dropped, which is to say that host code panicked.
    pub(super) held: Option<Scheduler>,
    /// Whether it was tried here before, or waited for a breaker or a service: it takes the newest plan then.
    pub(super) held_up: bool,
    /// Keeps its source paused until it succeeds.
    pub(super) stuck: Option<Arc<Paused>>,
    /// Whether host code panicked the last time.
    pub(super) broke_off: bool,
}

/// A lane: the rule's number, and the hash of the messages' key.
pub(super) type LaneKey = (u32, u64);

impl Job {
    /// Makes a job of a delivery that these rules take.
    pub(super) fn new(
        delivery: Delivery,
        plan: Arc<Plan>,
        flight: &Arc<InFlight>,
        rules: &[u32],
        place: Place,
    ) -> Arc<Self> {
        Self::called(delivery, plan, flight, rules, place, None)
    }

    /// The same for a message of which somebody waits to hear.
    pub(super) fn called(
        delivery: Delivery,
        plan: Arc<Plan>,
        flight: &Arc<InFlight>,
        rules: &[u32],
        place: Place,
        caller: Option<Caller>,
    ) -> Arc<Self> {
        let Delivery { message, origin, reply, acker, .. } = delivery;
        let redelivers = acker.redelivers();
        let begun = Instant::now();
        let traced = flight.tracer.as_ref().and_then(|tracer| tracer.begin(&message.headers, begun.into_std()));
        let in_place = |rule: &u32| plan.rules[*rule as usize].tries_in_place();
        Arc::new(Self {
            in_place: !redelivers || rules.iter().any(in_place),
            first_try: flight.first_try(&origin),
            message,
            origin: Arc::new(origin),
            reply,
            flight: Arc::clone(flight),
            caller,
            begun,
            span: traced.map(Box::new),
            redelivers,
            open: AtomicUsize::new(rules.len()),
            fate: Mutex::new(Acked::Acknowledged),
            acker: tokio::sync::Mutex::new(Some(acker)),
            place: Mutex::new(Some(place)),
            plan,
        })
    }

    /// A task for each of the rules that it was made for.
    pub(super) fn tasks(self: &Arc<Self>, rules: &[u32]) -> impl Iterator<Item = Task> {
        rules.iter().map(|rule| Task::new(self, *rule as usize))
    }

    /// Whether the source delivers it again unless it is acknowledged.
    #[must_use]
    pub fn redelivers(&self) -> bool {
        self.redelivers
    }

    /// Whether whoever it came from keeps it until it is told that it is safe.
    #[must_use]
    pub(super) fn can_go_back(&self) -> bool {
        self.redelivers || self.caller.is_some()
    }

    /// Tells the server that it is still being worked on.
    pub(super) async fn in_progress(&self) {
        if let Some(acker) = &*self.acker.lock().await {
            // Without a connection there is nobody to tell, and the message comes again by itself.
            let _ = acker.in_progress().await;
        }
    }

    /// One of its tasks is over. With the last one the delivery is resolved.
    pub(super) async fn over(&self, fate: Acked) {
        let last = {
            let mut worst = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
            *worst = worse(std::mem::replace(&mut *worst, Acked::Acknowledged), fate);
            (self.open.fetch_sub(1, Ordering::AcqRel) == 1).then(|| worst.clone())
        };
        if let Some(fate) = last {
            self.resolve(&fate).await;
        }
    }

    /// It is not worked on any further. Without anybody to deliver it again it is lost, which is counted.
    pub(super) async fn hand_back(&self) {
        if !self.can_go_back() {
            self.flight.metrics.dropped(1);
        }
        self.over(Acked::Retried(Duration::ZERO)).await;
    }

    /// The one place where a fate turns into an acknowledgement.
    pub(super) async fn resolve(&self, fate: &Acked) {
        let Some(acker) = self.acker.lock().await.take() else { return };
        let comes_again = matches!(fate, Acked::Retried(_));
        if comes_again && self.redelivers {
            // Before the server hears of it: it may deliver the message again at once.
            self.flight.left(self, true);
        }
        let resolved = match fate {
            Acked::Acknowledged => acker.ack().await,
            Acked::Retried(after) => acker.nak(Some(*after).filter(|after| !after.is_zero())).await,
            Acked::Terminated => acker.term("rejected, and the rule keeps no dead letters").await,
        };
        if !comes_again && self.redelivers {
            self.flight.left(self, false);
        }
        self.flight.metrics.settled(self.begun.elapsed(), *fate == Acked::Acknowledged);
        if let Err(error) = resolved {
            // The server redelivers it, and the outputs' ids keep them from being stored twice.
            let (id, revision) = (&self.origin.id, &self.plan.revision);
            tracing::warn!(%id, %error, %revision, "a message could not be acknowledged");
        }
        if let Some(span) = &self.span {
            spans::resolved(span, self, fate);
        }
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(caller) = &self.caller {
            caller.finish();
        }
    }

    pub(super) fn first_try(&self) -> SystemTime {
        self.first_try
    }
}

impl Task {
    fn new(job: &Arc<Job>, rule: usize) -> Self {
        let plan = &job.plan.rules[rule];
        let key = plan.order_by.as_ref().map(|by| (plan.number, by.key(&job.message, &job.plan.json)));
        let tries = job.origin.delivery.max(1);
        let plan = Arc::clone(&job.plan);
        Self {
            job: Arc::clone(job),
            plan,
            rule,
            tries,
            waits: tries - 1,
            key,
            probes: Vec::new(),
            held: None,
            held_up: false,
            stuck: None,
            broke_off: false,
        }
    }

    /// The same task, holding nothing.
    fn copy(&self) -> Self {
        Self {
            job: Arc::clone(&self.job),
            plan: Arc::clone(&self.plan),
            rule: self.rule,
            tries: self.tries,
            waits: self.waits,
            key: self.key,
            probes: Vec::new(),
            held: None,
            held_up: self.held_up,
            stuck: self.stuck.clone(),
            broke_off: self.broke_off,
        }
    }

    /// Makes it ready for its next try here; the last one may have been one that counts. If its tries are used up and
    /// giving up means to pause, it pauses its source.
    pub(super) fn try_again(&mut self, counts: bool) {
        self.held_up = true;
        self.waits = self.waits.saturating_add(1);
        self.tries = self.tries.saturating_add(counts.into());
        if self.stuck.is_none() && self.tries > self.rule().on_failure.tries && self.rule().pauses() {
            self.stuck = Some(Arc::new(self.job.flight.pause()));
            let (rule, id, source) = (&self.rule().name, &self.job.origin.id, &self.job.flight.source);
            let revision = &self.plan.revision;
            tracing::error!(%rule, %id, %revision, %source,
                "a message has used up its tries; its source pauses until it succeeds");
        }
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &RulePlan {
        &self.plan.rules[self.rule]
    }

    /// Takes the newest plan for its next try, as a message does that is delivered again, so that a corrected rule helps
    /// what is stuck or was held up. False if that plan has no rule of this name that takes the message.
    pub(super) fn renew(&mut self, newest: &Arc<Plan>) -> bool {
        if Arc::ptr_eq(&self.plan, newest) {
            return true;
        }
        let (number, subject) = (self.rule().number, self.job.message.subject.as_str());
        let source = &self.job.flight.source;
        let taking = |rule: &RulePlan| rule.number == number && rule.source == *source && rule.subject.matches(subject);
        let Some(rule) = newest.rules.iter().position(taking) else { return false };
        (self.plan, self.rule) = (Arc::clone(newest), rule);
        true
    }

    /// Where the message came from, as a plugin sees it: a try here counts like a delivery.
    pub(super) fn origin(&self) -> Arc<Origin> {
        let origin = &self.job.origin;
        if origin.delivery == self.tries {
            return Arc::clone(origin);
        }
        Arc::new(Origin { delivery: self.tries, ..Origin::clone(origin) })
    }

    /// How often it was tried, as a dead letter tells it.
    #[must_use]
    pub fn tried(&self) -> Tries {
        Tries { count: self.tries, first: self.job.first_try(), last: SystemTime::now() }
    }
}

impl Drop for Task {
    /// A task leaves in good order by giving back what it holds: its key, and its place in its rule. One that is dropped
    /// while it holds them is gone with what was under way, and is tried again from a copy: nobody knows how far it got,
    /// as with a publish that is not confirmed.
    fn drop(&mut self) {
        if let Some(scheduler) = self.held.take() {
            scheduler.broke_off(self.copy());
        }
    }
}

fn worse(left: Acked, right: Acked) -> Acked {
    match (left, right) {
        (Acked::Retried(a), Acked::Retried(b)) => Acked::Retried(a.max(b)),
        (Acked::Retried(after), _) | (_, Acked::Retried(after)) => Acked::Retried(after),
        (Acked::Terminated, _) | (_, Acked::Terminated) => Acked::Terminated,
        (Acked::Acknowledged, Acked::Acknowledged) => Acked::Acknowledged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_fate_wins() {
        let short = Acked::Retried(Duration::from_secs(1));
        let long = Acked::Retried(Duration::from_secs(5));
        assert_eq!(worse(short.clone(), long.clone()), long);
        assert_eq!(worse(Acked::Terminated, short.clone()), short);
        assert_eq!(worse(Acked::Acknowledged, Acked::Terminated), Acked::Terminated);
        assert_eq!(worse(Acked::Acknowledged, Acked::Acknowledged), Acked::Acknowledged);
    }
}
