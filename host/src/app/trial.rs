//! Messages that are tried on a configuration: how they are written, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::{Headers, Message, Origin, OriginKind, Subject};
use crate::names::SourceName;
use crate::pipeline::{Observation, Runner, observations};
use crate::plan::Plan;

/// A message as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a `subject`")]
struct Line {
    subject: String,
    source: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMany>,
    #[serde(default, deserialize_with = "present")]
    payload: Option<Box<RawValue>>,
    payload_base64: Option<String>,
    payload_text: Option<String>,
    /// Milliseconds since the Unix epoch; now, if it is not given.
    timestamp: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a header's value is a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A message to try.
#[derive(Debug)]
pub struct Trial {
    /// The message.
    pub message: Message,
    /// The source that it comes from; any that could deliver it, if it is not given.
    pub source: Option<String>,
    /// Its time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

impl Trial {
    /// Reads a message: an object of JSON with a `subject`.
    ///
    /// # Errors
    /// When it is none: what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        // Serde would take a list for an object, its elements for the members in their order.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err("not a message: expected a JSON object with a `subject`".to_owned());
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| format!("not a message: {error}"))?;
        let payload = match (line.payload, line.payload_base64, line.payload_text) {
            (Some(json), None, None) => Bytes::from(Box::<str>::from(json).into_string()),
            (None, Some(base64), None) => base64::engine::general_purpose::STANDARD
                .decode(base64)
                .map(Bytes::from)
                .map_err(|error| format!("payload_base64: not Base64 ({error})"))?,
            (None, None, Some(text)) => Bytes::from(text),
            (None, None, None) => Bytes::new(),
            _ => return Err("give one of payload, payload_base64 and payload_text".to_owned()),
        };
        let mut headers = Headers::default();
        for (name, values) in line.headers {
            let values = match values {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            for value in values {
                let appended = headers.append_by_producer(&name, &value);
                appended.map_err(|error| format!("header `{}`: {error}", name.escape_debug()))?;
            }
        }
        let subject = Subject::new(&line.subject).map_err(|error| format!("subject: {error}"))?;
        let message = Message { subject, headers, payload };
        Ok(Trial { message, source: line.source, timestamp_ms: line.timestamp.unwrap_or_else(now_ms) })
    }

    /// Runs it through the rules that take it. `number` is which of the messages it is.
    ///
    /// # Errors
    /// When there is no source of that name.
    pub fn run(&self, plan: &Plan, runner: &mut Runner, number: u64) -> Result<Vec<Observation>, String> {
        let subject = self.message.subject.as_str();
        let origin = Arc::new(Origin {
            kind: OriginKind::Trial,
            id: Arc::from(format!("trial:{number}")),
            timestamp_ms: self.timestamp_ms,
            delivery: 1,
        });
        let takers = takers(plan, self)?;
        let nobody = match (&self.source, takers.is_empty()) {
            (None, _) => "no rule takes this subject".to_owned(),
            (Some(name), false) => format!("no rule of source `{name}` takes this subject"),
            (Some(name), true) => format!("source `{name}` does not deliver this subject"),
        };
        let mut all = Vec::new();
        for (source, rules) in takers.into_iter().filter(|(_, rules)| !rules.is_empty()) {
            let run = |rule| (rule, runner.run(plan, &plan.rules[rule], &self.message, &origin, &[]));
            let outcomes: Vec<_> = rules.into_iter().map(run).collect();
            all.extend(observations(plan, source, &self.message, &origin, &outcomes, None));
        }
        if all.is_empty() {
            all.push(Observation::unmatched(subject, nobody));
        }
        for observation in &mut all {
            observation.message = Some(number);
        }
        Ok(all)
    }
}

/// The time that a message has which says nothing about it.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps `"payload": null` apart from no payload at all.
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(input).map(Some)
}

/// The sources that the message may have come from, with their rules that take it.
fn takers<'p>(plan: &'p Plan, trial: &Trial) -> Result<Vec<(&'p SourceName, Vec<usize>)>, String> {
    if let Some(name) = &trial.source
        && !plan.sources.contains_key(name.as_str())
    {
        let known: Vec<_> = plan.sources.keys().map(SourceName::as_str).collect();
        return Err(format!(
            "there is no source `{}`; the configuration has {}",
            name.escape_debug(),
            known.join(", ")
        ));
    }
    Ok(plan.takers(trial.message.subject.as_str(), trial.source.as_deref()))
}
