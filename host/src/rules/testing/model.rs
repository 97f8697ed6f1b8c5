//! The tests of a configuration, after parsing: every name checked, every path compiled, every payload read.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;
use trackside_json::Selector;

use crate::message::{Message, Subject};
use crate::names::{PluginName, RouteName, RuleName, SourceName};
use crate::rules::error::Location;

/// The classes of failures that a rule can meet without a server.
pub(super) const CLASSES: [&str; 6] = ["rejected", "retry", "trap", "deadline", "limit", "route"];

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its tests, in order.
    pub tests: Vec<Test>,
}

/// One `[[test]]`.
#[derive(Debug)]
pub struct Test {
    /// Its name, unique in its file.
    pub name: String,
    /// The message that comes in.
    pub message: Message,
    /// The source that it comes from; `None` means every one that delivers its subject.
    pub source: Option<SourceName>,
    /// The message's own time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Everything that has to come out.
    pub expect: Vec<Expectation>,
    /// What must be in nothing that comes out.
    pub never: Vec<String>,
    /// Where its name is.
    pub location: Location,
}

/// One `[[test.expect]]`: one thing that has to come out.
#[derive(Debug)]
pub struct Expectation {
    /// The rule that it comes from; `None` where no rule takes the message.
    pub rule: Option<RuleName>,
    /// What happens.
    pub ending: Ending,
    /// What has to hold besides.
    pub checks: Vec<Check>,
    /// Where it begins.
    pub location: Location,
}

/// What happens to a message in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is published, whole or in part.
    Published,
    /// A plugin drops it.
    Dropped,
    /// It fails.
    DeadLettered,
    /// No rule takes it.
    Unmatched,
}

/// What has to hold for an outcome.
#[derive(Debug)]
pub enum Check {
    /// It takes this route.
    Route(RouteName),
    /// It is published to this subject.
    Subject(Subject),
    /// It has exactly these values of a header.
    Header {
        /// The header's name.
        name: String,
        /// Its values, in order; none if it must not be there.
        values: Vec<String>,
    },
    /// The payload has this value at a path.
    Field {
        /// Where.
        path: FieldPath,
        /// The value; the list of all values for a path that may match several.
        value: Value,
    },
    /// The payload has a null at this path.
    Null(FieldPath),
    /// Nothing of the payload is at this path.
    NoField(FieldPath),
    /// The payload as a whole.
    Payload(Payload),
    /// The class of the failure.
    Class(&'static str),
    /// The plugin whose stage failed.
    Stage(PluginName),
    /// Why it failed or was dropped.
    Reason(Phrase),
}

/// A JSONPath, compiled.
#[derive(Debug)]
pub struct FieldPath {
    /// As it is written.
    pub text: String,
    /// What finds it.
    pub selector: Selector,
    /// Whether it stands for one value at most.
    pub singular: bool,
}

/// What a text has to be.
#[derive(Debug)]
pub enum Phrase {
    /// This.
    Exact(String),
    /// Something with this in it.
    Contains(String),
}

/// A payload as a whole.
#[derive(Debug)]
pub enum Payload {
    /// These bytes.
    Exact(Bytes, Spelling),
    /// This JSON, however it is spelt.
    Json(Value),
}

/// How bytes are written in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `text`.
    Text,
    /// `base64`.
    Base64,
    /// `file`.
    File,
}

impl Ending {
    pub(super) const WORDS: [&'static str; 4] = ["published", "dropped", "dead-lettered", "unmatched"];

    /// The word for it, as `trackside try` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Dropped => "dropped",
            Self::DeadLettered => "dead-lettered",
            Self::Unmatched => "unmatched",
        }
    }

    pub(super) fn of_word(word: &str) -> Self {
        match word {
            "dropped" => Self::Dropped,
            "dead-lettered" => Self::DeadLettered,
            "unmatched" => Self::Unmatched,
            _ => Self::Published,
        }
    }
}

impl Phrase {
    /// Whether a text is what it has to be.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(whole) => text == whole,
            Self::Contains(part) => text.contains(part),
        }
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(whole) => f.write_str(whole),
            Self::Contains(part) => write!(f, "… {part} …"),
        }
    }
}
