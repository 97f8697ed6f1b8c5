//! `[test.message]`: what comes in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toml::de::DeValue;

use super::parse::Context;
use super::payload::{self, headers};
use crate::message::{Headers, Message, Subject};
use crate::names::SourceName;
use crate::rules::suggest;
use crate::rules::table::Table;
use crate::rules::values::{self, Node, Wrong};
use crate::times;

/// What comes in, and where from.
pub(super) struct Incoming {
    pub(super) message: Message,
    pub(super) source: Option<SourceName>,
    pub(super) timestamp_ms: u64,
}

pub(super) fn message(table: &Table<'_>, context: Context<'_>) -> Option<Incoming> {
    let subject = subject(table);
    let source = source(table, context);
    let mut carried = Headers::default();
    for (name, span, values) in headers(table) {
        for value in values {
            if let Err(error) = carried.append_by_producer(&name, &value) {
                let message = format!("the header `{name}` cannot be sent: {error}");
                table.file.error(span.clone(), message, "write what NATS can carry");
            }
        }
    }
    let timestamp = table.read("timestamp", timestamp);
    let payload = payload::of_message(table, context);
    let message = Message { subject: subject?, headers: carried, payload };
    Some(Incoming { message, source, timestamp_ms: times::unix_ms(timestamp?) })
}

/// A subject without wildcards.
pub(super) fn subject(table: &Table<'_>) -> Option<Subject> {
    let text = table.text("subject")?;
    Subject::new(&text).map_err(|error| table.error("subject", "`subject` is not a subject", error.to_string())).ok()
}

fn source(table: &Table<'_>, context: Context<'_>) -> Option<SourceName> {
    let text = table.text("source")?;
    let known = &context.rules.config.sources;
    if !known.contains_key(text.as_str()) {
        let help = suggest::help(&text, known.keys().map(SourceName::as_str), "sources");
        table.error("source", format!("there is no source `{text}` in trackside.toml"), help);
    }
    SourceName::new(&text).ok()
}

fn timestamp(node: &Node<'_>) -> Result<SystemTime, Wrong> {
    let help = "write for example 2026-11-22T10:00:00Z";
    let text = match node.get_ref() {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Integer(_) => {
            return values::whole(node, 0..=u64::MAX).map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
        }
        other => return Err(Wrong::new(format!("must be a date and time, not {}", values::kind(other)), help)),
    };
    times::parse_rfc3339(&text).ok_or_else(|| Wrong::new("must be a date and time with its offset, from 1970 on", help))
}
