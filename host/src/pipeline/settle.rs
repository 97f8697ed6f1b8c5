//! Waits until what was emitted is safe. Then a task is over, or is to be tried again; when all tasks of a delivery are
//! over, it is resolved.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::backbone::{Confirmed, PublishError, Publisher};
use crate::names::RuleName;
use crate::plan::RulePlan;
use crate::rules::OnFailure;
use crate::telemetry::{Condition, Readiness, RuleOutcome};

use super::caller::{Ended, Part};
use super::confirm::confirm;
use super::dead::{dead_letter, facts_only, without_headers, without_payload};
use super::emit::{Emitted, Sent, fail};
use super::job::{Acked, Task};
use super::lane::LanesSettings;
use super::outcome::{Failure, FailureClass};
use super::outlet::OutputError;
use super::schedule::{Left, Scheduler, hand_back};
use super::seen::{Ending, Glimpse};
use super::spans;
use super::survive::survive;
use super::taps::Taps;

/// Settled tasks that are ended together, at most.
const BATCH_TASKS: usize = 256;

/// The longest that a message waits for its next try where it is.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Settles what one lane emits.
pub(super) struct Settler {
    emitted: mpsc::Receiver<Vec<Emitted>>,
    shelf: Arc<Shelf>,
}

/// What all settlers share.
pub(super) struct Shelf {
    scheduler: Scheduler,
    publisher: Publisher,
    taps: Taps,
    letters: Letters,
}

/// Tells whether dead letters can be stored.
struct Letters {
    readiness: Readiness,
    /// Whether there is any rule whose letters cannot be.
    any_failing: AtomicBool,
    failing: Mutex<HashSet<RuleName>>,
}

/// A task that is to leave its lane.
pub(super) struct Leaving {
    task: Task,
    settled: Settled,
    /// When its outputs began to be sent, if they were confirmed.
    confirmed: Option<Instant>,
}

/// What a task has come to.
enum Settled {
    Over(Acked, RuleOutcome),
    /// Over without a result, and the message comes again where it can.
    HandedBack,
    Again {
        after: Duration,
        /// Whether it counts as a try: not if it says nothing about the message.
        counts: bool,
        /// Whether it waits here, even if its source could deliver it again.
        here: bool,
    },
}

impl Settler {
    pub(super) fn new(emitted: mpsc::Receiver<Vec<Emitted>>, shelf: Arc<Shelf>) -> Self {
        Self { emitted, shelf }
    }

    /// Runs until the lane is gone and everything it emitted is settled.
    pub(super) async fn run(mut self) {
        let mut under_way = FuturesUnordered::new();
        let mut ended = Vec::with_capacity(BATCH_TASKS);
        loop {
            tokio::select! {
                biased;
                Some(settled) = under_way.next() => {
                    ended.extend(settled);
                    while ended.len() < BATCH_TASKS
                        && let Some(Some(settled)) = under_way.next().now_or_never()
                    {
                        ended.extend(settled);
                    }
                    self.shelf.end(&mut ended).await;
                }
                taken = self.emitted.recv() => {
                    let Some(taken) = taken else { break };
                    for emitted in taken {
                        under_way.push(self.shelf.settle(emitted));
                    }
                }
            }
        }
        while let Some(settled) = under_way.next().await {
            ended.extend(settled);
            self.shelf.end(&mut ended).await;
        }
    }
}

impl Shelf {
    pub(super) fn new(scheduler: Scheduler, settings: &LanesSettings) -> Self {
        let letters = Letters {
            readiness: settings.readiness.clone(),
            any_failing: AtomicBool::new(false),
            failing: Mutex::default(),
        };
        Self { scheduler, publisher: settings.publisher.clone(), taps: settings.taps.clone(), letters }
    }

    /// Waits until a task has come to something. `None` if host code panicked: then it is tried again.
    pub(super) async fn settle(&self, emitted: Emitted) -> Option<Leaving> {
        survive("settling a message", self.settled(emitted)).await
    }

