//! Puts what a message became on the wire. Nothing is acknowledged here.

use crate::backbone::{Outgoing, Pending, PublishError, Publisher};
use crate::message::{Message, Origin, Subject};
use crate::names::Revision;
use crate::plan::{Pass, Probe, RulePlan};

use super::dead::{dead_letter, without_payload};
use super::job::Task;
use super::observe::{Observation, Observer, of_task};
use super::outcome::{Failure, FailureClass, Outcome, Output};

/// A task that has been through its rule's stages.
#[derive(Debug)]
pub struct Routed {
    task: Task,
    /// `None` if its rule is gone.
    outcome: Option<Outcome>,
    observed: Vec<Observation>,
}

/// A task whose outputs are on the wire, and not yet safe.
#[derive(Debug)]
pub struct Emitted {
    /// The task.
    pub(super) task: Task,
    /// What is under way.
    pub(super) sent: Sent,
    /// What an observer is to be shown.
    pub(super) observed: Vec<Observation>,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Sent {
    /// Outputs with the positions of their routes, and how many more were dropped by a plugin.
    Outputs(Vec<(usize, Result<Pending, PublishError>)>, usize),
    /// A dead letter, and why.
    Dead(Failure, Result<Pending, PublishError>),
    /// The message is to be tried again.
    Retry(Failure),
    /// The message failed for good and the rule keeps no dead letters.
    Terminated(Failure),
    /// The rule is gone: others decide about the message, when it is delivered again.
    Withdrawn,
}

impl Emitted {
    /// Whether there is nothing to wait for. Where the source is at most once, a flush is not waited for: nothing hangs on
    /// its answer.
    pub(super) fn is_safe(&self) -> bool {
        let Sent::Outputs(outputs, _) = &self.sent else { return false };
        let safe = |output: &Result<Pending, _>| output.as_ref().is_ok_and(|pending| !pending.is_stored());
        !self.task.job.redelivers() && outputs.iter().all(|(_, output)| safe(output))
    }
}

impl Routed {
    pub(super) fn new(task: Task, outcome: Outcome, observer: Option<&Observer>) -> Self {
        let observed = match observer {
            Some(_) => of_task(&task, &outcome),
            None => Vec::new(),
        };
        Self { task, outcome: Some(outcome), observed }
    }

    /// A task whose rule is gone: nothing comes of it.
    pub(super) fn withdrawn(task: Task) -> Self {
        Self { task, outcome: None, observed: Vec::new() }
    }

    /// Publishes the outputs, in order. Waits only while the connection takes no more.
    pub async fn emit(self, publisher: &Publisher) -> Emitted {
        let Self { mut task, outcome, observed } = self;
        let Some(outcome) = outcome else { return Emitted { task, sent: Sent::Withdrawn, observed } };
        let published = match outcome.failure {
            None => publish(&mut task, outcome.outputs, publisher).await,
            Some(failure) => Err(failure),
        };
        let sent = match published {
            Ok(pending) => Sent::Outputs(pending, outcome.dropped.len()),
            Err(failure) => fail(&task, failure, publisher).await,
        };
        Emitted { task, sent, observed }
    }
}

async fn publish(
    task: &mut Task,
    outputs: Vec<Output>,
    publisher: &Publisher,
) -> Result<Vec<(usize, Result<Pending, PublishError>)>, Failure> {
    let mut probes = Vec::new();
    let mut sent = Vec::with_capacity(outputs.len());
    for output in outputs {
        sent.push(divert(task, output, &mut probes)?);
    }
    task.probes.append(&mut probes);
    let (job, rule) = (&task.job, task.rule());
    let routes: Vec<_> = sent.iter().map(|output| output.route).collect();
    let messages = sent.into_iter().map(|output| {
        let mut message = outgoing(rule, &task.plan.revision, &job.origin, output);
        message.reply.clone_from(&job.reply);
        message
    });
    let pending = if rule.atomic {
        publisher.publish_together(messages.collect()).await
    } else {
        let mut pending = Vec::with_capacity(routes.len());
        for message in messages {
            pending.push(publisher.publish(message).await);
        }
        pending
    };
    Ok(routes.into_iter().zip(pending).collect())
}

/// Sends an output elsewhere while its route is left alone, if the rule says where.
fn divert(task: &Task, mut output: Output, probes: &mut Vec<Probe>) -> Result<Output, Failure> {
    let rule = task.rule();
    let Some(other) = rule.divert.filter(|other| *other != output.route) else { return Ok(output) };
    match rule.routes[output.route].breaker.pass() {
        Pass::Free => return Ok(output),
        Pass::Probe(probe) => {
            probes.push(probe);
            return Ok(output);
        }
        Pass::Wait(_) => {}
    }
    let to = &rule.routes[other];
    let (subject, headers, payload) = (task.job.message.subject.clone(), output.headers, output.payload);
    let message = Message { subject, headers, payload };
    output.subject = to
        .subject
        .render(&message, &task.plan.json)
        .map_err(|error| Failure::of_rule(FailureClass::Route, format!("route {}: {error}", to.name)))?;
    rule.metrics.diverted();
    (output.headers, output.payload) = (message.headers, message.payload);
    output.diverted_from = Some(output.route);
    (output.route, output.confirm) = (other, to.confirm);
    Ok(output)
}

/// The message that an output is published as, with its stamps and its deterministic id.
#[must_use]
pub fn outgoing(rule: &RulePlan, revision: &Revision, origin: &Origin, output: Output) -> Outgoing {
    let mut headers = output.headers;
    headers.push("Trackside-Rule", rule.name.as_str());
    headers.push("Trackside-Revision", revision.as_str());
    let (id, route) = (&origin.id, &rule.routes[output.route].name);
    let part = if output.part.is_empty() { "0" } else { &output.part };
    let message_id = match output.diverted_from {
        None => format!("{id}:{}:{route}:{part}", rule.name),
        Some(own) => {
            // Two outputs of one message may be diverted to one route.
            let own = &rule.routes[own].name;
            headers.push("Trackside-Diverted-From", own.as_str());
            format!("{id}:{}:{own}>{route}:{part}", rule.name)
        }
    };
    Outgoing {
        subject: output.subject,
        reply: None::<Subject>,
        headers,
        payload: output.payload,
        confirm: output.confirm,
        message_id,
    }
}

/// Decides about a failure: another try, a dead letter, or the end.
pub(super) async fn fail(task: &Task, failure: Failure, publisher: &Publisher) -> Sent {
    let (job, rule) = (&task.job, task.rule());
    let more = task.tries < rule.on_failure.tries || rule.pauses();
    if failure.retry.is_some() && more {
        return Sent::Retry(failure);
    }
    match dead_letter(&task.plan, rule, &job.flight.source, &job.message, &job.origin, &failure, &task.tried()) {
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
