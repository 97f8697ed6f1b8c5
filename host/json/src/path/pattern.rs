//! The regular expressions of `match` and `search`: I-Regexp, RFC 9485.

mod translate;

use std::time::Instant;

use regex::{Regex, RegexBuilder};

use super::{Comparable, Parser};

/// How many patterns the paths of one set may hold, which bounds the time and memory of compiling them.
const MAX_PATTERNS: usize = 64;

/// How large they may be together once they are compiled: a large one takes tens of milliseconds.
const MAX_COMPILED_BYTES: usize = 8 << 20;

/// The second argument of `match` or `search`.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// Written in the path.
    Fixed(Regexp),
    /// Found in the payload, or of no type that can match.
    Given {
        source: Comparable,
        /// Whether it has to match the whole text.
        whole: bool,
    },
}

impl Pattern {
    /// Compiles what is written in the path. The error says what is wrong with it.
    pub(super) fn new(source: Comparable, whole: bool, parser: &mut Parser) -> Result<Self, String> {
        let Comparable::Text(pattern) = source else {
            return Ok(Self::Given { source, whole });
        };
        parser.patterns += 1;
        if parser.patterns > MAX_PATTERNS {
            return Err(format!("expected no more than {MAX_PATTERNS} regular expressions in all paths"));
        }
        if parser.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err("the deadline passed before this regular expression was compiled".to_owned());
        }
        let regexp = Regexp::written(&pattern, whole).map_err(|error| match error {
            RegexpError::Malformed(problem) => format!("expected a regular expression of RFC 9485: {problem}"),
            RegexpError::TooLarge => "expected a smaller regular expression: repeat less".to_owned(),
        })?;
        parser.pattern_bytes += regexp.bytes;
        if parser.pattern_bytes > MAX_COMPILED_BYTES {
            return Err(format!(
                "expected smaller regular expressions: those of all paths have at most {} MiB together once compiled",
                MAX_COMPILED_BYTES >> 20
            ));
        }
        Ok(Self::Fixed(regexp))
    }
}

/// Why a pattern cannot be used.
#[derive(Debug)]
pub(crate) enum RegexpError {
    Malformed(String),
    TooLarge,
}

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Regexp {
    regex: Regex,
    /// How large it is at most, without what it takes to look for it.
    bytes: usize,
    /// How many steps a byte of text is worth.
    weight: u64,
}

impl Regexp {
    /// How much larger it becomes as it is used, at most: what it has learnt of the text is kept.
    pub(super) const GROWTH: usize = 4;

    /// What is tried, in bytes of the compiled expression, and what a byte of text then costs: a large expression may
    /// have many states at a time. Letters and digits of all scripts take some 30 KiB each time they are repeated.
    const SIZES: [(usize, u64); 3] = [(16 << 10, 4), (128 << 10, 16), (1 << 20, 64)];

    /// Compiles what is written in a path, to match the whole text or any part of it.
    pub(super) fn written(pattern: &str, whole: bool) -> Result<Self, RegexpError> {
        Self::new(pattern, whole, &Self::SIZES)
    }

    /// Compiles what was found in a payload, which may be smaller only.
    pub(crate) fn given(pattern: &str, whole: bool) -> Result<Self, RegexpError> {
        Self::new(pattern, whole, &Self::SIZES[..2])
    }

    fn new(pattern: &str, whole: bool, sizes: &[(usize, u64)]) -> Result<Self, RegexpError> {
        let translated = translate::translate(pattern).map_err(RegexpError::Malformed)?;
        let translated = if whole { format!(r"\A(?:{translated})\z") } else { translated };
        for &(size, weight) in sizes {
            match RegexBuilder::new(&translated).size_limit(size).dfa_size_limit(Self::GROWTH * size).build() {
                Ok(regex) => return Ok(Self { regex, bytes: size, weight }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(_) => return Err(RegexpError::Malformed("a range or repetition is out of order".to_owned())),
            }
        }
        Err(RegexpError::TooLarge)
    }

    /// How many steps it takes to look for it in so much text.
    pub(crate) fn steps(&self, text: &str) -> u64 {
        1 + self.weight * text.len() as u64
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
