//! What a plugin implements, and what it decides.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{Header, HeaderError, Message, PayloadError, Setup, SetupError};

/// A plugin: one value for each instance of it, configured once and then given messages one after another.
///
/// It sees no clock, no randomness, no files and no network, so the same message gives the same outcome on any
/// machine. State kept between messages breaks that promise; use it for caches only.
pub trait Stage: Sized {
    /// The shape of the stage's `with` table. Say `#[serde(deny_unknown_fields)]`, so that a misspelt key is an
    /// error that names it rather than a setting that does nothing.
    type Settings: DeserializeOwned;

    /// Builds the stage. Compile selectors, expressions and schemas here, so that a mistake in them is found before
    /// any message is.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings; [`SetupError::at`] names the key. The rule's author sees it with a caret.
    fn configure(settings: Self::Settings, setup: &Setup) -> Result<Self, SetupError>;

    /// Decides what becomes of one message, and may change its payload and headers.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the message is refused or no decision could be made; `?` on a [`PayloadError`] or a
    /// [`HeaderError`] refuses it.
    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure>;
}

/// What to do with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to the next stage; after the last one it takes the route `default`.
    Forward,
    /// Publish it to these of the rule's routes and skip the stages that are left. A name that the rule does not
    /// declare dead-letters the message; check with [`Setup::check_route`].
    Route(Vec<String>),
    /// Put these in its place. None at all drops the message.
    Split(Vec<Part>),
    /// Acknowledge it and go no further: why.
    Drop(String),
    /// It can never succeed: dead-letter it. The reason is logged and kept, so it must show nothing of the payload.
    Reject(String),
}

/// One part of a message that was split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its payload, in bytes.
    pub payload: Vec<u8>,
    /// Its headers, in place of the message's. `traceparent` and `tracestate` are carried over unless set here.
    pub headers: Vec<Header>,
    /// A route of the rule; `None` hands the part to the next stage.
    pub route: Option<String>,
}

/// Why `handle` returned no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It can never succeed: the same as [`Verdict::Reject`], in the form that `?` can return.
    #[error("{0}")]
    Reject(String),
    /// It may succeed later.
    #[error("{reason}")]
    Retry {
        /// Why, in a sentence that shows nothing of the payload.
        reason: String,
        /// How long to wait, kept to the millisecond; `None` leaves it to the rule's back-off.
        after: Option<Duration>,
    },
    /// The plugin itself cannot go on: this instance is thrown away, and the rule decides about the message.
    #[error("{0}")]
    Fatal(String),
}

impl Failure {
    /// Refuses the message for good.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }
}

/// A payload that cannot be read will not be readable later either.
impl From<PayloadError> for Failure {
    fn from(error: PayloadError) -> Self {
        Self::Reject(error.to_string())
    }
}

/// A header that NATS cannot carry now cannot be carried later either.
impl From<HeaderError> for Failure {
    fn from(error: HeaderError) -> Self {
        Self::Reject(error.to_string())
    }
}

/// `Ok` and `Err` both know a rejection; from here on there is one.
pub(crate) fn settle(result: Result<Verdict, Failure>) -> Result<Verdict, Failure> {
    match result {
        Err(Failure::Reject(reason)) => Ok(Verdict::Reject(reason)),
        other => other,
    }
}
