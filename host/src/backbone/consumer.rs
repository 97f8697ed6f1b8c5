//! The durable consumer of a source: made if it is missing, compared field by field if it is there.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_nats::datetime::parse_rfc3339;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, Info, PriorityPolicy};

use super::source::SourceError;
use super::wire::{JetStreamError, Wire};
use super::{ensure, ordered};
use crate::message::SubjectPattern;
use crate::rules::Deliver;

/// How often another instance may come in between asking and making.
const MAX_RACES: usize = 3;

/// What a source asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) stream: &'a str,
    pub(super) durable: &'a str,
    pub(super) filter_subjects: &'a [SubjectPattern],
    pub(super) deliver: &'a Deliver,
    pub(super) ack_wait: Duration,
    pub(super) max_in_flight_messages: usize,
    /// Whether one instance at a time is to be delivered to, and in order.
    pub(super) ordered: bool,
    /// Whether acknowledgements are acknowledged.
    pub(super) double_ack: bool,
}

/// One thing in which a consumer that exists differs from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is, in words of the configuration.
    pub what: &'static str,
    /// What the consumer has.
    pub has: String,
    /// What the configuration asks for.
    pub wanted: String,
    /// The option of `nats consumer edit` that changes it, if it can be changed.
    pub edit: Option<String>,
}

/// The differences and what to do about them.
pub(super) struct Differences<'a>(pub(super) &'a str, pub(super) &'a str, pub(super) &'a [Difference]);

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(stream, consumer, differences) = self;
        for difference in *differences {
            let Difference { what, has, wanted, .. } = difference;
            write!(f, "\n    {what}: it has {has}, the configuration says {wanted}")?;
        }
        f.write_str("\nchange the configuration, or the consumer with:\n    ")?;
        let edits: Option<Vec<_>> = differences.iter().map(|difference| difference.edit.as_deref()).collect();
        match edits {
            Some(edits) => write!(f, "nats consumer edit {stream} {consumer} {}", edits.join(" ")),
            None => write!(
                f,
                "nats consumer rm {stream} {consumer}\nwhich forgets what it has delivered: it is made again at the next start"
            ),
        }
    }
}

/// Finds the consumer or makes it. Safe against other instances that do the same.
pub(super) async fn open(wire: &Wire, wanted: Wanted<'_>) -> Result<Config, SourceError> {
    let Wanted { stream, durable, .. } = wanted;
    let config = wanted.config()?;
    let failed = |error: JetStreamError| match error.is(ErrorCode::STREAM_NOT_FOUND) {
        true => missing(stream, wanted.filter_subjects),
        false => SourceError::JetStream { stream: stream.to_owned(), error },
    };
    let mut last = None;
    for _ in 0..MAX_RACES {
        match wire.ask::<Info>(format!("CONSUMER.INFO.{stream}.{durable}")).await {
            Ok(info) => return wanted.check(info.config),
            Err(error) if error.is(ErrorCode::CONSUMER_NOT_FOUND) => {}
            Err(error) => return Err(failed(error)),
        }
        let filter = if config.filter_subject.is_empty() { "" } else { "." };
        let request = format!("CONSUMER.CREATE.{stream}.{durable}{filter}{}", config.filter_subject);
        let body = serde_json::json!({ "stream_name": stream, "config": config, "action": "create" });
        match wire.api::<Info>(request, &body).await {
            Ok(info) => {
                tracing::info!(stream, consumer = durable, "made a consumer");
                return Ok(info.config);
            }
            Err(error) if error.is(ErrorCode::CONSUMER_ALREADY_EXISTS) => last = Some(error),
            Err(error) => return Err(failed(error)),
        }
    }
    let reason = last.map_or_else(String::new, |error| error.to_string());
    Err(SourceError::Refused { stream: stream.to_owned(), consumer: durable.to_owned(), reason })
}

/// Whether the consumer is still there, asked when a pull was not answered as it should be.
pub(super) async fn check_alive(
    wire: &Wire,
    stream: &str,
    durable: &str,
    filter_subjects: &[SubjectPattern],
) -> Result<(), SourceError> {
    match wire.ask::<serde::de::IgnoredAny>(format!("CONSUMER.INFO.{stream}.{durable}")).await {
        Ok(_) => Ok(()),
        Err(error) if error.is(ErrorCode::CONSUMER_NOT_FOUND) => {
            Err(SourceError::ConsumerGone { stream: stream.to_owned(), consumer: durable.to_owned() })
        }
        Err(error) if error.is(ErrorCode::STREAM_NOT_FOUND) => Err(missing(stream, filter_subjects)),
        Err(error) => Err(SourceError::JetStream { stream: stream.to_owned(), error }),
    }
}

fn missing(stream: &str, filter_subjects: &[SubjectPattern]) -> SourceError {
    SourceError::StreamMissing { stream: stream.to_owned(), command: ensure::add_command(stream, filter_subjects) }
}

