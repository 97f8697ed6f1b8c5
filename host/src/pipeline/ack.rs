//! Waits until what was emitted is safe, and only then resolves the delivery. The worst outcome wins.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::backbone::{Pending, PublishError, Publisher};
use crate::plan::RulePlan;
use crate::rules::OnFailure;

use super::emit::{Emitted, Sent, fail};
use super::intake::Job;
use super::observe::Observer;
use super::outcome::{Failure, FailureClass};

/// Emitted messages that are taken together.
const BATCH_MESSAGES: usize = 256;

/// A delivery that has been resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acked {
    /// Everything it became is safe.
    Acknowledged,
    /// Handed back, to be delivered again after this long.
    Retried(Duration),
    /// It failed for good and nobody wants to keep it.
    Terminated,
}

/// Settles what one lane emits.
pub(super) struct Settler {
    emitted: mpsc::Receiver<Emitted>,
    publisher: Publisher,
    observer: Option<Observer>,
}

impl Settler {
    pub(super) fn new(emitted: mpsc::Receiver<Emitted>, publisher: Publisher, observer: Option<Observer>) -> Self {
        Self { emitted, publisher, observer }
    }

    /// Runs until the lane is gone and everything it emitted is settled.
    pub(super) async fn run(mut self) {
        let mut under_way = FuturesUnordered::new();
        let mut batch = Vec::with_capacity(BATCH_MESSAGES);
        loop {
            tokio::select! {
                biased;
                Some(()) = under_way.next() => {}
                taken = self.emitted.recv_many(&mut batch, BATCH_MESSAGES) => {
                    if taken == 0 {
                        break;
                    }
                    for emitted in batch.drain(..) {
                        under_way.push(settle(emitted, &self.publisher, self.observer.as_ref()));
                    }
                }
            }
        }
        while under_way.next().await.is_some() {}
    }
}

async fn settle(emitted: Emitted, publisher: &Publisher, observer: Option<&Observer>) {
    let Emitted { job, rules, observed } = emitted;
    let mut fate = Acked::Acknowledged;
    if rules.is_empty() {
        job.place.metrics.unmatched();
    }
    for (position, sent) in rules {
        let rule = &job.plan.rules[position];
        let settled = match sent {
            Sent::Outputs(outputs, dropped) => match confirm(outputs, job.acker.redelivers()).await {
                Ok(count) => {
                    rule.metrics.published(count);
                    rule.metrics.dropped(dropped);
                    Acked::Acknowledged
                }
                Err(error) => unpublished(&job, rule, &error, publisher).await,
            },
            other => conclude(&job, rule, other).await,
        };
        fate = worst(fate, settled);
    }
    if let Some(observer) = observer {
        observer.show(observed, &fate);
    }
    resolve(job, &fate).await;
}

/// Waits for every output; how many there were. Where the source is at most once, a flush is not waited for: nothing
/// hangs on its answer.
async fn confirm(outputs: Vec<Result<Pending, PublishError>>, redelivers: bool) -> Result<usize, PublishError> {
    let mut count = 0;
    for output in outputs {
        let pending = output?;
        if redelivers || pending.is_stored() {
            pending.confirmed().await?;
        }
        count += 1;
    }
    Ok(count)
}

/// An output could not be published: try again, or dead-letter what cannot get better.
async fn unpublished(job: &Job, rule: &RulePlan, error: &PublishError, publisher: &Publisher) -> Acked {
    rule.metrics.publish_failed();
    if let Some(more) = rule.throttle.pass() {
        tracing::warn!(rule = %rule.name, id = %job.origin.id, %error, more, "an output could not be published");
    }
    let failure = Failure::of_rule(FailureClass::Publish, error.to_string());
    let sent = if error.is_disconnected() && job.acker.redelivers() {
        // It says nothing about the message, so it does not count against its tries.
        Sent::Retry(failure)
    } else {
        let failure = if error.retryable() { failure.retried(None) } else { failure };
        fail(job, rule, failure, publisher).await
    };
    conclude(job, rule, sent).await
}

