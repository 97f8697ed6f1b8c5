//! Puts what a message became on the wire. Nothing is acknowledged here.

use crate::backbone::{Outgoing, Pending, PublishError, Publisher};
use crate::message::{Origin, Subject};
use crate::names::Revision;
use crate::plan::RulePlan;

use super::dead::{dead_letter, without_payload};
use super::intake::Job;
use super::observe::{Observation, Observer, observations};
use super::outcome::{Failure, Outcome, Output};

/// A message that has been through its rules: outcomes by the position of the rule.
#[derive(Debug)]
pub struct Routed {
    job: Job,
    outcomes: Vec<(usize, Outcome)>,
    observed: Vec<Observation>,
}

/// A message whose outputs are on the wire, and not yet safe.
#[derive(Debug)]
pub struct Emitted {
    /// The message.
    pub(super) job: Job,
    /// What is under way, by the position of the rule.
    pub(super) rules: Vec<(usize, Sent)>,
    /// What an observer is to be shown.
    pub(super) observed: Vec<Observation>,
}

/// What is under way for one rule.
#[derive(Debug)]
pub(super) enum Sent {
    /// Outputs, and how many more were dropped by a plugin.
    Outputs(Vec<Result<Pending, PublishError>>, usize),
    /// A dead letter, and why.
    Dead(Failure, Result<Pending, PublishError>),
    /// The message is to be tried again.
    Retry(Failure),
    /// The message failed for good and the rule keeps no dead letters.
    Terminated(Failure),
}

impl Routed {
    pub(super) fn new(job: Job, outcomes: Vec<(usize, Outcome)>, observer: Option<&Observer>) -> Self {
        let observed = match observer {
            Some(_) => observations(&job.plan, &job.source, &job.message, &job.origin, &outcomes),
            None => Vec::new(),
        };
        Self { job, outcomes, observed }
    }

    /// Publishes the outputs of every rule, in order. Waits only while the connection takes no more.
    pub async fn emit(self, publisher: &Publisher) -> Emitted {
        let Self { job, outcomes, observed } = self;
        let mut rules = Vec::with_capacity(outcomes.len());
        for (position, outcome) in outcomes {
            let rule = &job.plan.rules[position];
            let sent = match outcome.failure {
                Some(failure) => fail(&job, rule, failure, publisher).await,
                None => {
                    let mut pending = Vec::with_capacity(outcome.outputs.len());
                    for output in outcome.outputs {
                        let mut message = outgoing(rule, &job.plan.revision, &job.origin, output);
                        message.reply.clone_from(&job.reply);
                        pending.push(publisher.publish(message).await);
                    }
                    Sent::Outputs(pending, outcome.dropped.len())
                }
            };
            rules.push((position, sent));
        }
        Emitted { job, rules, observed }
    }
}

/// The message that an output is published as, with its stamps and its deterministic id.
#[must_use]
pub fn outgoing(rule: &RulePlan, revision: &Revision, origin: &Origin, output: Output) -> Outgoing {
    let mut headers = output.headers;
    headers.push("Trackside-Rule", rule.name.as_str());
    headers.push("Trackside-Revision", revision.as_str());
    let route = rule.routes[output.route].name.as_str();
    let part = if output.part.is_empty() { "0" } else { &output.part };
    Outgoing {
        subject: output.subject,
        reply: None::<Subject>,
        headers,
        payload: output.payload,
        confirm: output.confirm,
        message_id: format!("{}:{}:{route}:{part}", origin.id, rule.name),
    }
}

/// Decides about a failure: another try, a dead letter, or the end.
pub(super) async fn fail(job: &Job, rule: &RulePlan, failure: Failure, publisher: &Publisher) -> Sent {
    let redelivers = job.acker.redelivers();
    if failure.retry.is_some() && redelivers && job.origin.delivery < rule.on_failure.tries {
        return Sent::Retry(failure);
    }
    match dead_letter(&job.plan, rule, &job.source, &job.message, &job.origin, &failure) {
        None => Sent::Terminated(failure),
        Some(letter) => {
            let pending = match publisher.publish(letter.clone()).await {
                Err(PublishError::TooLarge { .. }) => publisher.publish(without_payload(letter)).await,
                sent => sent,
            };
            Sent::Dead(failure, pending)
        }
    }
}
