//! Putting values in the place of matches, and leaving every other byte alone.

use std::cmp::Reverse;

use crate::error::PayloadError;
use crate::limits::Limits;
use crate::matches::{Match, Replacement};
use crate::{text, validate};

/// Puts `values` in the place of `matches`, one each; `None` removes the place.
///
/// A removed member goes with its key, and a removed member or element with one comma and the white space beside it,
/// so that what is left is well-formed however many neighbours go. All other bytes stay as they are.
///
/// Where several matches are of one place, the one with the lowest path index is put in. Where matches nest, the
/// outer one is. Values that are not put in are checked all the same.
///
/// `matches` have to come from a selection on this very payload, in any order. With those of another payload the
/// outcome is an error or of no use, but never a panic.
///
/// # Errors
///
/// [`PayloadError::NotJson`] if there are not as many values as matches, if a number or JSON value is not
/// well-formed, if the root would be removed, or if a match lies outside of the payload.
/// [`PayloadError::Limit`] if the outcome is longer than [`Limits::max_payload_bytes`].
pub fn replace(
    payload: &[u8],
    matches: &[Match],
    values: &[Option<Replacement<'_>>],
    limits: &Limits,
) -> Result<Vec<u8>, PayloadError> {
    if values.len() != matches.len() {
        let (values, matches) = (values.len(), matches.len());
        let problem = format!("{values} values for {matches} matches: give one value for each match");
        return Err(PayloadError::NotJson(problem));
    }
    for (index, value) in values.iter().enumerate() {
        check(index, value.as_ref(), limits)?;
    }
    let mut splice = Splice { payload, out: Vec::with_capacity(payload.len() + 64), copied: 0, head_run: 0, limits };
    let mut done = 0;
    let mut edit = |place: &Match, value: Option<Replacement<'_>>| {
        // What begins inside of the place before is nested in it or the same.
        if place.span.start < done {
            return Ok(());
        }
        done = place.span.end;
        splice.edit(place, value)
    };
    let pairs = matches.iter().zip(values.iter().copied());
    if matches.is_sorted_by_key(order) {
        pairs.into_iter().try_for_each(|(place, value)| edit(place, value))?;
    } else {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by_key(|(place, _)| order(place));
        pairs.into_iter().try_for_each(|(place, value)| edit(place, value))?;
    }
    splice.finish()
}

/// The order of a selection: by start, outer before inner, then by path.
fn order(place: &Match) -> (usize, Reverse<usize>, u32) {
    (place.span.start, Reverse(place.span.end), place.path)
}

/// Refuses a replacement that would make the payload something else than JSON.
fn check(index: usize, value: Option<&Replacement<'_>>, limits: &Limits) -> Result<(), PayloadError> {
    let refuse = |what: &str| PayloadError::NotJson(format!("value {index} is not {what}"));
    match value {
        Some(Replacement::Number(spelling)) => {
            let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
            if !spelling.bytes().all(plain) || validate(spelling.as_bytes(), limits).is_err() {
                return Err(refuse("a number of JSON"));
            }
        }
        Some(Replacement::Json(json)) => validate(json.as_bytes(), limits).map_err(|error| match error {
            PayloadError::NotJson(problem) => refuse(&format!("well-formed JSON: {problem}")),
            limit @ PayloadError::Limit(_) => limit,
        })?,
        _ => {}
    }
    Ok(())
}

/// The outcome as far as it is written.
struct Splice<'p, 'l> {
    payload: &'p [u8],
    out: Vec<u8>,
    /// Up to where the payload was copied or left out.
    copied: usize,
    /// Where the sibling after a removed first member or element begins, which is then the first itself.
    head_run: usize,
    limits: &'l Limits,
}

impl Splice<'_, '_> {
    fn edit(&mut self, place: &Match, value: Option<Replacement<'_>>) -> Result<(), PayloadError> {
        match value {
            Some(value) => {
                self.skip(place.span.start, place.span.end)?;
                self.put(value);
            }
            None => self.remove(place)?,
        }
        self.limits.check_len(self.out.len())
    }

    /// Copies up to `start` and goes on from `end`.
    fn skip(&mut self, start: usize, end: usize) -> Result<(), PayloadError> {
        let foreign = || PayloadError::NotJson("a match is not one of this payload: select from it again".to_owned());
        let kept = self.payload.get(self.copied..start).ok_or_else(foreign)?;
        if end < start || end > self.payload.len() {
            return Err(foreign());
        }
        self.out.extend_from_slice(kept);
        self.copied = end;
        Ok(())
    }

    fn put(&mut self, value: Replacement<'_>) {
        match value {
            Replacement::Null => self.out.extend_from_slice(b"null"),
            Replacement::Boolean(true) => self.out.extend_from_slice(b"true"),
            Replacement::Boolean(false) => self.out.extend_from_slice(b"false"),
            Replacement::Number(json) | Replacement::Json(json) => self.out.extend_from_slice(json.as_bytes()),
            Replacement::Text(text) => text::write_string(text, &mut self.out),
        }
    }

    /// Leaves a member or element out: the first one with the comma after it, any other with the comma before it.
    fn remove(&mut self, place: &Match) -> Result<(), PayloadError> {
        let (start, end) = (place.outer_start as usize, place.span.end);
        let before = self.payload.get(..start).unwrap_or_default().trim_ascii_end();
        let after = self.payload.get(end..).unwrap_or_default().trim_ascii_start();
        let first = start == self.head_run && start > 0;
        match (before.last(), after) {
            (Some(b',' | b'{' | b'['), [b',', rest @ ..]) if first || before.last() != Some(&b',') => {
                self.head_run = self.payload.len() - rest.trim_ascii_start().len();
                self.skip(start, self.head_run)
            }
            (Some(b','), _) if !first => self.skip(before.len() - 1, end),
            (Some(_), _) => self.skip(start, end),
            (None, _) => Err(PayloadError::NotJson("the root cannot be removed: replace it".to_owned())),
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, PayloadError> {
        self.out.extend_from_slice(self.payload.get(self.copied..).unwrap_or_default());
        self.limits.check_len(self.out.len())?;
        Ok(self.out)
    }
}
