//! What a cases file says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::message::{Message, Origin};
use crate::rules::error::Location;
use crate::rules::model::PluginSettings;

/// A stage, and what it is handed.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it proves.
    pub name: String,
    /// The stage's settings.
    pub with: Value,
    /// The routes that the rule declares.
    pub routes: Vec<String>,
    /// What the plugin may use.
    pub settings: PluginSettings,
    /// The error by which the plugin has to refuse the settings; then nothing is handed to it.
    pub refused: Option<Phrase>,
    /// The messages, one after another, at least one.
    pub handings: Vec<Handing>,
    /// Where it is.
    pub location: Location,
}

/// A message, and what has to become of it.
#[derive(Debug, Clone)]
pub struct Handing {
    /// The message.
    pub message: Message,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// What has to become of it.
    pub expected: Expected,
}

/// What has to become of a message. What is `None` is not compared.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The verdict or failure.
    pub outcome: Outcome,
    /// The reason that goes with it.
    pub reason: Option<Phrase>,
    /// How long a retry has to wait; `Some(None)` if that has to be left to the rule.
    pub after: Option<Option<Duration>>,
    /// The routes it is published to.
    pub routes: Option<Vec<String>>,
    /// The parts it is split into.
    pub parts: Option<Vec<ExpectedPart>>,
    /// Payload and headers afterwards.
    pub content: Content,
    /// What the plugin logs.
    pub log: Option<Vec<LogLine>>,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Handed to the next stage.
    Forward,
    /// Published to routes.
    Route,
    /// Replaced by parts.
    Split,
    /// Replaced by what a messaging handler published.
    Publish,
    /// Acknowledged, no further.
    Drop,
    /// Dead-lettered.
    Reject,
    /// To be tried again.
    Retry,
    /// The plugin gave up.
    Fatal,
    /// The plugin trapped.
    Trap,
    /// It took too long.
    Deadline,
    /// It ran out of memory.
    Memory,
    /// It ran out of something else.
    Limit,
    /// Its verdict cannot be carried out.
    Verdict,
}

impl Outcome {
    const NAMES: [(&'static str, Self); 13] = [
        ("forward", Self::Forward),
        ("route", Self::Route),
        ("split", Self::Split),
        ("publish", Self::Publish),
        ("drop", Self::Drop),
        ("reject", Self::Reject),
        ("retry", Self::Retry),
        ("fatal", Self::Fatal),
        ("trap", Self::Trap),
        ("deadline", Self::Deadline),
        ("memory", Self::Memory),
        ("limit", Self::Limit),
        ("verdict", Self::Verdict),
    ];

    /// The one that a cases file calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, outcome)| *outcome)
    }

    /// What a cases file calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, outcome)| *outcome == self).map_or("", |(name, _)| name)
    }
}

/// A part that is expected.
#[derive(Debug, Clone)]
pub struct ExpectedPart {
    /// Its payload and headers.
    pub content: Content,
    /// The route it takes; `None` for the next stage.
    pub route: Option<String>,
}

/// Payload and headers that are expected.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The payload.
    pub payload: Option<Payload>,
    /// All values of each of these names.
    pub headers: Vec<(String, Vec<String>)>,
}

/// A payload that is expected.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// These bytes.
    Bytes(Bytes),
    /// Any JSON of this value.
    Json(Value),
    /// So many bytes, whichever.
    Size(usize),
}

/// A line of the log that is expected.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// How severe, in lower case; `None` for any.
    pub level: Option<&'static str>,
    /// What it says.
    pub text: Phrase,
}

/// A text that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phrase {
    /// This one.
    Is(String),
    /// One with this in it.
    Contains(String),
}

impl Phrase {
    /// Whether a text is what is expected.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Is(whole) => text == whole,
            Self::Contains(part) => text.contains(part.as_str()),
        }
    }
}

impl std::fmt::Display for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Is(whole) => f.write_str(whole),
            Self::Contains(part) => write!(f, "… {part} …"),
        }
    }
}