/// Ends what has failed in a rule.
async fn conclude(job: &Job, rule: &RulePlan, sent: Sent) -> Acked {
    let origin = &job.origin;
    match sent {
        Sent::Outputs(..) => Acked::Acknowledged,
        Sent::Retry(failure) => {
            rule.metrics.retried();
            let after = wait(&rule.on_failure, origin.delivery, failure.retry.flatten(), &origin.id);
            tracing::debug!(rule = %rule.name, id = %origin.id, reason = failure.reason, ?after, "to be tried again");
            Acked::Retried(after)
        }
        Sent::Dead(failure, pending) => {
            let confirmed = match pending {
                Ok(pending) => pending.confirmed().await.map(|_| ()),
                Err(error) => Err(error),
            };
            match confirmed {
                Ok(()) => {
                    rule.metrics.dead_lettered(failure.class.as_str());
                    Acked::Acknowledged
                }
                Err(error) => {
                    rule.metrics.publish_failed();
                    if let Some(more) = rule.throttle.pass() {
                        tracing::error!(rule = %rule.name, id = %origin.id, %error, more,
                            "a dead letter could not be stored; the message stays unacknowledged");
                    }
                    Acked::Retried(wait(&rule.on_failure, origin.delivery, None, &origin.id))
                }
            }
        }
        Sent::Terminated(failure) => {
            rule.metrics.terminated();
            if let Some(more) = rule.throttle.pass() {
                let class = failure.class.as_str();
                tracing::warn!(rule = %rule.name, id = %origin.id, class, reason = failure.reason, more,
                    "a message failed for good, and the rule keeps no dead letters");
            }
            Acked::Terminated
        }
    }
}

/// How long to wait before the next try: what the plugin asked for, or the rule's back-off with up to a fifth taken
/// off, so that what failed together does not come back together.
fn wait(on_failure: &OnFailure, tries: u32, asked: Option<Duration>, id: &str) -> Duration {
    if let Some(asked) = asked {
        return asked;
    }
    let step = (tries.max(1) as usize - 1).min(on_failure.backoff.len().saturating_sub(1));
    let base = on_failure.backoff.get(step).copied().unwrap_or(Duration::from_secs(1));
    let mut hasher = DefaultHasher::new();
    (id, tries).hash(&mut hasher);
    let percent = u32::try_from(hasher.finish() % 21).expect("below 21");
    base * (100 - percent) / 100
}

fn worst(left: Acked, right: Acked) -> Acked {
    match (left, right) {
        (Acked::Retried(a), Acked::Retried(b)) => Acked::Retried(a.max(b)),
        (Acked::Retried(after), _) | (_, Acked::Retried(after)) => Acked::Retried(after),
        (Acked::Terminated, _) | (_, Acked::Terminated) => Acked::Terminated,
        (Acked::Acknowledged, Acked::Acknowledged) => Acked::Acknowledged,
    }
}

/// The one place where an outcome turns into an acknowledgement.
async fn resolve(job: Job, fate: &Acked) {
    let Job { acker, origin, place, plan, .. } = job;
    let resolved = match fate {
        Acked::Acknowledged => acker.ack().await,
        Acked::Retried(after) => acker.nak(Some(*after)).await,
        Acked::Terminated => acker.term("rejected, and the rule keeps no dead letters").await,
    };
    place.metrics.settled(place.begun.elapsed(), *fate == Acked::Acknowledged);
    if let Err(error) = resolved {
        // The server redelivers it, and the outputs' ids keep them from being stored twice.
        tracing::warn!(id = %origin.id, %error, revision = %plan.revision, "a message could not be acknowledged");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::FaultAction;

    #[test]
    fn the_worst_outcome_wins() {
        let short = Acked::Retried(Duration::from_secs(1));
        let long = Acked::Retried(Duration::from_secs(5));
        assert_eq!(worst(short.clone(), long.clone()), long);
        assert_eq!(worst(Acked::Terminated, short.clone()), short);
        assert_eq!(worst(Acked::Acknowledged, Acked::Terminated), Acked::Terminated);
        assert_eq!(worst(Acked::Acknowledged, Acked::Acknowledged), Acked::Acknowledged);
    }

    #[test]
    fn waits_follow_the_back_off_list_and_its_last_step_repeats() {
        let on_failure = OnFailure {
            dead_letter: None,
            tries: 5,
            give_up: crate::rules::GiveUp::DeadLetter,
            backoff: vec![Duration::from_secs(1), Duration::from_secs(10)],
            on_trap: FaultAction::DeadLetter,
            on_deadline: FaultAction::Retry,
            on_limit: FaultAction::DeadLetter,
        };
        for (tries, most) in [(1, 1), (2, 10), (3, 10), (100, 10)] {
            let after = wait(&on_failure, tries, None, "id");
            let most = Duration::from_secs(most);
            assert!(after <= most && after >= most * 4 / 5, "try {tries}: {after:?}");
        }
        assert_eq!(wait(&on_failure, 1, Some(Duration::from_millis(7)), "id"), Duration::from_millis(7));
    }
}
