//! What became of a message, as a tap is sent it. Without leave to reveal, nothing that the message was is in it: only
//! what it has become, and where that differs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::{Headers, Message, Subject, is_reserved};
use crate::pipeline::{Output, Seen, StageTrace, headers_json, raw_json, stamped};
use crate::plan::RulePlan;
use crate::times::rfc3339;

use super::diff::{self, Change};

/// The longest payload that is shown and compared.
const MAX_PAYLOAD_BYTES: usize = 128 << 10;

/// Whether it may be shown what a message was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reveal {
    #[default]
    Nothing,
    Before,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body<'s> {
    at: String,
    revision: &'s str,
    source: &'s str,
    subject: &'s str,
    message_id: &'s str,
    #[serde(rename = "try")]
    count: u32,
    rule: Option<&'s str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'s str>,
    /// Those of a message that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stages: Vec<Stage<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Image>,
    outputs: Vec<OutputBody<'s>>,
    dropped: Vec<DroppedBody<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct OutputBody<'s> {
    route: &'s str,
    subject: String,
    message_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    part: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    diverted_from: Option<&'s str>,
    stages: Vec<Stage<'s>>,
    #[serde(flatten)]
    after: Image,
    /// Not of a part, which has no counterpart in the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<Changed>>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    more_changed: usize,
}

#[derive(Serialize)]
struct DroppedBody<'s> {
    reason: &'s str,
    stages: Vec<Stage<'s>>,
}

#[derive(Serialize)]
struct Stage<'s> {
    plugin: &'s str,
    verdict: &'static str,
    micros: u64,
}

/// A message, or what it has become.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    headers: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    /// How long one is that is too long to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_omitted: Option<usize>,
}

/// A header, a JSON value, or a payload that is not JSON.
#[derive(Serialize)]
struct Changed {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Box<RawValue>>,
}

/// The data of an event.
pub(super) fn body(seen: &Seen, reveal: Reveal) -> String {
    let (message, failure) = (&seen.message, seen.failure.as_ref());
    let before = Image::of(&message.headers, &message.payload);
    let outputs = seen.rule().map(|rule| {
        let one = |output| OutputBody::of(seen, rule, output, &before, reveal);
        seen.outputs.iter().map(one).collect()
    });
    let body = Body {
        at: rfc3339(seen.at),
        revision: seen.plan.revision.as_str(),
        source: seen.source.as_str(),
        subject: message.subject.as_str(),
        message_id: &seen.origin.id,
        count: seen.tries.count,
        rule: seen.rule().map(|rule| rule.name.as_str()),
        outcome: seen.ending.as_str(),
        class: failure.map(|failure| failure.class.as_str()),
        plugin: failure.and_then(|failure| failure.plugin.as_ref()).map(|(plugin, _)| plugin.as_str()),
        reason: seen.reason.as_deref().or(failure.map(|failure| &*failure.reason)),
        again_after_ms: seen.after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        dead_letter: seen.letter.as_ref().map(Subject::as_str),
        stages: failure.map_or_else(Vec::new, |failure| stages(&failure.stages)),
        outputs: outputs.unwrap_or_default(),
        dropped: seen
            .dropped
            .iter()
            .map(|drop| DroppedBody { reason: &drop.reason, stages: stages(&drop.stages) })
            .collect(),
        before: (reveal == Reveal::Before).then_some(before),
    };
    // Texts, numbers, and JSON that was checked, can always be written.
    serde_json::to_string(&body).unwrap_or_default()
}

fn stages(traces: &[StageTrace]) -> Vec<Stage<'_>> {
    traces.iter().map(Stage::of).collect()
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl<'s> Stage<'s> {
    fn of(trace: &'s StageTrace) -> Self {
        let micros = u64::try_from(trace.took.as_micros()).unwrap_or(u64::MAX);
        Self { plugin: trace.plugin.as_str(), verdict: trace.verdict, micros }
    }
}

