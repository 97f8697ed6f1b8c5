//! Subjects and the patterns that match them, by the rules of the NATS protocol.

use std::fmt;
use std::sync::Arc;

/// Longest subject Trackside publishes to, in bytes; the server's default limit for a protocol line is 4 KiB.
pub const MAX_SUBJECT_BYTES: usize = 1024;

/// Why a text is not a subject or pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// No character at all.
    #[error("a subject cannot be empty")]
    Empty,
    /// Two dots in a row, or one at an end.
    #[error("`{0}` has an empty token: a dot at an end or two in a row")]
    EmptyToken(String),
    /// White space or a control character.
    #[error("`{0}` has {1:?}: white space and control characters cannot be in a subject")]
    Character(String, char),
    /// A wildcard in a subject that is to be published to.
    #[error("`{0}` has a wildcard, which only patterns can have")]
    Wildcard(String),
    /// `>` before the end.
    #[error("`{0}` has `>` before its end; it stands for the rest and must be the last token")]
    TailNotLast(String),
    /// Longer than [`MAX_SUBJECT_BYTES`].
    #[error("a subject has at most {MAX_SUBJECT_BYTES} bytes, this one has {0}")]
    Long(usize),
}

/// A subject that a message was, or can be, published to: tokens joined by dots, no wildcards.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

/// A subject with wildcards: `*` for one token, `>` for one or more at the end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectPattern(Arc<str>);

impl Subject {
    /// Checks a subject that is to be published to.
    ///
    /// # Errors
    /// When it is empty or too long, has an empty token, white space, control characters or a wildcard token.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        check(text)?;
        if text.split('.').any(|token| token == "*" || token == ">") {
            return Err(SubjectError::Wildcard(text.to_owned()));
        }
        Ok(Self(Arc::from(text)))
    }

    /// Takes the subject of a message that a server has delivered, and so has checked.
    #[must_use]
    pub fn delivered(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The token at this position, counted from 1 as in templates.
    #[must_use]
    pub fn token(&self, position: usize) -> Option<&str> {
        self.0.split('.').nth(position.checked_sub(1)?)
    }
}

impl SubjectPattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// When it is empty or too long, has an empty token, white space, control characters, or `>` before the end.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        check(text)?;
        let mut tokens = text.split('.').rev();
        tokens.next();
        if tokens.any(|token| token == ">") {
            return Err(SubjectError::TailNotLast(text.to_owned()));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The pattern of every subject.
    #[must_use]
    pub fn everything() -> Self {
        Self(Arc::from(">"))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the subject is one that this pattern stands for.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut subject = subject.split('.');
        for token in self.0.split('.') {
            match (token, subject.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (want, Some(got)) if want == got => {}
                _ => return false,
            }
        }
        subject.next().is_none()
    }

    /// Whether every subject that the other pattern matches is matched by this one too.
    #[must_use]
    pub fn covers(&self, other: &SubjectPattern) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (Some("*"), Some(token)) if token != ">" => {}
                (Some(our), Some(their)) if our == their => {}
                _ => return false,
            }
        }
    }

    /// Whether some subject is matched by both patterns.
    #[must_use]
    pub fn overlaps(&self, other: &SubjectPattern) -> bool {
        let (mut left, mut right) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }
}

fn check(text: &str) -> Result<(), SubjectError> {
    if text.is_empty() {
        return Err(SubjectError::Empty);
    }
    if text.len() > MAX_SUBJECT_BYTES {
        return Err(SubjectError::Long(text.len()));
    }
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(SubjectError::Character(text.to_owned(), bad));
    }
    if text.split('.').any(str::is_empty) {
        return Err(SubjectError::EmptyToken(text.to_owned()));
    }
    Ok(())
}

impl Default for Subject {
    fn default() -> Self {
        Self(Arc::from("_"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::new(text).expect("a pattern")
    }

    #[test]
    fn patterns_match_as_the_server_does() {
        for (p, s, want) in [
            ("orders.*.created", "orders.eu.created", true),
            ("orders.*.created", "orders.eu.de.created", false),
            ("orders.>", "orders.eu.created", true),
            ("orders.>", "orders", false),
            (">", "a", true),
            ("a.b", "a", false),
            ("a", "a.b", false),
        ] {
            assert_eq!(pattern(p).matches(s), want, "{p} against {s}");
        }
    }

    #[test]
    fn patterns_overlap_when_one_subject_could_match_both() {
        for (a, b, want) in [
            ("orders.>", "orders.*.created", true),
            ("orders.*", "orders.eu.created", false),
            ("*.eu", "orders.*", true),
            ("a.b", "a.c", false),
            ("a.>", "a", false),
        ] {
            assert_eq!(pattern(a).overlaps(&pattern(b)), want, "{a} and {b}");
            assert_eq!(pattern(b).overlaps(&pattern(a)), want, "{b} and {a}");
        }
    }

    #[test]
    fn a_pattern_covers_another_when_it_matches_all_that_the_other_does() {
        for (a, b, want) in [
            ("orders.>", "orders.*.created", true),
            ("orders.>", "orders.>", true),
            ("orders.*", "orders.>", false),
            ("orders.*", "orders.eu", true),
            ("orders.eu", "orders.*", false),
            ("orders.>", "orders", false),
            (">", "a.*.>", true),
        ] {
            assert_eq!(pattern(a).covers(&pattern(b)), want, "{a} over {b}");
        }
    }

    #[test]
    fn a_subject_to_publish_to_has_no_wildcard_and_no_empty_token() {
        assert!(Subject::new("a.b").is_ok());
        assert!(matches!(Subject::new("a.*"), Err(SubjectError::Wildcard(_))));
        assert!(matches!(Subject::new("a..b"), Err(SubjectError::EmptyToken(_))));
        assert!(matches!(Subject::new("a b"), Err(SubjectError::Character(_, ' '))));
        assert!(matches!(Subject::new(""), Err(SubjectError::Empty)));
        assert!(matches!(SubjectPattern::new("a.>.b"), Err(SubjectError::TailNotLast(_))));
    }
}
