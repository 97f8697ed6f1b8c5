//! Puts what a message became on the wire. Nothing is acknowledged here.

use bytes::Bytes;
use tokio::time::Instant;

use crate::backbone::{Outgoing, Pending, PublishError, Publisher};
use crate::events::{Defaults, converted};
use crate::message::{Headers, Message, Origin};
use crate::names::Revision;
use crate::outlets::{Content, Post};
use crate::plan::{Address, Pass, Probe, RulePlan};
use crate::rules::EventMode;
use crate::times::rfc3339_ms;

use super::dead::{dead_letter, without_payload};
use super::job::Task;
use super::outcome::{Dropped, Failure, FailureClass, Outcome, Output};
use super::outlet::Underway;
use super::seen::Glimpse;
use super::spans::SendSpan;

/// A task that has been through its rule's stages.
#[derive(Debug)]
pub struct Routed {
    task: Task,
    /// `None` if its rule is gone.
    outcome: Option<Outcome>,
    /// What is to be shown of it.
    glimpse: Glimpse,
}

/// A task whose outputs are on the wire, and not yet safe.
#[derive(Debug)]
pub struct Emitted {
    /// The task.
    pub(super) task: Task,
    /// What is under way.
    pub(super) sent: Sent,
    /// What is to be shown of it.
    pub(super) glimpse: Glimpse,
    /// When it began to be sent.
    pub(super) begun: Instant,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Sent {
    /// Outputs, and what else was dropped by a plugin.
    Outputs(Vec<Sending>, Vec<Dropped>),
    /// A dead letter, and why.
    Dead(Failure, Result<Pending, PublishError>, Option<Box<SendSpan>>),
    /// The message is to be tried again.
    Retry(Failure),
    /// The message failed for good and the rule keeps no dead letters.
    Terminated(Failure),
    /// The rule is gone, and others decide about the message when it is delivered again; or nobody waits for it any more.
    Withdrawn,
}

/// An output under way.
#[derive(Debug)]
pub(super) struct Sending {
    /// The position of its route.
    pub(super) route: usize,
    /// Where it is.
    pub(super) output: Underway,
    /// Its span, if the message is traced.
    pub(super) span: Option<Box<SendSpan>>,
}

impl Emitted {
    /// Whether there is nothing to wait for. Where the source is at most once, a flush is not waited for: nothing hangs on
    /// its answer.
    pub(super) fn is_safe(&self) -> bool {
        let Sent::Outputs(outputs, _) = &self.sent else { return false };
        let safe = |output: &Underway| matches!(output, Underway::Published(Ok(pending)) if !pending.is_stored());
        !self.task.job.can_go_back() && outputs.iter().all(|sending| safe(&sending.output))
    }
}

impl Routed {
    pub(super) fn new(task: Task, outcome: Outcome, glimpse: Glimpse) -> Self {
        Self { task, outcome: Some(outcome), glimpse }
    }

    /// A task whose rule is gone, or for which nobody waits any more: nothing comes of it.
    pub(super) fn withdrawn(task: Task, glimpse: Glimpse) -> Self {
        Self { task, outcome: None, glimpse }
    }

