//! Payment card numbers.
//!
//! 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1, annex B) and begin as issued numbers of that length do:
//! 13 to 15 digits with 3, 4, 5 or 6 (15 with 1 as well: UATP); 16 with 2 to 9; 17 to 19 with 3 to 9 or with 2200 to
//! 2204. That leaves out most times and counters. The digits may be in groups of three or more (the last one may be
//! shorter), or one by one, with up to three spaces, hyphens, dashes or underscores between two, or a full stop each.
//! Letters may touch it; other digits may not, except for zeros in front. What follows a decimal point,
//! UUIDs and digests are left alone.

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
        if let Some(last) = longest(&groups[first..]) {
            found(groups[first].range.start..groups[first + last].range.end);
        }
    }
}

/// The last group of the longest card number that begins with the first one.
fn longest(groups: &[Group]) -> Option<usize> {
    let mut number = Vec::with_capacity(MAX_DIGITS);
    let mut longest = None;
    let mut one_by_one = true;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            let before = &groups[index - 1];
            let same_kind = group.joint != Joint::Apart && (index == 1 || group.joint == before.joint);
            let long_enough = before.digits.len() >= 3 || (one_by_one && group.digits.len() == 1);
            if !(same_kind && long_enough) {
                break;
            }
        }
        one_by_one &= group.digits.len() == 1;
        let leading_zeros = || group.digits.iter().take_while(|digit| **digit == 0).count();
        let skipped = if index == 0 { leading_zeros() } else { 0 };
        let digits = &group.digits[skipped..];
        if number.len() + digits.len() > MAX_DIGITS {
            break;
        }
        number.extend_from_slice(digits);
        // A single full stop is a decimal point, before the digits or among them.
        let decimal = index <= 1 && group.joint == Joint::Dot;
        if !decimal && is_issued(&number) && luhn(&number) {
            longest = Some(index);
        }
    }
    longest
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
