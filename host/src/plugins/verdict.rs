//! What goes into a call of a plugin and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trackside_json::Limits;

use crate::message::{Headers, Message, Origin};

use super::text::size;

/// A message on its way through a stage. The call borrows the message and gives it back: payloads are not copied.
#[derive(Debug, Clone)]
pub struct Work {
    /// The message. A call that ends with an error leaves it as it was.
    pub message: Message,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// What earlier stages have found out about its payload.
    pub checked: Checked,
}

/// The payload that was last found to be well-formed JSON, so that the next stage that selects from it need not read it
/// whole again. It knows the payload by where it is in memory, which it holds on to: whoever puts another one in the
/// message need not tell it.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    payload: Bytes,
    max_depth: Option<u32>,
}

impl Work {
    /// A message of which nothing is known.
    #[must_use]
    pub fn new(message: Message, origin: Arc<Origin>) -> Self {
        Self { message, origin, checked: Checked::default() }
    }
}

impl Checked {
    /// This payload is well-formed, and within these limits.
    pub(super) fn note(&mut self, payload: &Bytes, limits: &Limits) {
        *self = Self { payload: payload.clone(), max_depth: Some(limits.max_depth) };
    }

    /// Whether this payload is known to be well-formed, and within these limits. Its length is looked at each time.
    pub(super) fn covers(&self, payload: &Bytes, limits: &Limits) -> bool {
        let same = || (self.payload.as_ptr(), self.payload.len()) == (payload.as_ptr(), payload.len());
        self.max_depth.is_some_and(|max_depth| max_depth <= limits.max_depth) && same()
    }
}

/// Most parts that one message may become, and most routes that a verdict may name.
pub const MAX_PARTS: usize = 10_000;

/// What a plugin decided for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to the next stage.
    Forward,
    /// Publish it to these routes; of more than [`MAX_PARTS`] the first ones and one more. Whether the rule declares them
    /// is for the caller to see; names that it does not are on one line and without secrets.
    Route(Vec<String>),
    /// Put these parts in its place; of more than [`MAX_PARTS`] the first ones and one more.
    Split(Vec<Part>),
    /// Put what a handler published in its place; at least one.
    Publish(Vec<Publication>),
    /// Go no further with it: why. At most 4 KiB, on one line.
    Drop(String),
    /// It can never succeed: why. At most 4 KiB, on one line.
    Reject(String),
}

/// A part of a message that was split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its payload.
    pub payload: Bytes,
    /// Its headers, in place of the message's; those with reserved names have been left out.
    pub headers: Headers,
    /// The route it takes; `None` hands it to the next stage.
    pub route: Option<String>,
}

/// What a handler published. It names a subject, and whether the rule has a route there is for the caller to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The subject as it was named.
    pub subject: String,
    /// The subject made fit to be shown: on one line, without secrets.
    pub shown: String,
    /// Its payload.
    pub payload: Bytes,
    /// Its headers; `None` leaves the message's as they are.
    pub headers: Option<Headers>,
}

/// Why a call has no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin works, and asks to be given the message again later.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// The plugin broke, or met a limit. Its instance is gone.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A plugin's wish to try a message again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, at most 4 KiB, on one line.
    pub reason: String,
    /// How long to wait; `None` leaves it to the rule.
    pub after: Option<Duration>,
}

/// How a plugin broke. The texts show nothing of the payload, unless the plugin itself put it there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its code trapped.
    #[error("the plugin trapped: {message}")]
    Trap {
        /// What happened, and in which function if the plugin tells names.
        message: String,
    },
    /// It took too long.
    #[error("the plugin did not finish within its deadline of {limit:?}")]
    Deadline {
        /// The deadline.
        limit: Duration,
    },
    /// It asked for more memory than it may have and did not get over the refusal.
    #[error("the plugin ran out of its {} of memory", size(*limit_bytes))]
    Memory {
        /// How much it may have.
        limit_bytes: usize,
    },
    /// It used up something else that is limited.
    #[error("the plugin went over its limit of {which}")]
    Limit {
        /// What, and how much of it there was.
        which: Limit,
    },
    /// It said that it cannot go on.
    #[error("the plugin gave up: {reason}")]
    Fatal {
        /// Its own words.
        reason: String,
    },
    /// Its verdict cannot be carried out.
    #[error("the plugin's verdict cannot be carried out: {reason}")]
    Verdict {
        /// What is wrong with it.
        reason: String,
    },
    /// A further instance refused the settings that the first one took.
    #[error("a new instance of the plugin refused the settings that an earlier one accepted: {reason}")]
    Configure {
        /// Its own words.
        reason: String,
    },
    /// The store behind a host call did not answer, or could not do what was asked.
    #[error("{reason}")]
    Store {
        /// Why.
        reason: String,
    },
    /// There could be no instance.
    #[error("no instance of the plugin could be made: {reason}")]
    Instantiate {
        /// Why.
        reason: String,
    },
}

/// A limit of a plugin, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Host calls in one call.
    HostCalls(u32),
    /// Bytes between host and plugin in one call.
    HostBytes(usize),
    /// Elements of all tables.
    TableElements(usize),
    /// Handles that an instance has at a time.
    Handles(usize),
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Limit::HostCalls(calls) => write!(f, "{calls} host calls (`host-calls`)"),
            Limit::HostBytes(bytes) => write!(f, "{} exchanged with the host (`host-bytes`)", size(bytes)),
            Limit::TableElements(elements) => write!(f, "{elements} table elements (`table-elements`)"),
            Limit::Handles(handles) => write!(f, "{handles} handles at a time: drop those that are not used any more"),
        }
    }
}
