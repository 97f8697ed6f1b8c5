//! The host's part in native tests: a message in memory, with the JSON selection that the host itself uses.

use std::cell::RefCell;
use std::collections::BTreeMap;

use trackside_json::{Limits, Replacement};

use crate::log::Level;
use crate::{Header, Match, Origin, PayloadError, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) id: String,
    pub(crate) origin: Origin,
    pub(crate) timestamp: u64,
    pub(crate) delivery: u32,
    pub(crate) headers: Vec<Header>,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn subject(&self) -> String {
        self.subject.clone()
    }

    pub(crate) fn id(&self) -> String {
        self.id.clone()
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp
    }

    pub(crate) fn delivery(&self) -> u32 {
        self.delivery
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let header = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(header.value.clone())
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        self.headers.clone()
    }

    pub(crate) fn set_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        check_header(name, value)?;
        // The place of the first one is kept, as a replacement in an ordered list would.
        let place = self.headers.iter().position(|header| header.name.eq_ignore_ascii_case(name));
        self.remove_header(name);
        let place = place.unwrap_or(self.headers.len());
        self.headers.insert(place, Header::new(name, value));
        Ok(())
    }

    pub(crate) fn append_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        check_header(name, value)?;
        self.headers.push(Header::new(name, value));
        Ok(())
    }

    pub(crate) fn remove_header(&mut self, name: &str) {
        self.headers.retain(|header| !header.name.eq_ignore_ascii_case(name));
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        self.payload.clone()
    }

    pub(crate) fn with_payload<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        read(&self.payload)
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.payload.len()
    }

    pub(crate) fn set_payload(&mut self, bytes: &[u8]) {
        self.payload = bytes.to_vec();
    }

    pub(crate) fn select(&self, selector: &Selector) -> Result<Vec<Match>, PayloadError> {
        let matches = selector.0.select(&self.payload, &Limits::default())?;
        Ok(matches
            .iter()
            .map(|found| Match { path: found.path as usize, value: found.value(&self.payload).into() })
            .collect())
    }

    #[expect(clippy::needless_pass_by_value, reason = "the same signature as in the sandbox, where values are sent")]
    pub(crate) fn replace(&mut self, selector: &Selector, values: Vec<Option<Value>>) -> Result<(), PayloadError> {
        let limits = Limits::default();
        let matches = selector.0.select(&self.payload, &limits)?;
        let values: Vec<_> = values.iter().map(|value| value.as_ref().map(replacement)).collect();
        self.payload = trackside_json::replace(&self.payload, &matches, &values, &limits)?;
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Selector(trackside_json::Selector);

impl Selector {
    pub(crate) fn compile(paths: &[String]) -> Result<Self, String> {
        trackside_json::Selector::compile(paths).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) routes: Vec<String>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Setup {
    pub(crate) fn routes(&self) -> Vec<String> {
        self.routes.clone()
    }

    pub(crate) fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| format!("there is no file `{path}` in the configuration directory"))
    }
}

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// The host drops lines past a rate limit; this is where a test that logs without end stops keeping them.
const MAX_LINES: usize = 10_000;

pub(crate) fn log(level: Level, line: &str) {
    LINES.with_borrow_mut(|lines| {
        if lines.len() < MAX_LINES {
            lines.push((level, line.to_owned()));
        }
    });
}

pub(crate) fn take_log() -> Vec<(Level, String)> {
    LINES.take()
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        return Err(format!("`{}` cannot be the name of a header", name.escape_debug()));
    }
    let reserved = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if reserved("Nats-") || reserved("Trackside-") {
        return Err(format!("header `{name}` has a reserved prefix"));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value of header `{name}` has a control character"));
    }
    Ok(())
}

fn replacement(value: &Value) -> Replacement<'_> {
    match value {
        Value::Null => Replacement::Null,
        Value::Boolean(value) => Replacement::Boolean(*value),
        Value::Number(text) => Replacement::Number(text),
        Value::Text(text) => Replacement::Text(text),
        Value::Json(text) => Replacement::Json(text),
    }
}

impl From<trackside_json::Value<'_>> for Value {
    fn from(value: trackside_json::Value<'_>) -> Self {
        match value {
            trackside_json::Value::Null => Self::Null,
            trackside_json::Value::Boolean(value) => Self::Boolean(value),
            trackside_json::Value::Number(text) => Self::Number(text.to_owned()),
            trackside_json::Value::Text(text) => Self::Text(text.into_owned()),
            trackside_json::Value::Json(text) => Self::Json(text.to_owned()),
        }
    }
}

impl From<trackside_json::PayloadError> for PayloadError {
    fn from(error: trackside_json::PayloadError) -> Self {
        match error {
            trackside_json::PayloadError::NotJson(what) => Self::NotJson(what),
            other => Self::Limit(other.to_string()),
        }
    }
}
