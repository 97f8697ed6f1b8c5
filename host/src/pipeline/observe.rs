//! What became of a message, as `trackside try` and `trackside dev` show it.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::message::{Headers, Message, Origin};
use crate::names::SourceName;
use crate::plan::{Plan, RulePlan};

use super::dead::{Tries, dead_letter};
use super::emit::stamped;
use super::outcome::{Dropped, Failure, Outcome, Output, StageTrace};
use super::seen::{Ending, Seen};

/// One outcome of one message: the fields of a line that `try` prints. Fields without a meaning for an outcome are null.
#[derive(Debug, Clone, Serialize)]
pub struct Observation {
    /// The line of the input that the message was on, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
    /// The rule; null where none took the message.
    pub rule: Option<String>,
    /// `published`, `dropped`, `dead-lettered`, `unmatched`, and in a running host also `retried` and `unavailable`.
    pub outcome: &'static str,
    /// The route that was taken.
    pub route: Option<String>,
    /// Where it goes: a subject, the URL of a service, or `sidecar:` and what services subscribe to.
    pub subject: Option<String>,
    /// Its headers: a text where a name is there once, a list of texts where it repeats.
    pub headers: Option<Value>,
    /// Its payload, where that is JSON: as it is, without the white space between tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Its payload in Base64, where that is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// Why it was dropped, dead-lettered or not matched.
    pub reason: Option<String>,
    /// What each stage said.
    pub stages: Vec<ObservedStage>,
}

/// What a stage said to a message.
#[derive(Debug, Clone, Serialize)]
pub struct ObservedStage {
    /// The stage's plugin.
    pub plugin: String,
    /// `forward`, `route`, `split`, `drop`, `reject`, `retry` or `fault`.
    pub verdict: &'static str,
    /// How long the call took, in microseconds.
    pub micros: u64,
}

impl Observation {
    /// A message that no rule took.
    #[must_use]
    pub fn unmatched(subject: &str, reason: String) -> Self {
        let mut unmatched = Self::new(None, "unmatched", &[]);
        unmatched.subject = Some(subject.to_owned());
        unmatched.reason = Some(reason);
        unmatched
    }

    fn new(rule: Option<&str>, outcome: &'static str, stages: &[StageTrace]) -> Self {
        let stages = stages.iter().map(|stage| ObservedStage {
            plugin: stage.plugin.to_string(),
            verdict: stage.verdict,
            micros: u64::try_from(stage.took.as_micros()).unwrap_or(u64::MAX),
        });
        Self {
            message: None,
            rule: rule.map(str::to_owned),
            outcome,
            route: None,
            subject: None,
            headers: None,
            payload: None,
            payload_base64: None,
            reason: None,
            stages: stages.collect(),
        }
    }

    fn content(&mut self, headers: &Headers, payload: &[u8]) {
        self.headers = Some(headers_json(headers));
        self.payload = raw_json(payload);
        if self.payload.is_none() {
            self.payload_base64 = Some(base64::engine::general_purpose::STANDARD.encode(payload));
        }
    }
}

/// What became of a message in the rules that took it; one observation says so if none did. `first` is when it was first
/// tried, if not just now.
#[must_use]
pub fn observations(
    plan: &Plan,
    source: &SourceName,
    message: &Message,
    origin: &Arc<Origin>,
    outcomes: &[(usize, Outcome)],
    first: Option<SystemTime>,
) -> Vec<Observation> {
    if outcomes.is_empty() {
        let reason = format!("no rule of source `{source}` takes this subject");
        return vec![Observation::unmatched(message.subject.as_str(), reason)];
    }
    let now = SystemTime::now();
    let tries = Tries { count: origin.delivery, first: first.unwrap_or(now), last: now };
    let of_rule = |(position, outcome): &(usize, Outcome)| {
        let became = (&outcome.outputs[..], &outcome.dropped[..], outcome.failure.as_ref());
        of_rule(plan, &plan.rules[*position], source, message, origin, became, &tries)
    };
    outcomes.iter().flat_map(of_rule).collect()
}