    async fn settled(&self, emitted: Emitted) -> Leaving {
        let Emitted { task, sent, mut glimpse, begun } = emitted;
        let mut confirmed = None;
        let rule = task.rule();
        let settled = match sent {
            Sent::Outputs(outputs, dropped) => match confirm(&task, outputs).await {
                Ok((count, mut parts)) => {
                    let outcome = match (count, dropped.is_empty()) {
                        (0, false) => RuleOutcome::Dropped,
                        _ => RuleOutcome::Published,
                    };
                    confirmed = (count > 0 && task.job.can_go_back()).then_some(begun);
                    rule.metrics.published(count);
                    rule.metrics.dropped(dropped.len());
                    glimpse.done(count, &dropped);
                    if let Some(caller) = &task.job.caller {
                        parts.extend(dropped.into_iter().map(|dropped| Part::Dropped(dropped.reason)));
                        caller.tell(rule, Ended::Done(parts));
                    }
                    Settled::Over(Acked::Acknowledged, outcome)
                }
                Err(error) => Box::pin(self.unpublished(&task, &error, &mut glimpse)).await,
            },
            other => Box::pin(self.conclude(&task, other, &mut glimpse)).await,
        };
        rule.metrics.tried(settled.outcome());
        if let Some(span) = &task.job.span {
            spans::concluded(span, &task, settled.outcome());
        }
        if let Settled::Again { after, .. } = &settled {
            glimpse.again(*after);
        }
        self.taps.show(glimpse);
        Leaving { task, settled, confirmed }
    }

    /// An output could not be published: try again, or dead-letter what cannot get better.
    async fn unpublished(&self, task: &Task, error: &OutputError, glimpse: &mut Glimpse) -> Settled {
        let (job, rule) = (&task.job, task.rule());
        rule.metrics.publish_failed();
        if let Some(more) = rule.throttle.pass() {
            tracing::warn!(rule = %rule.name, id = %job.origin.id, revision = %task.plan.revision, %error, more,
                "an output could not be published");
        }
        if error.is_unsent() {
            // It says nothing about the message, so it does not count against its tries.
            glimpse.ended(Ending::Unavailable, || Some(error.to_string()));
            let after = wait(&rule.on_failure, task.waits, error.after(), &job.origin.id);
            return again(task, after, false, error.waits_here(), error);
        }
        let failure = Failure::of_rule(FailureClass::Publish, error.to_string());
        let failure = if error.retryable() { failure.retried(error.after()) } else { failure };
        let sent = fail(task, failure, &self.publisher).await;
        self.conclude(task, sent, glimpse).await
    }

