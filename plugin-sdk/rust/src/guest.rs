//! The host's part in a component: generated bindings, and conversions between their types and the SDK's.

use std::cell::RefCell;

use bindings::exports::trackside::plugin::stage as exported;
use bindings::trackside::plugin::{log as host_log, message as host, setup as host_setup};

use crate::log::Level;
use crate::stage::settle;
use crate::{Failure, Header, Match, Origin, Part, PayloadError, SetupError, Stage, Value, Verdict};

#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    reason = "generated from the contract, which is documented"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "plugin",
        pub_export_macro: true,
        export_macro_name: "export_component",
    });
}

/// Where an instance keeps its stage between calls.
#[derive(Debug)]
pub struct Slot<S>(RefCell<Option<S>>);

impl<S: Stage> Slot<S> {
    /// One that `configure` has not filled yet.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// Fills it from the `with` table, as JSON.
    pub fn configure(&self, config: &str) -> Result<(), String> {
        let config = serde_json::from_str(config).map_err(|error| format!("the settings are not JSON: {error}"))?;
        let setup = crate::Setup(Setup);
        let stage = crate::setup::configure(config, &setup).map_err(|error: SetupError| error.to_string())?;
        *self.0.borrow_mut() = Some(stage);
        Ok(())
    }

    /// Handles the message that the host has in hand.
    pub fn handle(&self) -> Result<exported::Verdict, exported::Failure> {
        let mut slot = self.0.borrow_mut();
        let Some(stage) = slot.as_mut() else {
            return Err(exported::Failure::Fatal("`handle` was called before `configure`".to_owned()));
        };
        let mut message = crate::Message(Message);
        settle(stage.handle(&mut message)).map(Into::into).map_err(Into::into)
    }
}

#[derive(Debug)]
pub(crate) struct Message;

#[allow(clippy::unused_self, reason = "the message is ambient here, and a value in native tests")]
impl Message {
    pub(crate) fn subject(&self) -> String {
        host::subject()
    }

    pub(crate) fn id(&self) -> String {
        host::id()
    }

    pub(crate) fn origin(&self) -> Origin {
        match host::origin() {
            host::OriginKind::Jetstream => Origin::JetStream,
            host::OriginKind::Core => Origin::Core,
            host::OriginKind::Sidecar => Origin::Sidecar,
            host::OriginKind::Trial => Origin::Trial,
        }
    }

    pub(crate) fn timestamp(&self) -> u64 {
        host::timestamp()
    }

    pub(crate) fn delivery(&self) -> u32 {
        host::delivery()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        host::get_header(name)
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        let header = |header: host::Header| Header { name: header.name, value: header.value };
        host::headers().into_iter().map(header).collect()
    }

    pub(crate) fn set_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        host::set_header(name, value)
    }

    pub(crate) fn append_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        host::append_header(name, value)
    }

    pub(crate) fn remove_header(&mut self, name: &str) {
        host::remove_header(name);
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        host::payload()
    }

    pub(crate) fn with_payload<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        read(&host::payload())
    }

    pub(crate) fn payload_len(&self) -> usize {
        host::payload_len() as usize
    }

    pub(crate) fn set_payload(&mut self, bytes: &[u8]) {
        host::set_payload(bytes);
    }

    pub(crate) fn select(&self, selector: &Selector) -> Result<Vec<Match>, PayloadError> {
        let found = |found: host::Match| Match { path: found.path as usize, value: found.value.into() };
        Ok(host::select(&selector.0)?.into_iter().map(found).collect())
    }

    pub(crate) fn replace(&mut self, selector: &Selector, values: Vec<Option<Value>>) -> Result<(), PayloadError> {
        let values: Vec<Option<host::Value>> = values.into_iter().map(|value| value.map(Into::into)).collect();
        Ok(host::replace(&selector.0, &values)?)
    }
}

#[derive(Debug)]
pub(crate) struct Selector(host::Selector);

impl Selector {
    pub(crate) fn compile(paths: &[String]) -> Result<Self, String> {
        host::Selector::compile(paths).map(Self)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Setup;

#[allow(clippy::unused_self, reason = "the host is ambient here, and a value in native tests")]
impl Setup {
    pub(crate) fn routes(&self) -> Vec<String> {
        host_setup::routes()
    }

    pub(crate) fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        host_setup::read_file(path)
    }
}

pub(crate) fn log(level: Level, line: &str) {
    let level = match level {
        Level::Trace => host_log::Level::Trace,
        Level::Debug => host_log::Level::Debug,
        Level::Info => host_log::Level::Info,
        Level::Warn => host_log::Level::Warn,
        Level::Error => host_log::Level::Error,
    };
    host_log::log(level, line);
}

impl From<host::Value> for Value {
    fn from(value: host::Value) -> Self {
        match value {
            host::Value::Null => Self::Null,
            host::Value::Boolean(value) => Self::Boolean(value),
            host::Value::Number(text) => Self::Number(text),
            host::Value::Text(text) => Self::Text(text),
            host::Value::Json(text) => Self::Json(text),
        }
    }
}

impl From<Value> for host::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(value) => Self::Boolean(value),
            Value::Number(text) => Self::Number(text),
            Value::Text(text) => Self::Text(text),
            Value::Json(text) => Self::Json(text),
        }
    }
}

impl From<host::PayloadError> for PayloadError {
    fn from(error: host::PayloadError) -> Self {
        match error {
            host::PayloadError::NotJson(what) => Self::NotJson(what),
            host::PayloadError::Limit(what) => Self::Limit(what),
        }
    }
}

impl From<Verdict> for exported::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Forward => Self::Forward,
            Verdict::Route(routes) => Self::Route(routes),
            Verdict::Split(parts) => Self::Split(parts.into_iter().map(Into::into).collect()),
            Verdict::Drop(reason) => Self::Drop(reason),
            Verdict::Reject(reason) => Self::Reject(reason),
        }
    }
}

impl From<Part> for exported::Part {
    fn from(part: Part) -> Self {
        let header = |header: Header| host::Header { name: header.name, value: header.value };
        Self { payload: part.payload, headers: part.headers.into_iter().map(header).collect(), route: part.route }
    }
}

impl From<Failure> for exported::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { reason, after } => {
                let after = after.map(|after| u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
                Self::Retry(exported::Retry { reason, after })
            }
            // A rejection has been settled into a verdict before.
            Failure::Fatal(reason) | Failure::Reject(reason) => Self::Fatal(reason),
        }
    }
}
