//! Regular expressions of a schema.

use jsonschema_regex::Sequence;

use super::check::Stop;

/// A `pattern` that is a row of character classes with repetitions, which jsonschema's own matcher decides for most texts.
#[derive(Debug)]
pub(super) struct Pattern(Sequence);

impl Pattern {
    /// Nothing for other patterns.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let translated = jsonschema_regex::to_rust_regex(pattern).ok()?;
        Sequence::compile(&translated).map(Self)
    }

    #[inline]
    pub(super) fn check(&self, text: &str) -> Result<(), Stop> {
        match self.0.is_match(text.as_bytes()) {
            Some(true) => Ok(()),
            Some(false) => Err(Stop::Invalid),
            None => Err(Stop::Unsure),
        }
    }
}
