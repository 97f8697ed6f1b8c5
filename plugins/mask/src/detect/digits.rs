//! Runs of digits, and what may stand between two of them.

use std::ops::Range;

use super::opaque;

/// A run of digits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    pub(super) digits: Vec<u8>,
    /// What stands between it and the group before it.
    pub(super) joint: Joint,
}

/// What stands between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// Something that does not join them.
    Apart,
    /// One to three of: spaces, hyphens, dashes, underscores and invisible separators.
    Soft,
    /// One full stop, which may be a decimal point as well.
    Dot,
}

/// The value of an ASCII or full-width digit.
pub(super) fn digit(c: char) -> Option<u8> {
    let value = match c {
        '0'..='9' => c as u32 - '0' as u32,
        '０'..='９' => c as u32 - '０' as u32,
        _ => return None,
    };
    u8::try_from(value).ok()
}

/// All groups of a text, except for those inside UUIDs and digests.
pub(super) fn groups(text: &str) -> Vec<Group> {
    let mut opaque = opaque::spans(text).into_iter().peekable();
    let mut groups: Vec<Group> = Vec::new();
    let mut gap = Gap::default();
    let mut current: Option<Group> = None;
    for (at, c) in text.char_indices() {
        while opaque.next_if(|span| span.end <= at).is_some() {}
        let hidden = opaque.peek().is_some_and(|span| span.contains(&at));
        match digit(c).filter(|_| !hidden) {
            Some(value) => {
                let group = current.get_or_insert_with(|| Group {
                    range: at..at,
                    digits: Vec::new(),
                    joint: if groups.is_empty() { Joint::Apart } else { gap.joint() },
                });
                group.digits.push(value);
                group.range.end = at + c.len_utf8();
            }
            None => {
                if let Some(group) = current.take() {
                    groups.push(group);
                    gap = Gap::default();
                }
                gap.push(c);
            }
        }
    }
    groups.extend(current);
    groups
}

#[derive(Default)]
struct Gap {
    soft: usize,
    dots: usize,
    others: bool,
}

impl Gap {
    fn push(&mut self, c: char) {
        match c {
            '.' => self.dots += 1,
            c if is_separator(c) => self.soft += 1,
            _ => self.others = true,
        }
    }

    fn joint(&self) -> Joint {
        match (self.soft, self.dots, self.others) {
            (1..=3, 0, false) => Joint::Soft,
            (0, 1, false) => Joint::Dot,
            _ => Joint::Apart,
        }
    }
}

/// Spaces of all kinds, hyphens and dashes, underscores, and what takes no room: soft hyphen, zero-width characters.
pub(super) fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '_' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2010}'..='\u{2015}' | '\u{2060}' | '\u{2212}' | '\u{feff}')
}

/// The digits of a whole number that is spelt with an exponent, if they are few enough to be anything known.
pub(super) fn written_out(spelling: &str) -> Option<String> {
    let (mantissa, exponent) = spelling.split_once(['e', 'E'])?;
    let exponent: usize = exponent.trim_start_matches('+').parse().ok().filter(|exponent| *exponent <= 32)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = exponent.checked_sub(fraction.len())?;
    Some(format!("{whole}{fraction}{}", "0".repeat(zeros)))
}