    /// Ends what has failed.
    async fn conclude(&self, task: &Task, sent: Sent, glimpse: &mut Glimpse) -> Settled {
        let (origin, rule, revision) = (&task.job.origin, task.rule(), &task.plan.revision);
        match sent {
            Sent::Outputs(..) => Settled::Over(Acked::Acknowledged, RuleOutcome::Published),
            Sent::Retry(failure) => {
                let after = wait(&rule.on_failure, task.waits, failure.retry.flatten(), &origin.id);
                tracing::debug!(rule = %rule.name, id = %origin.id, %revision, reason = failure.logged(), ?after,
                    "to be tried again");
                let settled = again(task, after, true, false, &failure.reason);
                glimpse.failed(failure, Ending::Unavailable);
                settled
            }
            Sent::Dead(failure, pending, span) => {
                let confirmed = match pending {
                    Ok(pending) => {
                        glimpse.letter(pending.subject());
                        pending.confirmed().await
                    }
                    Err(error) => Err(error),
                };
                let confirmed = match confirmed {
                    Err(error) if !error.retryable() => self.store_reduced(task, &failure, error).await,
                    other => other,
                };
                if let Some(span) = span {
                    span.end_letter(&confirmed);
                }
                match confirmed {
                    Ok(confirmed) => {
                        self.letters.stored(rule);
                        rule.metrics.dead_lettered(failure.class.as_str());
                        if let Some(caller) = &task.job.caller {
                            let letter = match confirmed {
                                Confirmed::Stored { stream, sequence, .. } => Some((stream, sequence)),
                                Confirmed::Among { .. } | Confirmed::Flushed => None,
                            };
                            caller.failed(rule, &failure, letter);
                        }
                        glimpse.failed(failure, Ending::DeadLettered);
                        Settled::Over(Acked::Acknowledged, RuleOutcome::DeadLettered)
                    }
                    Err(error) => {
                        rule.metrics.publish_failed();
                        self.letters.failed(rule, &error);
                        if let Some(more) = rule.throttle.pass() {
                            tracing::error!(rule = %rule.name, id = %origin.id, %revision, %error, more,
                                "a dead letter could not be stored; the message stays unacknowledged");
                        }
                        let after = wait(&rule.on_failure, task.waits, None, &origin.id);
                        let why = format_args!("its dead letter could not be stored: {error}");
                        glimpse.failed(failure, Ending::Unavailable);
                        glimpse.ended(Ending::Unavailable, || Some(why.to_string()));
                        again(task, after, false, false, &why)
                    }
                }
            }
            Sent::Withdrawn if let Some(caller) = &task.job.caller => {
                caller.tell(rule, Ended::Late);
                glimpse.ended(Ending::Late, || None);
                Settled::Over(Acked::Terminated, RuleOutcome::Returned)
            }
            Sent::Withdrawn => {
                glimpse.ended(Ending::HandedBack, || None);
                tracing::warn!(rule = %rule.name, id = %origin.id, %revision, source = %task.job.flight.source,
                    "a message waited for its next try, and no rule of this name takes it any more; it is handed back");
                Settled::HandedBack
            }
            Sent::Terminated(failure) => {
                rule.metrics.terminated();
                if let Some(more) = rule.throttle.pass() {
                    let class = failure.class.as_str();
                    tracing::warn!(rule = %rule.name, id = %origin.id, %revision, class, reason = failure.logged(), more,
                        "a message failed for good, and the rule keeps no dead letters");
                }
                if let Some(caller) = &task.job.caller {
                    caller.failed(rule, &failure, None);
                }
                glimpse.failed(failure, Ending::Terminated);
                Settled::Over(Acked::Terminated, RuleOutcome::Terminated)
            }
        }
    }

    /// Stores what can be stored of a letter that was refused for what it is: a letter that nobody takes would be tried
    /// for ever, and hold up whatever comes after it.
    async fn store_reduced(
        &self,
        task: &Task,
        failure: &Failure,
        mut error: PublishError,
    ) -> Result<Confirmed, PublishError> {
        let (job, rule) = (&task.job, task.rule());
        for reduce in [without_payload, without_headers, facts_only] {
            let (source, tried) = (&job.flight.source, task.tried());
            let letter = dead_letter(&task.plan, rule, source, &job.message, &job.origin, failure, &tried);
            let Some(letter) = letter else { break };
            let stored = match self.publisher.publish(reduce(letter)).await {
                Ok(pending) => pending.confirmed().await,
                Err(error) => Err(error),
            };
            match stored {
                Err(refused) if !refused.retryable() => error = refused,
                settled => return settled,
            }
        }
        Err(error)
    }

    /// Takes tasks out of their lanes: on to their next tries here, or out of the pipeline.
    pub(super) async fn end(&self, ended: &mut Vec<Leaving>) {
        if ended.is_empty() {
            return;
        }
        // One look at the clock does for all of them, and none where nothing was waited for.
        let mut now = None;
        for leaving in ended.iter() {
            if let Some(begun) = leaving.confirmed {
                let now = *now.get_or_insert_with(Instant::now);
                leaving.task.rule().metrics.confirmed_after(now.saturating_duration_since(begun));
            }
        }
        let mut over = Vec::with_capacity(ended.len());
        let leaving = ended.drain(..).map(|Leaving { mut task, settled, .. }| match settled {
            Settled::Again { after, counts, here } if here || task.job.in_place => {
                task.try_again(counts);
                (task, Left::Again(after.min(MAX_WAIT)))
            }
            settled => {
                let job = Arc::clone(&task.job);
                if task.stuck.take().is_some() {
                    tracing::info!(rule = %task.rule().name, id = %job.origin.id, revision = %task.plan.revision,
                        source = %job.flight.source, "the message that paused the source is done");
                }
                over.push((job, settled));
                (task, Left::Over)
            }
        });
        hand_back(self.scheduler.left_together(leaving)).await;
        for (job, settled) in over {
            match settled {
                Settled::HandedBack => job.hand_back().await,
                settled => job.over(settled.fate()).await,
            }
        }
    }
}

