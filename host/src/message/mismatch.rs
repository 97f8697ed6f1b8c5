//! Why a pattern does not match a subject, for people.

use std::fmt;

use super::SubjectPattern;

/// Why a pattern does not match a subject: the first token, from the left, that makes the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// A token is another one.
    Token {
        /// Its position, counted from 1.
        position: usize,
        /// The pattern's token.
        want: String,
        /// The subject's token.
        got: String,
    },
    /// The subject ends before the pattern does.
    Short {
        /// Tokens that the pattern has, or has at least if it ends with `>`.
        want: usize,
        /// Whether more would do too.
        or_more: bool,
        /// Tokens that the subject has.
        got: usize,
    },
    /// The subject goes on where the pattern ends.
    Long {
        /// Tokens that the pattern has.
        want: usize,
        /// Tokens that the subject has.
        got: usize,
    },
}

impl SubjectPattern {
    /// Why the subject is none that this pattern stands for; `None` if it is one.
    #[must_use]
    pub fn mismatch(&self, subject: &str) -> Option<Mismatch> {
        let (want, got) = (self.as_str().split('.').count(), subject.split('.').count());
        let mut tokens = subject.split('.');
        for (token, position) in self.as_str().split('.').zip(1..) {
            match (token, tokens.next()) {
                (">", Some(_)) => return None,
                (_, None) => return Some(Mismatch::Short { want, or_more: self.as_str().ends_with('>'), got }),
                ("*", Some(_)) => {}
                (want, Some(got)) if want == got => {}
                (want, Some(got)) => {
                    return Some(Mismatch::Token { position, want: want.to_owned(), got: got.to_owned() });
                }
            }
        }
        tokens.next().map(|_| Mismatch::Long { want, got })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = |count: usize| format!("{count} token{}", if count == 1 { "" } else { "s" });
        match self {
            Self::Token { position, want, got } => write!(f, "token {position}: want `{want}`, got `{got}`"),
            Self::Short { want, or_more, got } => {
                let or_more = if *or_more { " or more" } else { "" };
                write!(f, "too short: want {}{or_more}, got {got}", tokens(*want))
            }
            Self::Long { want, got } => write!(f, "too long: want {}, got {got}", tokens(*want)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pattern: &str, subject: &str) -> String {
        let pattern = SubjectPattern::new(pattern).expect("a pattern");
        let mismatch = pattern.mismatch(subject);
        assert_eq!(mismatch.is_none(), pattern.matches(subject), "{pattern} and {subject}");
        mismatch.map_or_else(String::new, |mismatch| mismatch.to_string())
    }

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(told("orders.*.created", "orders.eu.deleted"), "token 3: want `created`, got `deleted`");
        assert_eq!(told("orders.*.created", "telemetry"), "token 1: want `orders`, got `telemetry`");
        assert_eq!(told("orders.*.created", "orders.eu"), "too short: want 3 tokens, got 2");
        assert_eq!(told("orders.>", "orders"), "too short: want 2 tokens or more, got 1");
        assert_eq!(told("orders", "orders.eu.x"), "too long: want 1 token, got 3");
    }

    #[test]
    fn what_matches_has_no_mismatch() {
        for (pattern, subject) in [("a.*", "a.b"), (">", "a"), ("a.>", "a.b.c"), ("a", "a")] {
            assert_eq!(told(pattern, subject), "");
        }
    }
}
