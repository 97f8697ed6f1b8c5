//! Which letters are meant.

use std::str::FromStr;
use std::time::SystemTime;

use crate::rules::duration;
use crate::times::parse_rfc3339;

use super::Letter;

/// Which letters are meant: those for which all that is given holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The rule that gave them up.
    pub rule: Option<String>,
    /// The class of the failure. Any text, since letters of other versions may have other classes.
    pub class: Option<String>,
    /// A text that the reason contains.
    pub reason: Option<String>,
    /// Stored at this time or later.
    pub since: Option<SystemTime>,
    /// Stored at this time or earlier.
    pub until: Option<SystemTime>,
    /// Their sequences.
    pub sequences: Sequences,
}

/// A range of sequences, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequences {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// Why a text is not a range of sequences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a sequence such as `7`, or a range such as `7..12`, `7..` or `..12`; the first sequence is 1")]
pub struct SequenceError;

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a time such as `2026-11-22T10:00:00Z`, or how long ago with its unit (ms, s, m, h, d), for example `2h`"
)]
pub struct TimeError;

impl Filter {
    /// Whether this letter is meant.
    #[must_use]
    pub fn takes(&self, letter: &Letter) -> bool {
        let same = |want: &Option<String>, has: &str| want.as_ref().is_none_or(|want| want == has);
        same(&self.rule, letter.rule.as_str())
            && same(&self.class, &letter.class)
            && self.reason.as_ref().is_none_or(|part| letter.reason.contains(part))
            && self.since.is_none_or(|since| letter.stored >= since)
            && self.until.is_none_or(|until| letter.stored <= until)
            && (self.sequences.first..=self.sequences.last).contains(&letter.sequence)
    }
}

impl Default for Sequences {
    fn default() -> Self {
        Self { first: 1, last: u64::MAX }
    }
}

impl FromStr for Sequences {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str, open| match text {
            "" => Ok(open),
            text => text.parse::<u64>().map_err(|_| SequenceError),
        };
        let sequences = match text.split_once("..") {
            Some((first, last)) if !(first.is_empty() && last.is_empty()) => {
                Self { first: number(first, 1)?, last: number(last, u64::MAX)? }
            }
            Some(_) => return Err(SequenceError),
            None => text.parse().map(|one| Self { first: one, last: one }).map_err(|_| SequenceError)?,
        };
        if (1..=sequences.last).contains(&sequences.first) { Ok(sequences) } else { Err(SequenceError) }
    }
}

/// Reads a time: by RFC 3339, or as how long before `now` it was.
///
/// # Errors
/// When it is neither.
pub fn time(text: &str, now: SystemTime) -> Result<SystemTime, TimeError> {
    let ago = || now.checked_sub(duration(text).ok()?);
    parse_rfc3339(text).or_else(ago).ok_or(TimeError)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn sequences_are_one_or_a_range_with_both_ends() {
        let range = |first, last| Ok(Sequences { first, last });
        for (text, want) in [
            ("7", range(7, 7)),
            ("7..12", range(7, 12)),
            ("7..", range(7, u64::MAX)),
            ("..12", range(1, 12)),
            ("12..7", Err(SequenceError)),
            ("0", Err(SequenceError)),
            ("..", Err(SequenceError)),
            ("", Err(SequenceError)),
            ("-1", Err(SequenceError)),
            ("1..2..3", Err(SequenceError)),
        ] {
            assert_eq!(text.parse(), want, "{text}");
        }
    }

    #[test]
    fn a_time_is_given_by_itself_or_as_how_long_ago_it_was() {
        let now = UNIX_EPOCH + Duration::from_secs(100_000);
        assert_eq!(time("2h", now), Ok(now - Duration::from_secs(7200)));
        assert_eq!(time("1970-01-01T00:01:00Z", now), Ok(UNIX_EPOCH + Duration::from_secs(60)));
        for text in ["yesterday", "2", "", "-2h", "900000000000d"] {
            assert_eq!(time(text, now), Err(TimeError), "{text}");
        }
    }
}