impl Image {
    fn of(headers: &Headers, payload: &Bytes) -> Self {
        let mut image =
            Self { headers: headers_json(headers), payload: None, payload_base64: None, payload_omitted: None };
        if payload.len() > MAX_PAYLOAD_BYTES {
            image.payload_omitted = Some(payload.len());
            return image;
        }
        image.payload = raw_json(payload);
        if image.payload.is_none() {
            image.payload_base64 = Some(STANDARD.encode(payload));
        }
        image
    }
}

impl<'s> OutputBody<'s> {
    fn of(seen: &'s Seen, rule: &'s RulePlan, output: &'s Output, before: &Image, reveal: Reveal) -> Self {
        let name = |route: usize| rule.routes[route].name.as_str();
        let after = Image::of(&output.headers, &output.payload);
        let (mut changed, mut more_changed) = (None, 0);
        if output.part.is_empty() {
            let mut all = headers(&seen.message.headers, &output.headers, reveal);
            more_changed = payload(&seen.message, before, output, &after, reveal, &mut all);
            changed = Some(all);
        }
        Self {
            route: name(output.route),
            subject: output.to.to_string(),
            message_id: stamped(rule, &seen.plan.revision, &seen.origin, output.clone()).message_id,
            part: &output.part,
            diverted_from: output.diverted_from.map(name),
            stages: stages(&output.stages),
            after,
            changed,
            more_changed,
        }
    }
}

/// What differs in the headers, but for those that no output has.
fn headers(before: &Headers, after: &Headers, reveal: Reveal) -> Vec<Changed> {
    let values = |headers: &Headers| {
        let mut by_name: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
        for header in headers.iter().filter(|header| !is_reserved(&header.name)) {
            let entry = by_name.entry(header.name.to_ascii_lowercase());
            entry.or_insert_with(|| (header.name.to_string(), Vec::new())).1.push(header.value.clone());
        }
        by_name
    };
    let (mut before, after) = (values(before), values(after));
    let mut changed = Vec::new();
    let of = |name: String, before: Option<Vec<String>>, after: Option<Vec<String>>| Changed {
        header: Some(name),
        path: None,
        change: word(before.is_some(), after.is_some()),
        before: before.filter(|_| reveal == Reveal::Before).and_then(texts),
        after: after.and_then(texts),
    };
    for (key, (name, values)) in after {
        let known = before.remove(&key).map(|(_, values)| values);
        if known.as_ref() != Some(&values) {
            changed.push(of(name, known, Some(values)));
        }
    }
    changed.extend(before.into_values().map(|(name, values)| of(name, Some(values), None)));
    changed
}

/// A header's values: a text, or a list of texts where it repeats.
fn texts(values: Vec<String>) -> Option<Box<RawValue>> {
    let value = match <[String; 1]>::try_from(values) {
        Ok([value]) => Value::from(value),
        Err(values) => Value::from(values),
    };
    serde_json::value::to_raw_value(&value).ok()
}

/// What differs in the payload; how much more than is told.
fn payload(
    message: &Message,
    before: &Image,
    output: &Output,
    after: &Image,
    reveal: Reveal,
    changed: &mut Vec<Changed>,
) -> usize {
    if message.payload == output.payload {
        return 0;
    }
    let (Some(before), Some(after)) = (&before.payload, &after.payload) else {
        // What is not JSON, or too long, is told of as a whole.
        changed.push(Changed { header: None, path: None, change: word(true, true), before: None, after: None });
        return 0;
    };
    let changes = diff::changes(before, after);
    let one = |Change { path, before, after }: Change<'_>| Changed {
        header: None,
        path: Some(if after.is_none() && reveal == Reveal::Nothing { path.guarded() } else { path.to_string() }),
        change: word(before.is_some(), after.is_some()),
        before: before.filter(|_| reveal == Reveal::Before).map(ToOwned::to_owned),
        after: after.map(ToOwned::to_owned),
    };
    changed.extend(changes.all.into_iter().map(one));
    changes.more
}

fn word(before: bool, after: bool) -> &'static str {
    match (before, after) {
        (true, true) => "replaced",
        (false, _) => "added",
        (true, false) => "removed",
    }
}
