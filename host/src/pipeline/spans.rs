//! What traces tell of messages: names, kinds and attributes of spans, after OpenTelemetry's semantic conventions for
//! messaging where these have a word for it. Subjects and ids are told, and reasons that show nothing of a payload; no
//! span has a payload, a header or the path of a URL, which may be made of one.

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanKind};
use opentelemetry_sdk::trace::SpanEvents;

use crate::backbone::{Confirmed, Outgoing, PublishError};
use crate::message::{Headers, OriginKind};
use crate::plan::{Address, RulePlan, StagePlan};
use crate::plugins::{CallError, KeptLines, Verdict};
use crate::telemetry::RuleOutcome;
use crate::telemetry::traces::{About, MessageSpan, Span, add};

use super::emit::Stamped;
use super::job::{Acked, Job, Task};
use super::outcome::{Failure, fault_kind, verdict};
use super::outlet::{OutputError, Safe};

/// Where the stages of one try leave their spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trail<'t> {
    span: &'t MessageSpan,
    tries: u32,
}

/// A call of a stage.
pub(super) struct Called<'c> {
    pub(super) rule: &'c RulePlan,
    pub(super) stage: &'c StagePlan,
    /// The stage's position in its rule, counted from 1.
    pub(super) number: usize,
    pub(super) part: &'c str,
    pub(super) result: &'c Result<Verdict, CallError>,
}

/// The span of an output or a dead letter, until it is safe.
#[derive(Debug)]
pub(super) struct SendSpan {
    span: Span,
    name: String,
    attributes: Vec<KeyValue>,
}

impl<'t> Trail<'t> {
    /// That of a task, if its message is traced.
    pub(super) fn of(task: &'t Task) -> Option<Self> {
        task.job.span.as_deref().map(|span| Self { span, tries: task.tries })
    }

    /// The span of a stage.
    pub(super) fn stage(&self, called: &Called<'_>, begun: Instant, took: Duration, logged: KeptLines) {
        let Called { rule, stage, number, part, result } = called;
        let mut attributes = vec![
            KeyValue::new("trackside.rule", rule.name.to_string()),
            KeyValue::new("trackside.plugin", stage.plugin.to_string()),
            KeyValue::new("trackside.stage", count(*number)),
            KeyValue::new("trackside.try", i64::from(self.tries)),
            KeyValue::new("trackside.verdict", verdict(result)),
        ];
        if !part.is_empty() {
            attributes.push(KeyValue::new("trackside.part", (*part).to_owned()));
        }
        let (kind, failure) = match result {
            Ok(Verdict::Reject(reason)) => ("rejected", Some(reason.clone())),
            Ok(_) => ("", None),
            Err(CallError::Refused(refusal)) => ("retry", Some(refusal.reason.clone())),
            Err(CallError::Fault(fault)) => (fault_kind(fault), Some(fault.to_string())),
        };
        if failure.is_some() {
            attributes.push(KeyValue::new("error.type", kind));
        }
        let about =
            About { name: format!("stage {}", stage.plugin).into(), kind: SpanKind::Internal, attributes, failure };
        self.span.child(begun).end_after(took, about, events(logged));
    }
}

/// A plugin's log lines as events.
fn events(logged: KeptLines) -> SpanEvents {
    let mut events = SpanEvents::default();
    for line in logged.lines {
        let attributes =
            vec![KeyValue::new("log.severity", line.level.as_str()), KeyValue::new("log.message", line.text)];
        add(&mut events, Event::new("log", line.at, attributes, 0));
    }
    events.dropped_count += logged.more;
    events
}

impl SendSpan {
    /// Begins it, and makes it what the message with these headers is sent by.
    pub(super) fn begin(message: &MessageSpan, headers: &mut Headers) -> Self {
        let span = message.child(Instant::now());
        span.inject(headers);
        Self { span, name: String::new(), attributes: Vec::new() }
    }

    /// Says which output it is of.
    pub(super) fn of(mut self, rule: &RulePlan, route: usize, output: &Stamped) -> Self {
        let route = &rule.routes[route];
        self.name = format!("send {}", route.to);
        self.attributes.push(KeyValue::new("trackside.route", route.name.to_string()));
        match &output.to {
            Address::Subject { subject, .. } => self.about(rule, Some(subject.as_str()), &output.message_id),
            Address::Service { service, .. } => {
                self.attributes.push(KeyValue::new("server.address", service.address().host().to_owned()));
                self.attributes.push(KeyValue::new("server.port", i64::from(service.address().port())));
                self.about(rule, None, &output.message_id);
            }
            Address::Subscribers { .. } | Address::Caller => self.about(rule, None, &output.message_id),
        }
        self
    }