impl Wanted<'_> {
    fn config(&self) -> Result<Config, SourceError> {
        let filters: Vec<String> = self.filter_subjects.iter().map(|filter| filter.as_str().to_owned()).collect();
        let (filter_subject, filter_subjects) = match <[String; 1]>::try_from(filters) {
            Ok([one]) => (one, Vec::new()),
            Err(other) => (String::new(), other),
        };
        Ok(Config {
            durable_name: Some(self.durable.to_owned()),
            name: Some(self.durable.to_owned()),
            description: Some("made by Trackside".to_owned()),
            deliver_policy: self.deliver_policy()?,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            // How often a message is tried is the rule's business.
            max_deliver: -1,
            filter_subject,
            filter_subjects,
            max_ack_pending: i64::try_from(self.max_in_flight_messages).unwrap_or(i64::MAX),
            priority_policy: if self.ordered { PriorityPolicy::PinnedClient } else { PriorityPolicy::None },
            priority_groups: if self.ordered { vec![ordered::GROUP.to_owned()] } else { Vec::new() },
            priority_timeout: if self.ordered { ordered::timeout(self.ack_wait) } else { Duration::ZERO },
            ..Config::default()
        })
    }

    fn deliver_policy(&self) -> Result<DeliverPolicy, SourceError> {
        Ok(match self.deliver {
            Deliver::All => DeliverPolicy::All,
            Deliver::New => DeliverPolicy::New,
            Deliver::FromSequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence: *start_sequence },
            Deliver::FromTime(text) => DeliverPolicy::ByStartTime {
                start_time: parse_rfc3339(text).map_err(|_| SourceError::Time { text: text.clone() })?,
            },
        })
    }

    /// Compares what changes which messages come or how they are acknowledged; everything else is the owner's.
    fn check(&self, has: Config) -> Result<Config, SourceError> {
        let differences = self.differences(&has, &self.config()?);
        if differences.is_empty() {
            return Ok(has);
        }
        Err(SourceError::ConsumerDiffers {
            stream: self.stream.to_owned(),
            consumer: self.durable.to_owned(),
            differences,
        })
    }

    fn differences(&self, has: &Config, want: &Config) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut compare = |what, same: bool, has: String, wanted: String, edit: Option<String>| {
            if !same {
                found.push(Difference { what, has, wanted, edit });
            }
        };
        let pull = |push: bool| if push { "a push consumer" } else { "a pull consumer" }.to_owned();
        compare("kind", has.deliver_subject.is_none(), pull(true), pull(false), None);
        let durable = has.durable_name.is_some();
        compare("durability", durable, "an ephemeral consumer".to_owned(), "a durable one".to_owned(), None);

        let (old, new) = (filters(has), filters(want));
        let edit = new.iter().map(|filter| format!("--filter \"{filter}\"")).collect::<Vec<_>>().join(" ");
        let edit = (!new.is_empty()).then_some(edit);
        compare("filter-subjects", old == new, list(&old), list(&new), edit);

        let (old, new) = (has.deliver_policy, want.deliver_policy);
        compare("deliver", old == new, deliver(&old), deliver(&new), None);
        let (old, new) = (has.ack_policy, want.ack_policy);
        compare("acknowledgement", old == new, format!("{old:?}").to_lowercase(), "explicit".to_owned(), None);
        let (old, new) = (has.ack_wait, want.ack_wait);
        let edit = Some(format!("--wait {}ms", new.as_millis()));
        compare("ack-wait", old == new, format!("{old:?}"), format!("{new:?}"), edit);
        let (old, new) = (has.max_deliver, want.max_deliver);
        let endless = old == new || old == 0;
        compare(
            "tries by the server",
            endless,
            old.to_string(),
            "no limit".to_owned(),
            Some("--max-deliver=-1".to_owned()),
        );
        // More is fine: several instances may share the consumer.
        let (old, new) = (has.max_ack_pending, want.max_ack_pending);
        let edit = Some(format!("--max-pending {new}"));
        compare("max-in-flight", old <= 0 || old >= new, old.to_string(), new.to_string(), edit);
        let edit = Some("--no-headers-only".to_owned());
        compare("payloads", !has.headers_only, "headers only".to_owned(), "whole messages".to_owned(), edit);
        let (old, new) = (groups(has), groups(want));
        compare("priority groups", old == new, old, new, None);
        found
    }
}

/// Who is delivered to. How soon another one is, when one falls silent, is the owner's to say.
fn groups(config: &Config) -> String {
    match &config.priority_policy {
        PriorityPolicy::None => "none".to_owned(),
        PriorityPolicy::PinnedClient => format!("pinned client of `{}`", config.priority_groups.join("`, `")),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn filters(config: &Config) -> BTreeSet<&str> {
    let one = Some(config.filter_subject.as_str()).filter(|filter| !filter.is_empty());
    let all: BTreeSet<&str> = one.into_iter().chain(config.filter_subjects.iter().map(String::as_str)).collect();
    // Everything is what no filter says too.
    if all.contains(">") { BTreeSet::new() } else { all }
}

fn list(filters: &BTreeSet<&str>) -> String {
    if filters.is_empty() {
        return "no filter".to_owned();
    }
    filters.iter().map(|filter| format!("`{filter}`")).collect::<Vec<_>>().join(", ")
}

fn deliver(policy: &DeliverPolicy) -> String {
    match policy {
        DeliverPolicy::All => "`all`".to_owned(),
        DeliverPolicy::New => "`new`".to_owned(),
        DeliverPolicy::Last => "`last`".to_owned(),
        DeliverPolicy::LastPerSubject => "`last per subject`".to_owned(),
        DeliverPolicy::ByStartSequence { start_sequence } => format!("`from-sequence = {start_sequence}`"),
        DeliverPolicy::ByStartTime { start_time } => format!("`from-time = {start_time}`"),
    }
}
