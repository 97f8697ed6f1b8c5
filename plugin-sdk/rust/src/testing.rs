//! Runs a [`Stage`] in a native test, against a message in memory and with the JSON selection that the host itself
//! uses. Not there when the crate is built for WebAssembly.
//!
//! ```
//! # use trackside_plugin::{Failure, Message, Setup, SetupError, Stage, Verdict, log};
//! # struct Upper;
//! # impl Stage for Upper {
//! #     type Settings = serde_json::Value;
//! #     fn configure(_: serde_json::Value, setup: &Setup) -> Result<Self, SetupError> {
//! #         setup.check_route("loud")?;
//! #         Ok(Self)
//! #     }
//! #     fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
//! #         message.set_payload(message.payload().to_ascii_uppercase());
//! #         log::info("louder");
//! #         Ok(Verdict::Forward)
//! #     }
//! # }
//! use serde_json::json;
//! use trackside_plugin::testing::{Host, TestMessage};
//!
//! let mut upper = Host::new().route("loud").configure::<Upper>(json!({})).unwrap();
//! let outcome = upper.handle(TestMessage::new("hello").subject("greetings").header("To", "all"));
//! assert_eq!(outcome.verdict, Ok(Verdict::Forward));
//! assert_eq!(outcome.message.payload(), b"HELLO");
//! assert_eq!(outcome.log[0].text, "louder");
//! ```

use serde_json::Value;

use crate::log::Level;
use crate::stage::settle;
use crate::{Failure, Header, Message, Origin, Setup, SetupError, Stage, Verdict, backend};

/// What the rule and the configuration directory offer to `configure`.
#[derive(Clone, Debug, Default)]
pub struct Host(backend::Setup);

impl Host {
    /// A rule with no route, and no file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a route of this name.
    #[must_use]
    pub fn route(mut self, name: impl Into<String>) -> Self {
        self.0.routes.push(name.into());
        self
    }

    /// With a file at this path.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.0.files.insert(path.into(), content.into());
        self
    }

    /// Configures a stage from its `with` table.
    ///
    /// # Errors
    ///
    /// What the rule's author would be shown.
    pub fn configure<S: Stage>(&self, with: Value) -> Result<Configured<S>, SetupError> {
        let stage = crate::setup::configure(with, &Setup(self.0.clone()))?;
        Ok(Configured { stage })
    }
}

/// A stage that was configured.
#[derive(Debug)]
pub struct Configured<S> {
    /// The stage itself.
    pub stage: S,
}

impl<S: Stage> Configured<S> {
    /// Hands it one message.
    pub fn handle(&mut self, message: impl Into<TestMessage>) -> Outcome {
        backend::take_log();
        let mut message = Message(message.into().0);
        let verdict = settle(self.stage.handle(&mut message));
        let log = backend::take_log().into_iter().map(|(level, text)| Line { level, text }).collect();
        Outcome { verdict, message, log }
    }
}

/// What a stage did with a message.
#[derive(Debug)]
pub struct Outcome {
    /// What it decided. A [`Failure::Reject`] shows as [`Verdict::Reject`], as it does to the host.
    pub verdict: Result<Verdict, Failure>,
    /// The message as the stage left it.
    pub message: Message,
    /// What it logged.
    pub log: Vec<Line>,
}

impl Outcome {
    /// The payload as the stage left it, if it is UTF-8; for comparing byte for byte.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.message.0.payload).expect("the payload should be UTF-8")
    }

    /// The payload as the stage left it, as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.message.0.payload).expect("the payload should be JSON")
    }

    /// Why the message was rejected, if it was.
    #[must_use]
    pub fn rejection(&self) -> Option<&str> {
        match &self.verdict {
            Ok(Verdict::Reject(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How severe it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// A message to hand to a stage: on subject `test`, first delivery, from JetStream, at the time 0, without headers
/// unless said otherwise.
#[derive(Clone, Debug)]
pub struct TestMessage(backend::Message);

impl TestMessage {
    /// With this payload.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self(backend::Message {
            subject: "test".to_owned(),
            id: "1".to_owned(),
            origin: Origin::JetStream,
            timestamp: 0,
            delivery: 1,
            headers: Vec::new(),
            payload: payload.into(),
        })
    }

    /// On this subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = subject.into();
        self
    }

    /// With this identity.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = id.into();
        self
    }

    /// From this kind of source.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.0.origin = origin;
        self
    }

    /// Of this time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(mut self, milliseconds: u64) -> Self {
        self.0.timestamp = milliseconds;
        self
    }

    /// On its n-th delivery.
    #[must_use]
    pub fn delivery(mut self, delivery: u32) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// With one header more, reserved ones included: a producer may send them.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push(Header::new(name, value));
        self
    }
}

impl From<Value> for TestMessage {
    fn from(payload: Value) -> Self {
        Self::new(payload.to_string())
    }
}

impl From<&str> for TestMessage {
    fn from(payload: &str) -> Self {
        Self::new(payload)
    }
}