    /// That of a dead letter, which keeps the headers of the original, and with them its trace.
    pub(super) fn of_letter(message: &MessageSpan, rule: &RulePlan, letter: &Outgoing, failure: &Failure) -> Self {
        let span = message.child(Instant::now());
        let attributes = vec![KeyValue::new("trackside.class", failure.class.as_str())];
        let mut this = Self { span, name: "send dead letter".to_owned(), attributes };
        this.about(rule, Some(letter.subject.as_str()), &letter.message_id);
        this
    }

    fn about(&mut self, rule: &RulePlan, subject: Option<&str>, id: &str) {
        self.attributes.extend([
            KeyValue::new("messaging.operation.name", "publish"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.message.id", id.to_owned()),
            KeyValue::new("trackside.rule", rule.name.to_string()),
        ]);
        if let Some(subject) = subject {
            self.attributes.push(KeyValue::new("messaging.system", "nats"));
            self.attributes.push(KeyValue::new("messaging.destination.name", subject.to_owned()));
        }
    }

    /// The output is safe, or is not known to be.
    pub(super) fn end(mut self, result: &Result<Safe, OutputError>) {
        match result {
            Ok(Safe::Confirmed(confirmed)) => self.confirmed(confirmed),
            Ok(Safe::Taken) => self.outcome("taken"),
            Ok(Safe::Answer(_)) => self.outcome("answered"),
            Err(_) => self.outcome("failed"),
        }
        self.finish(result.as_ref().err().map(ToString::to_string));
    }

    /// The letter is stored, or not.
    pub(super) fn end_letter(mut self, result: &Result<Confirmed, PublishError>) {
        match result {
            Ok(confirmed) => self.confirmed(confirmed),
            Err(_) => self.outcome("failed"),
        }
        self.finish(result.as_ref().err().map(ToString::to_string));
    }

    fn confirmed(&mut self, confirmed: &Confirmed) {
        match confirmed {
            Confirmed::Flushed => self.outcome("flushed"),
            Confirmed::Among { stream } => {
                self.outcome("stored");
                self.attributes.push(KeyValue::new("trackside.stream", stream.to_string()));
            }
            Confirmed::Stored { stream, sequence, duplicate } => {
                self.outcome(if *duplicate { "duplicate" } else { "stored" });
                self.attributes.push(KeyValue::new("trackside.stream", stream.clone()));
                self.attributes.push(KeyValue::new("trackside.sequence", i64::try_from(*sequence).unwrap_or(i64::MAX)));
            }
        }
    }

    fn outcome(&mut self, outcome: &'static str) {
        self.attributes.push(KeyValue::new("trackside.outcome", outcome));
    }

    fn finish(self, failure: Option<String>) {
        let Self { span, name, mut attributes } = self;
        if failure.is_some() {
            attributes.push(KeyValue::new("error.type", "publish"));
        }
        span.end(About { name: name.into(), kind: SpanKind::Producer, attributes, failure });
    }
}

/// Notes what has become of a message in a rule.
pub(super) fn concluded(span: &MessageSpan, task: &Task, outcome: RuleOutcome) {
    let (rule, word) = (&task.rule().name, outcome.as_str());
    span.event(
        "rule",
        vec![
            KeyValue::new("trackside.rule", rule.to_string()),
            KeyValue::new("trackside.outcome", word),
            KeyValue::new("trackside.try", i64::from(task.tries)),
        ],
    );
    if matches!(outcome, RuleOutcome::DeadLettered | RuleOutcome::Terminated) {
        span.failed(format!("rule {rule}: {word}"));
    }
}

/// Ends the span of a message.
pub(super) fn resolved(span: &MessageSpan, job: &Job, fate: &Acked) {
    let system = match job.origin.kind {
        OriginKind::JetStream | OriginKind::Core => "nats",
        OriginKind::Sidecar | OriginKind::Trial => "trackside",
    };
    let outcome = match fate {
        Acked::Acknowledged => "acknowledged",
        Acked::Retried(_) => "handed-back",
        Acked::Terminated => "terminated",
    };
    let attributes = vec![
        KeyValue::new("messaging.system", system),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.destination.name", job.message.subject.to_string()),
        KeyValue::new("messaging.message.id", job.origin.id.to_string()),
        KeyValue::new("messaging.message.body.size", count(job.message.payload.len())),
        KeyValue::new("trackside.source", job.flight.source.to_string()),
        KeyValue::new("trackside.revision", job.plan.revision.to_string()),
        KeyValue::new("trackside.delivery", i64::from(job.origin.delivery)),
        KeyValue::new("trackside.outcome", outcome),
    ];
    let name = format!("process {}", job.flight.source).into();
    span.end(About { name, kind: SpanKind::Consumer, attributes, failure: None });
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
