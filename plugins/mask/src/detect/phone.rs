//! Phone numbers.
//!
//! * International (ITU-T E.164): `+` and 7 to 15 digits, the first of them not 0, in groups or not. With `00` in
//!   place of `+`: 9 digits or more, in groups.
//! * North American: three, three and four digits with hyphens, full stops, spaces or parentheses, the first and the
//!   fourth digit 2 to 9, perhaps with a `1` in front.
//! * National with a trunk prefix: `0` and 8 to 10 more digits in groups, the first group of two to five digits. Where
//!   the first two groups have two digits each, all five must, or it may be a date.
//!
//! Digits without any sign between them are not a phone number unless `+` is in front: they may be anything. What
//! stands between two groups is one to three of: spaces, hyphens, dashes, full stops, `/`, `(`, `)`.

use std::ops::Range;

use super::digits::{digit, is_separator};

struct Group {
    range: Range<usize>,
    digits: Vec<u8>,
    /// Whether it stands apart from what is before it, so that a number may begin with it.
    begins: bool,
    /// Whether a plus sign is in front.
    plus: bool,
    /// Whether just a full stop is between it and the group before it.
    dot: bool,
}

pub(super) fn find(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let enough = text.chars().filter(|c| digit(*c).is_some()).nth(6);
    if enough.is_none() {
        return;
    }
    for run in runs(text) {
        let mut first = 0;
        while first < run.len() {
            let matched = run[first].begins.then(|| last_of(&run[first..])).flatten();
            if let Some(last) = matched {
                let start = run[first].range.start;
                let prefix = text[..start].chars().next_back().filter(|c| run[first].plus || *c == '(');
                found(start - prefix.map_or(0, char::len_utf8)..run[first + last].range.end);
                first += last;
            }
            first += 1;
        }
    }
}

/// The groups of the text, in runs that separators of phone numbers join.
fn runs(text: &str) -> Vec<Vec<Group>> {
    let mut runs: Vec<Vec<Group>> = vec![Vec::new()];
    let mut gap = String::new();
    let mut in_group = false;
    for (at, c) in text.char_indices() {
        let Some(value) = digit(c) else {
            if in_group {
                gap.clear();
            }
            in_group = false;
            gap.push(c);
            continue;
        };
        if !in_group {
            let plus = gap.ends_with(['+', '＋']);
            let joined = !gap.is_empty() && gap.chars().count() <= 3 && gap.chars().all(is_joint);
            if !joined {
                runs.push(Vec::new());
            }
            let run = runs.last_mut().expect("there is always one");
            let touched = gap.chars().next_back().is_some_and(char::is_alphanumeric);
            let apart = gap.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(');
            let begins = if run.is_empty() { !touched } else { apart };
            run.push(Group { range: at..at, digits: Vec::new(), begins, plus, dot: gap == "." });
        }
        in_group = true;
        let group = runs.last_mut().and_then(|run| run.last_mut()).expect("a digit is always in a group");
        group.digits.push(value);
        group.range.end = at + c.len_utf8();
    }
    runs
}

fn is_joint(c: char) -> bool {
    matches!(c, '.' | '/' | '(' | ')') || is_separator(c)
}

/// The last group of the number that begins with the first one.
fn last_of(groups: &[Group]) -> Option<usize> {
    let first = &groups[0];
    match first.digits.as_slice() {
        [1..=9, ..] if first.plus => within(groups, 7, 15).filter(|last| !(*last == 1 && is_decimal(groups))),
        [0, 0, 1..=9, ..] => within(groups, 11, 17).filter(|last| *last > 0),
        [0, 1..=9, ..] if (2..=5).contains(&first.digits.len()) => {
            let pairs = groups.len() > 1 && first.digits.len() == 2 && groups[1].digits.len() == 2;
            let all_pairs = groups.iter().take(5).filter(|group| group.digits.len() == 2).count() == 5;
            if pairs {
                return all_pairs.then_some(4);
            }
            within(groups, 9, 11).filter(|last| *last > 0)
        }
        [1] => north_american(&groups[1..]).map(|last| last + 1),
        _ => north_american(groups),
    }
}

/// The last group up to which there are at least and at most so many digits.
fn within(groups: &[Group], min: usize, max: usize) -> Option<usize> {
    let mut total = 0;
    let mut last = None;
    for (index, group) in groups.iter().enumerate() {
        total += group.digits.len();
        if total > max {
            break;
        }
        if total >= min {
            last = Some(index);
        }
    }
    last
}

fn north_american(groups: &[Group]) -> Option<usize> {
    let [area, exchange, line, ..] = groups else { return None };
    let shape = [area, exchange, line].map(|group| group.digits.len()) == [3, 3, 4];
    (shape && area.digits[0] >= 2 && exchange.digits[0] >= 2).then_some(2)
}

/// `+1234567.89` is an amount.
fn is_decimal(groups: &[Group]) -> bool {
    groups[1].dot && groups[1].digits.len() <= 3 && groups[0].digits.len() >= 7
}
