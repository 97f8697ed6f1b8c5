//! Payment card numbers.
//!
//! 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1, annex B) and begin as issued numbers of that length do:
//! 13 to 15 digits with 3, 4, 5 or 6 (15 with 1 as well: UATP); 16 with 2 to 9; 17 to 19 with 3 to 9 or with 2200 to
//! 2204. That leaves out most times and counters. The digits may be in groups of three or more (the last one may be
//! shorter), or one by one, with up to four spaces, hyphens, dashes or underscores between two, or a full stop each.
//! Groups may be joined by one of `/ + , : | ·` each as well, and the first may be in parentheses. Digits of every
//! script count. Letters may touch it; other digits may not, except for zeros in front and for a second card number
//! that follows at once. What follows `0.`, 13 digits after another decimal point (a coordinate), UUIDs and digests
//! are left alone.

use std::ops::Range;

use super::digits::{Group, Joint, groups};

const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

pub(super) fn find(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let enough = text.chars().filter(|c| super::digits::digit(*c).is_some()).nth(MIN_DIGITS - 1);
    if enough.is_none() {
        return;
    }
    let groups = groups(text);
    for first in 0..groups.len() {
        let shortest = shortest_after_point(&groups[..=first]);
        if let Some(last) = longest(&groups[first..], shortest) {
            found(groups[first].range.start..groups[first + last].range.end);
        }
    }
}

/// Whether a JSON number has one by its spelling. Its fraction is no card number.
pub(super) fn is_in_number(spelling: &str) -> bool {
    let mut is_in = false;
    for part in spelling.split(['e', 'E']) {
        find(part.split('.').next().unwrap_or_default(), &mut |_| is_in = true);
    }
    is_in
}

/// The fewest digits that the last group must have to be a card number by itself, by what is before it: a list's or
/// a version's number and a full stop are not part of a fraction, but nobody can tell them from a coordinate's.
fn shortest_after_point(groups: &[Group]) -> usize {
    match groups {
        [.., whole, last] if last.joint == Joint::Dot => {
            let is_zero = whole.digits == [0] && whole.joint != Joint::Dot;
            if is_zero { usize::MAX } else { MIN_DIGITS + 1 }
        }
        _ => MIN_DIGITS,
    }
}

/// The last group of the longest card number that begins with the first one, which alone must have `shortest` digits.
fn longest(groups: &[Group], shortest: usize) -> Option<usize> {
    let mut number = Vec::with_capacity(MAX_DIGITS);
    let mut longest = None;
    let mut one_by_one = true;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            let before = &groups[index - 1];
            let same_kind = match group.joint {
                Joint::Apart => false,
                Joint::Paren => index == 1,
                joint => index == 1 || joint == before.joint || (index == 2 && before.joint == Joint::Paren),
            };
            // Single digits in a list, `1,2,3`, are not one number.
            let single = one_by_one && group.digits.len() == 1 && group.joint != Joint::Sign;
            let long_enough = before.digits.len() >= 3 || single;
            if !(same_kind && long_enough) {
                break;
            }
        }
        one_by_one &= group.digits.len() == 1;
        let leading_zeros = || group.digits.iter().take_while(|digit| **digit == 0).count();
        let skipped = if index == 0 { leading_zeros() } else { 0 };
        let digits = &group.digits[skipped..];
        if number.len() + digits.len() > MAX_DIGITS {
            let both = index == 0 && number_of_two(digits);
            return if both { Some(0) } else { longest };
        }
        number.extend_from_slice(digits);
        // A single full stop among the digits is a decimal point.
        let decimal = (index == 0 && number.len() < shortest) || (index == 1 && group.joint == Joint::Dot);
        if !decimal && is_card(&number) {
            longest = Some(index);
        }
    }
    longest
}

/// Whether two card numbers were run together.
fn number_of_two(digits: &[u8]) -> bool {
    (MIN_DIGITS..=MAX_DIGITS)
        .filter_map(|length| digits.split_at_checked(length))
        .any(|(first, second)| is_card(first) && is_card(second))
}

fn is_card(number: &[u8]) -> bool {
    is_issued(number) && luhn(number)
}

fn is_issued(number: &[u8]) -> bool {
    let Some(first) = number.first() else { return false };
    match number.len() {
        13 | 14 => (3..=6).contains(first),
        15 => (3..=6).contains(first) || *first == 1,
        16 => (2..=9).contains(first),
        17..=19 => (3..=9).contains(first) || (number.starts_with(&[2, 2, 0]) && number[3] <= 4),
        _ => false,
    }
}

fn luhn(number: &[u8]) -> bool {
    let weighted = number.iter().rev().enumerate().map(|(place, digit)| match (place % 2, digit * 2) {
        (0, _) => u32::from(*digit),
        (_, double @ 0..=9) => u32::from(double),
        (_, double) => u32::from(double - 9),
    });
    weighted.sum::<u32>().is_multiple_of(10)
}
