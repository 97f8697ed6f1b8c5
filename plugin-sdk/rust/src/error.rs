//! Why something could not be set up, read or changed.

/// Why a stage cannot be configured: a key of its settings, and what is wrong with it.
///
/// Displays as `fields[0].action: reason`; the host points its caret at the key. A plain `&str` or `String` becomes
/// an error without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError {
    key: String,
    reason: String,
}

impl SetupError {
    /// An error about the settings as a whole.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { key: String::new(), reason: reason.into() }
    }

    /// The same error, found at or below this key: `at("path")` and then `at("fields[0]")` give `fields[0].path`.
    #[must_use]
    pub fn at(mut self, key: impl AsRef<str>) -> Self {
        let key = key.as_ref();
        self.key = match self.key.chars().next() {
            None => key.to_owned(),
            Some('[') => format!("{key}{}", self.key),
            Some(_) => format!("{key}.{}", self.key),
        };
        self
    }

    /// The path to the key, empty when the error is about the settings as a whole.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, without the key.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl std::fmt::Display for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for SetupError {}

impl From<String> for SetupError {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

impl From<&str> for SetupError {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

/// Why a payload could not be selected from or edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is not well-formed JSON: at which byte, and what was expected.
    #[error("the payload is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but readers differ in what they take from it: an object has the same key twice.
    #[error("the payload is ambiguous: {0}")]
    Ambiguous(String),
    /// A limit of the host was met: which one.
    #[error("the payload is beyond a limit: {0}")]
    Limit(String),
}

/// Why a header was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeaderError(pub String);