    /// Publishes the outputs, in order, from now on. Waits only while the connection takes no more.
    pub async fn emit(self, publisher: &Publisher, begun: Instant) -> Emitted {
        let Self { mut task, outcome, mut glimpse } = self;
        let Some(outcome) = outcome else { return Emitted { task, sent: Sent::Withdrawn, glimpse, begun } };
        let published = match outcome.failure {
            None => publish(&mut task, outcome.outputs, publisher, &mut glimpse).await,
            Some(failure) => Err(failure),
        };
        let sent = match published {
            Ok(pending) => Sent::Outputs(pending, outcome.dropped),
            Err(failure) => fail(&task, failure, publisher).await,
        };
        Emitted { task, sent, glimpse, begun }
    }
}

async fn publish(
    task: &mut Task,
    outputs: Vec<Output>,
    publisher: &Publisher,
    glimpse: &mut Glimpse,
) -> Result<Vec<Sending>, Failure> {
    let mut probes = Vec::new();
    let mut sent = Vec::with_capacity(outputs.len());
    for output in outputs {
        sent.push(divert(task, output, &mut probes)?);
    }
    task.probes.append(&mut probes);
    glimpse.outputs(&sent);
    let (job, rule) = (&task.job, task.rule());
    let mut underway = Vec::with_capacity(sent.len());
    // Of an atomic rule, what goes to NATS, and the place of each among all outputs.
    let (mut together, mut places) = (Vec::new(), Vec::new());
    for mut output in sent {
        let route = output.route;
        let span = job.span.as_deref().map(|span| SendSpan::begin(span, &mut output.headers));
        let stamped = stamped(rule, &task.plan.revision, &job.origin, output);
        let span = span.map(|span| Box::new(span.of(rule, route, &stamped)));
        let output = match stamped.on_its_way() {
            Way::Nats(mut message) => {
                message.reply.clone_from(&job.reply);
                if rule.atomic {
                    together.push(message);
                    places.push((underway.len() + places.len(), route, span));
                    continue;
                }
                Underway::Published(match &job.caller {
                    // Who waits for an answer is told the sequence.
                    Some(_) => publisher.publish(message).await,
                    None => publisher.publish_among(message).await,
                })
            }
            Way::Elsewhere(underway) => underway,
        };
        underway.push(Sending { route, output, span });
    }
    if !together.is_empty() {
        let published = publisher.publish_together(together).await;
        for ((place, route, span), sent) in places.into_iter().zip(published) {
            underway.insert(place, Sending { route, output: Underway::Published(sent), span });
        }
    }
    Ok(underway)
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
    output.to = to
        .to
        .address(&message, &task.plan.json)
        .map_err(|error| Failure::of_rule(FailureClass::Route, format!("route {}: {error}", to.name)))?;
    rule.metrics.diverted();
    (output.headers, output.payload) = (message.headers, message.payload);
    output.diverted_from = Some(output.route);
    output.route = other;
    Ok(output)
}

/// An output with its stamps and its deterministic id.
#[derive(Debug)]
pub struct Stamped {
    /// Where it goes.
    pub to: Address,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// Its id, the same whenever the message is tried.
    pub message_id: String,
}

/// How an output goes on.
#[derive(Debug)]
pub(crate) enum Way {
    /// To be published.
    Nats(Outgoing),
    /// To be posted or offered.
    Elsewhere(Underway),
}

/// An output as it is sent.
#[must_use]
pub fn stamped(rule: &RulePlan, revision: &Revision, origin: &Origin, output: Output) -> Stamped {
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
    if let Address::Service { about, .. } | Address::Subscribers { about, .. } = &output.to {
        headers.push("Trackside-Subject", about.as_str());
    }
    let mut payload = output.payload;
    if let Some((mode, about)) = output.to.events() {
        let defaults = Defaults {
            id: &message_id,
            source: format!("/trackside/{}", rule.source),
            kind: about.as_str(),
            time: rfc3339_ms(origin.timestamp_ms),
        };
        // One that cannot be written so has no address, and never comes here.
        if let Ok(event) = converted(&headers, &payload, mode, &defaults) {
            (headers, payload) = event;
        }
    }
    Stamped { to: output.to, headers, payload, message_id }
}

impl Stamped {
    /// Where it is to go on.
    pub(crate) fn on_its_way(self) -> Way {
        let Self { to, headers, payload, message_id } = self;
        match to {
            Address::Subject { subject, confirm, .. } => {
                Way::Nats(Outgoing { subject, reply: None, headers, payload, confirm, message_id })
            }
            Address::Service { service, path, timeout, events, batch, .. } => {
                let batch = (events == Some(EventMode::Batched)).then_some(batch);
                let message_id = batch.is_none().then_some(message_id);
                let post = Post { path, headers, payload, message_id, timeout, batch };
                Way::Elsewhere(Underway::Posting(service, Box::new(post)))
            }
            Address::Subscribers { queue, ack_wait, .. } => {
                let content = Content { message_id, headers, payload };
                Way::Elsewhere(Underway::Offering(queue, Box::new(content), ack_wait))
            }
            Address::Caller => Way::Elsewhere(Underway::Answering(Box::new(Content { message_id, headers, payload }))),
        }
    }
}

/// Decides about a failure: another try, a dead letter, or the end.
pub(super) async fn fail(task: &Task, failure: Failure, publisher: &Publisher) -> Sent {
    let (job, rule) = (&task.job, task.rule());
    let more = task.tries < rule.on_failure.tries || rule.pauses();
    // Who waits for an answer has the message still: a letter would be a second copy of what is sent again.
    if failure.retry.is_some() && (more || job.caller.is_some()) {
        return Sent::Retry(failure);
    }
    match dead_letter(&task.plan, rule, &job.flight.source, &job.message, &job.origin, &failure, &task.tried()) {
        None => Sent::Terminated(failure),
        Some(letter) => {
            let span = job.span.as_deref().map(|span| Box::new(SendSpan::of_letter(span, rule, &letter, &failure)));
            let pending = match publisher.publish(letter.clone()).await {
                Err(PublishError::TooLarge { .. }) => publisher.publish(without_payload(letter)).await,
                sent => sent,
            };
            Sent::Dead(failure, pending, span)
        }
    }
}
