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
    /// One to four of: spaces (or `%20`), hyphens, dashes, underscores and invisible separators.
    Soft,
    /// One of `/ + , : | ·`, perhaps with a space or so around it.
    Sign,
    /// A closing parenthesis, perhaps with spaces.
    Paren,
    /// One full stop, which may be a decimal point as well.
    Dot,
}

/// The digit zero of every script (general category Nd of Unicode); one to nine follow it.
#[rustfmt::skip]
const ZEROS: [u32; 76] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620,
    0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136,
    0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0,
    0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// The value of a decimal digit of any script.
pub(super) fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).and_then(|value| u8::try_from(value).ok());
    }
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= u32::from(c))].last()?;
    u8::try_from(u32::from(c) - zero).ok().filter(|value| *value <= 9)
}

/// All groups of a text, except for those inside UUIDs and digests.
pub(super) fn groups(text: &str) -> Vec<Group> {
    let mut opaque = opaque::spans(text).into_iter().peekable();
    let mut groups: Vec<Group> = Vec::new();
    let mut gap = Gap::default();
    let mut current: Option<Group> = None;
    let mut chars = text.char_indices();
    while let Some((at, mut c)) = chars.next() {
        if c == '%' && text[at..].starts_with("%20") {
            chars.nth(1);
            c = ' ';
        }
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
    signs: usize,
    parens: usize,
    others: bool,
}

impl Gap {
    fn push(&mut self, c: char) {
        match c {
            '.' => self.dots += 1,
            '/' | '+' | ',' | ':' | '|' | '·' => self.signs += 1,
            ')' => self.parens += 1,
            c if is_separator(c) => self.soft += 1,
            _ => self.others = true,
        }
    }

    fn joint(&self) -> Joint {
        match (self.soft, self.dots, self.signs, self.parens) {
            _ if self.others => Joint::Apart,
            (1..=4, 0, 0, 0) => Joint::Soft,
            (0, 1, 0, 0) => Joint::Dot,
            (0..=2, 0, 1, 0) => Joint::Sign,
            (0..=2, 0, 0, 1) => Joint::Paren,
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