impl Seen {
    /// The same as `trackside dev` shows it.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        let Some(rule) = self.rule() else {
            let reason = self.reason.clone().unwrap_or_default();
            return vec![Observation::unmatched(self.message.subject.as_str(), reason)];
        };
        let failure = self.failure.as_ref();
        let became = (&self.outputs[..], &self.dropped[..], failure.filter(|_| self.outputs.is_empty()));
        let mut all = of_rule(&self.plan, rule, &self.source, &self.message, &self.origin, became, &self.tries);
        if matches!(self.ending, Ending::Retried | Ending::Unavailable) {
            for observation in &mut all {
                observation.outcome = self.ending.as_str();
                let why = self.reason.as_ref().or(failure.map(|failure| &failure.reason)).cloned();
                let again = self.after.map(|after| format!("; again after {after:?}"));
                observation.reason = why.map(|why| why + &again.unwrap_or_default());
            }
        }
        all
    }
}

/// What a message became in a rule: what is published, what was dropped, why it failed.
type Became<'o> = (&'o [Output], &'o [Dropped], Option<&'o Failure>);

fn of_rule(
    plan: &Plan,
    rule: &RulePlan,
    source: &SourceName,
    message: &Message,
    origin: &Arc<Origin>,
    (outputs, dropped, failure): Became<'_>,
    tries: &Tries,
) -> Vec<Observation> {
    let mut all = Vec::new();
    let name = Some(rule.name.as_str());
    for output in outputs {
        let mut published = Observation::new(name, "published", &output.stages);
        let sent = stamped(rule, &plan.revision, origin, output.clone());
        published.route = Some(rule.routes[output.route].name.to_string());
        published.subject = Some(sent.to.to_string());
        published.content(&sent.headers, &sent.payload);
        all.push(published);
    }
    for dropped in dropped {
        let mut observation = Observation::new(name, "dropped", &dropped.stages);
        observation.reason = Some(dropped.reason.clone());
        all.push(observation);
    }
    if let Some(failure) = failure {
        let mut dead = Observation::new(name, "dead-lettered", &failure.stages);
        dead.reason = Some(failure.reason.clone());
        match dead_letter(plan, rule, source, message, origin, failure, tries) {
            Some(letter) => {
                dead.subject = Some(letter.subject.to_string());
                dead.content(&letter.headers, &letter.payload);
            }
            None => dead.content(&message.headers, &message.payload),
        }
        all.push(dead);
    }
    all
}

/// JSON without the white space between tokens, so that it fits a line; every token keeps its spelling.
pub(crate) fn raw_json(payload: &[u8]) -> Option<Box<RawValue>> {
    trackside_json::validate(payload, &trackside_json::Limits::default()).ok()?;
    let mut compact = String::with_capacity(payload.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in std::str::from_utf8(payload).ok()?.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        compact.push(c);
    }
    RawValue::from_string(compact).ok()
}

/// Headers as an object: a text where a name is there once, a list where it repeats.
pub(crate) fn headers_json(headers: &Headers) -> Value {
    let mut object: Map<String, Value> = Map::new();
    for header in headers {
        match object.get_mut(header.name.as_ref()) {
            None => {
                object.insert(header.name.to_string(), Value::from(header.value.as_str()));
            }
            Some(Value::Array(values)) => values.push(Value::from(header.value.as_str())),
            Some(first) => *first = json!([first.clone(), header.value.as_str()]),
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_payload_is_shown_on_one_line_with_every_token_as_it_was() {
        let payload = b"{ \"a b\" : \"x\\\\\", \"a b\":\n 1.50, \"c\": \" \\\" \" }";
        let raw = raw_json(payload).expect("it is JSON");
        assert_eq!(raw.get(), r#"{"a b":"x\\","a b":1.50,"c":" \" "}"#);
        assert!(raw_json(b"not json").is_none());
    }
}
