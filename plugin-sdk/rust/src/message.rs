//! The message being handled.

use crate::{Header, HeaderError, Match, Origin, PayloadError, SetupError, Value, backend};

/// The message being handled. It stays in the host: every method asks for, or changes, just what it names.
#[derive(Debug)]
pub struct Message(pub(crate) backend::Message);

impl Message {
    /// The subject it was published to, for example `orders.eu.created`.
    #[must_use]
    pub fn subject(&self) -> String {
        self.0.subject()
    }

    /// Its identity, stable across redeliveries and replays.
    #[must_use]
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// Which kind of source it came from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin()
    }

    /// The message's own time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.0.timestamp()
    }

    /// 1 on the first delivery, one more on each that follows.
    #[must_use]
    pub fn delivery(&self) -> u32 {
        self.0.delivery()
    }

    /// The first value of this header, without regard to the name's case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }

    /// All headers; the values of one name are in wire order.
    #[must_use]
    pub fn headers(&self) -> Vec<Header> {
        self.0.headers()
    }

    /// Replaces every header of this name.
    ///
    /// # Errors
    ///
    /// A name or value that NATS cannot carry (control characters, CR or LF), or one of the reserved prefixes
    /// `Nats-` and `Trackside-`.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        self.0.set_header(name, value).map_err(HeaderError)
    }

    /// Adds a header and keeps those of the same name.
    ///
    /// # Errors
    ///
    /// As [`set_header`](Self::set_header).
    pub fn append_header(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        self.0.append_header(name, value).map_err(HeaderError)
    }

    /// Removes every header of this name, without regard to case; none is fine.
    pub fn remove_header(&mut self, name: &str) {
        self.0.remove_header(name);
    }

    /// The payload, in bytes. Copies it into the sandbox: prefer [`select`](Self::select).
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        self.0.payload()
    }

    /// The payload's length in bytes, without a copy.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.0.payload_len()
    }

    /// The whole payload as JSON, for plugins that must look at all of it; see [`json::parse`](crate::json::parse).
    ///
    /// # Errors
    ///
    /// A payload that is not well-formed JSON, or in which an object has the same key twice.
    pub fn json(&self) -> Result<serde_json::Value, PayloadError> {
        self.0.with_payload(crate::json::parse)
    }

    /// Replaces the whole payload.
    pub fn set_payload(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.set_payload(bytes.as_ref());
    }

    /// Every place that the selector matches, in document order, duplicates of a key included.
    ///
    /// # Errors
    ///
    /// A payload that is not well-formed JSON, or beyond the host's limits of depth, size or matches.
    pub fn select(&self, selector: &Selector) -> Result<Vec<Match>, PayloadError> {
        self.0.select(&selector.0)
    }

    /// Replaces the places that this selector matches now: one value each, in the order of
    /// [`select`](Self::select), `None` removing the place. Where places nest, the outer one wins. Bytes outside
    /// stay as they are.
    ///
    /// # Errors
    ///
    /// As [`select`](Self::select); a result that would not be well-formed or would be too large; a list of values
    /// that is not as long as the list of matches.
    pub fn replace(&mut self, selector: &Selector, values: Vec<Option<Value>>) -> Result<(), PayloadError> {
        self.0.replace(&selector.0, values)
    }
}

/// A set of JSONPath (RFC 9535) expressions, compiled once, in [`Stage::configure`](crate::Stage::configure).
#[derive(Debug)]
pub struct Selector(pub(crate) backend::Selector);

impl Selector {
    /// Compiles at most 256 expressions of at most 4 KiB each.
    ///
    /// # Errors
    ///
    /// Which expression is wrong, where and why.
    pub fn compile<S: AsRef<str>>(paths: &[S]) -> Result<Self, SetupError> {
        let paths: Vec<String> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        backend::Selector::compile(&paths).map(Self).map_err(SetupError::new)
    }
}
