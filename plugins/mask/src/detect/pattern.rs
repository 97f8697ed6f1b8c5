//! A user's own regex.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const MAX_LEN: usize = 4096;
/// The most that a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// The group that, if there is one, is masked in place of the whole match.
const GROUP: &str = "secret";

/// A regex, matched in time linear in the text.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    grouped: bool,
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("the pattern is longer than {MAX_LEN} bytes")]
    TooLong,
    #[error("{0}")]
    Invalid(#[from] regex::Error),
    #[error("the pattern matches an empty text, and so everywhere: ask for at least one character")]
    Empty,
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > MAX_LEN {
            return Err(PatternError::TooLong);
        }
        let regex = RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build()?;
        if regex.is_match("") {
            return Err(PatternError::Empty);
        }
        let grouped = regex.capture_names().flatten().any(|name| name == GROUP);
        Ok(Self { regex, grouped })
    }

    pub(super) fn find(&self, text: &str, found: &mut dyn FnMut(Range<usize>)) {
        let ranges: &mut dyn Iterator<Item = Range<usize>> = if self.grouped {
            &mut self.regex.captures_iter(text).filter_map(|captures| captures.name(GROUP).map(|group| group.range()))
        } else {
            &mut self.regex.find_iter(text).map(|found| found.range())
        };
        ranges.filter(|range| !range.is_empty()).for_each(found);
    }
}
