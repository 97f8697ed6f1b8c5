//! Headers as NATS has them (ADR-4): names may repeat, values of one name keep their order.

use std::borrow::Cow;
use std::sync::Arc;

/// Why a header cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The name has no character.
    #[error("a header name cannot be empty")]
    EmptyName,
    /// The name has a character that NATS does not carry there.
    #[error("a header name has printable ASCII characters other than `:`, not {0:?}")]
    Name(char),
    /// The value has a control character.
    #[error("a header value cannot have control characters, this one has {0:?}")]
    Value(char),
    /// The name begins with `Nats-` or `Trackside-`.
    #[error("header names that begin with `Nats-` or `Trackside-` are reserved")]
    Reserved,
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name, spelt as the sender did.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: String,
}

/// All headers of a message, in order. Names are compared without regard to ASCII case. Cloning shares them until one
/// of the clones is changed, since every message keeps its originals in case it becomes a dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Arc<Vec<Header>>);

impl Header {
    /// Bytes of memory that one takes beside its name and value, about: its place in the list, and what an allocator keeps
    /// for two short texts. What has thousands of headers of a byte or two takes twenty times the memory that it has bytes.
    pub const ROOM: usize = 96;
}

impl Headers {
    /// The first value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }

    /// All headers, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// How many headers there are, repeated names counted each time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a header after those that are there, unchecked: for headers that came from NATS or are ours.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        Arc::make_mut(&mut self.0).push(Header { name: name.into(), value: value.into() });
    }

    /// Replaces every header of this name by one, unchecked: for our own names and values.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let name = name.into();
        self.remove(&name);
        self.push(name, value);
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        self.retain(|h| !h.name.eq_ignore_ascii_case(name));
    }

    /// Keeps the headers for which `keep` is true.
    pub fn retain(&mut self, keep: impl Fn(&Header) -> bool) {
        if !self.0.iter().all(&keep) {
            Arc::make_mut(&mut self.0).retain(keep);
        }
    }

    /// Replaces every header of this name on behalf of a plugin.
    ///
    /// # Errors
    /// When NATS cannot carry the name or value, or the name is reserved.
    pub fn set_by_plugin(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check(name, value)?;
        self.insert(name.to_owned(), value);
        Ok(())
    }

    /// Adds a header on behalf of a plugin.
    ///
    /// # Errors
    /// When NATS cannot carry the name or value, or the name is reserved.
    pub fn append_by_plugin(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check(name, value)?;
        self.push(name.to_owned(), value);
        Ok(())
    }

    /// Adds a header on behalf of a producer, who may use the reserved names.
    ///
    /// # Errors
    /// When NATS cannot carry the name or value.
    pub fn append_by_producer(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check_carried(name, value)?;
        self.push(name.to_owned(), value);
        Ok(())
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.iter().map(|h| h.name.len() + h.value.len()).sum()
    }

    /// Bytes that a copy of them takes in memory, about.
    #[must_use]
    pub fn copy_len(&self) -> usize {
        self.byte_len() + self.len() * Header::ROOM
    }
}

/// Whether the server or Trackside gives this name a meaning, so that neither a producer's nor a plugin's copy of it
/// may reach an output: `Nats-Rollup` would empty a stream, `Nats-Expected-*` would make every publish fail.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    begins("nats-") || begins("trackside-")
}

fn check(name: &str, value: &str) -> Result<(), HeaderError> {
    if is_reserved(name) {
        return Err(HeaderError::Reserved);
    }
    check_carried(name, value)
}

/// Whether NATS can carry it.
fn check_carried(name: &str, value: &str) -> Result<(), HeaderError> {
    if name.is_empty() {
        return Err(HeaderError::EmptyName);
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_graphic() || *c == ':') {
        return Err(HeaderError::Name(bad));
    }
    match value.chars().find(|c| c.is_control() && *c != '\t') {
        Some(bad) => Err(HeaderError::Value(bad)),
        None => Ok(()),
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        Self(Arc::new(headers.into_iter().collect()))
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_keep_their_order_and_names_ignore_case() {
        let mut headers = Headers::default();
        headers.push("Region", "eu");
        headers.push("Other", "x");
        headers.push("region", "us");
        assert_eq!(headers.get("REGION"), Some("eu"));
        let values: Vec<_> = headers.iter().map(|h| h.value.as_str()).collect();
        assert_eq!(values, ["eu", "x", "us"]);
        headers.insert("Region", "all");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_plugin_cannot_inject_lines_or_reserved_names() {
        let mut headers = Headers::default();
        assert_eq!(headers.set_by_plugin("A", "b\r\nNats-Rollup: all"), Err(HeaderError::Value('\r')));
        assert_eq!(headers.set_by_plugin("A:", "b"), Err(HeaderError::Name(':')));
        assert_eq!(headers.set_by_plugin("", "b"), Err(HeaderError::EmptyName));
        assert_eq!(headers.append_by_plugin("nats-rollup", "all"), Err(HeaderError::Reserved));
        assert_eq!(headers.append_by_plugin("Trackside-Rule", "x"), Err(HeaderError::Reserved));
        assert!(headers.is_empty());
        assert_eq!(headers.append_by_plugin("Nats", "fine: not the prefix"), Ok(()));
    }
}
