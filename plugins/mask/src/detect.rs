//! Finds secrets inside a text, and says what to put in their place.
//!
//! Every finder is linear in the text's length, and finds byte ranges that begin and end between characters. Finds
//! that overlap are joined and masked as one, so that no part of any find is left over.

mod card;
mod digits;
mod email;
mod iban;
mod ip;
mod opaque;
mod pattern;
mod phone;
mod secret;

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

pub(crate) use self::pattern::Pattern;
use crate::actions::{REDACTED, TextMask};

/// What to look for. Each variant's module says exactly what it takes for one.
#[derive(Debug)]
pub(crate) enum Finder {
    Email,
    Card,
    Iban,
    Phone,
    Ip,
    Jwt,
    Bearer,
    /// JWTs, bearer tokens and everything else that `secret` knows.
    Secret,
    Pattern(Box<Pattern>),
}

impl Finder {
    fn find(&self, text: &str, found: &mut dyn FnMut(Range<usize>)) {
        match self {
            Self::Email => email::find(text, found),
            Self::Card => card::find(text, found),
            Self::Iban => iban::find(text, found),
            Self::Phone => phone::find(text, found),
            Self::Ip => ip::find(text, found),
            Self::Jwt => secret::jwt(text, found),
            Self::Bearer => secret::bearer(text, found),
            Self::Secret => secret::any(text, found),
            Self::Pattern(pattern) => pattern.find(text, found),
        }
    }

    /// Whether a number, by its spelling, is one as a whole.
    fn matches_number(&self, spelling: &str) -> bool {
        match self {
            Self::Card => {
                // A card number may be spelt `4.111111111111111e15`.
                let written_out = digits::written_out(spelling);
                card::is_in_number(written_out.as_deref().unwrap_or(spelling))
            }
            other => {
                let mut found = false;
                other.find(spelling, &mut |_| found = true);
                found
            }
        }
    }
}

/// Something to look for, and what to do with what is found.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) finder: Finder,
    pub(crate) mask: TextMask,
}

/// A range of a text, and what goes in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) with: String,
}

/// What to change in a text, in order, without overlap; nothing when nothing was found.
pub(crate) fn edits(entries: &[Rc<Entry>], text: &str) -> Vec<Edit> {
    let mut finds: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        entry.finder.find(text, &mut |range| {
            debug_assert!(text.get(range.clone()).is_some_and(|found| !found.is_empty()));
            finds.push((range, index));
        });
    }
    finds.sort_unstable_by_key(|(range, index)| (range.start, *index));
    let mut edits: Vec<Edit> = Vec::new();
    let mut rest = finds.as_slice();
    while let Some((first, _)) = rest.first() {
        let mut range = first.clone();
        let mut joined = 0;
        while let Some((next, _)) = rest.get(joined).filter(|(next, _)| next.start < range.end) {
            range.end = range.end.max(next.end);
            joined += 1;
        }
        let (cluster, after) = rest.split_at(joined);
        let with = with(entries, cluster, &text[range.clone()]);
        edits.push(Edit { range, with });
        rest = after;
    }
    edits
}

/// Where finds of several entries overlap, the entry listed first masks them, but one that keeps characters gives
/// way: what it keeps may be what another one found.
fn with(entries: &[Rc<Entry>], cluster: &[(Range<usize>, usize)], text: &str) -> String {
    let listed_first = |reveals: bool| {
        cluster.iter().map(|(_, index)| *index).filter(|index| entries[*index].mask.reveals() == reveals).min()
    };
    let only = cluster[0].1;
    if cluster.iter().all(|(_, index)| *index == only) {
        return entries[only].mask.text(text);
    }
    match listed_first(false) {
        Some(index) => entries[index].mask.text(text),
        None => REDACTED.to_owned(),
    }
}

/// The text with every find masked; borrowed when there is none.
pub(crate) fn mask_text<'a>(entries: &[Rc<Entry>], text: &'a str) -> Cow<'a, str> {
    let edits = edits(entries, text);
    if edits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits {
        masked.push_str(&text[done..edit.range.start]);
        masked.push_str(&edit.with);
        done = edit.range.end;
    }
    masked.push_str(&text[done..]);
    Cow::Owned(masked)
}

/// What becomes of a number: the text that stands in for it if it is a find by its spelling. It is masked whole.
pub(crate) fn mask_number(entries: &[Rc<Entry>], spelling: &str) -> Option<String> {
    let mut finding = entries.iter().filter(|entry| entry.finder.matches_number(spelling));
    let first = finding.next()?;
    let mut others = finding.peekable();
    if others.peek().is_none() || !first.mask.reveals() {
        return Some(first.mask.text(spelling));
    }
    let hiding = others.find(|entry| !entry.mask.reveals());
    Some(hiding.map_or_else(|| REDACTED.to_owned(), |entry| entry.mask.text(spelling)))
}

#[cfg(test)]
mod tests;