impl Settled {
    fn fate(&self) -> Acked {
        match self {
            Self::Over(fate, _) => fate.clone(),
            Self::HandedBack => Acked::Retried(Duration::ZERO),
            Self::Again { after, .. } => Acked::Retried(*after),
        }
    }

    fn outcome(&self) -> RuleOutcome {
        match self {
            Self::Over(_, outcome) => *outcome,
            Self::HandedBack => RuleOutcome::Returned,
            Self::Again { .. } => RuleOutcome::Retried,
        }
    }
}

impl Letters {
    fn stored(&self, rule: &RulePlan) {
        if self.any_failing.load(Ordering::Relaxed) {
            let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            if failing.remove(&rule.name) {
                self.readiness.forget(&Condition::DeadLetters(rule.name.clone()));
            }
            self.any_failing.store(!failing.is_empty(), Ordering::Relaxed);
        }
    }

    fn failed(&self, rule: &RulePlan, error: &PublishError) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        self.any_failing.store(true, Ordering::Relaxed);
        if failing.insert(rule.name.clone()) {
            let why = format!("dead letters of rule `{}` cannot be stored: {error}", rule.name);
            self.readiness.set(Condition::DeadLetters(rule.name.clone()), Err(why));
        }
    }
}

/// Another try, unless somebody waits for an answer and would not wait for it.
fn again(task: &Task, after: Duration, counts: bool, here: bool, why: &dyn std::fmt::Display) -> Settled {
    let rule = task.rule();
    if let Some(caller) = &task.job.caller {
        let more = !counts || task.tries < rule.on_failure.tries;
        if !more || !caller.waits(after) {
            caller.tell(rule, Ended::Unavailable { reason: why.to_string(), after });
            return Settled::Over(Acked::Terminated, RuleOutcome::Returned);
        }
    }
    rule.metrics.retried();
    Settled::Again { after, counts, here }
}

/// How long to wait before the next try: what the plugin asked for, or the rule's back-off with up to a fifth taken
/// off, so that what failed together does not come back together.
pub(super) fn wait(on_failure: &OnFailure, waits: u32, asked: Option<Duration>, id: &str) -> Duration {
    if let Some(asked) = asked {
        return asked;
    }
    let step = (waits as usize).min(on_failure.backoff.len().saturating_sub(1));
    let base = on_failure.backoff.get(step).copied().unwrap_or(Duration::from_secs(1));
    let mut hasher = DefaultHasher::new();
    (id, waits).hash(&mut hasher);
    let percent = u32::try_from(hasher.finish() % 21).expect("below 21");
    base * (100 - percent) / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{FaultAction, GiveUp};

    #[test]
    fn waits_follow_the_back_off_list_and_its_last_step_repeats() {
        let on_failure = OnFailure {
            dead_letter: None,
            tries: 5,
            give_up: GiveUp::DeadLetter,
            backoff: vec![Duration::from_secs(1), Duration::from_secs(10)],
            on_trap: FaultAction::DeadLetter,
            on_deadline: FaultAction::Retry,
            on_limit: FaultAction::DeadLetter,
        };
        for (waits, most) in [(0, 1), (1, 10), (2, 10), (99, 10)] {
            let after = wait(&on_failure, waits, None, "id");
            let most = Duration::from_secs(most);
            assert!(after <= most && after >= most * 4 / 5, "wait {waits}: {after:?}");
        }
        assert_eq!(wait(&on_failure, 0, Some(Duration::from_millis(7)), "id"), Duration::from_millis(7));
    }
}
