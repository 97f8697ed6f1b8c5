//! Following the automaton through a payload.

use super::{Automaton, State, StateId};
use crate::error::{Fault, PayloadError};
use crate::limits::Limits;
use crate::matches::Match;
use crate::scan::{self, Known, Visitor};
use crate::text;

/// Every match, in document order.
pub(crate) fn select(
    automaton: &Automaton,
    payload: &[u8],
    limits: &Limits,
    known: Known,
    out: &mut Vec<Match>,
) -> Result<(), PayloadError> {
    let mut follower = Follower {
        states: &automaton.states,
        here: automaton.root,
        outer_start: None,
        open: Vec::with_capacity(8),
        max_matches: limits.max_matches as usize,
        name: String::new(),
        out,
    };
    scan::read(payload, limits, known, &mut follower).map(drop)
}

struct Follower<'a, 'o> {
    states: &'a [State],
    /// The state of the value that comes next.
    here: StateId,
    /// Where its key begins, if it has one.
    outer_start: Option<usize>,
    /// The containers that are open and were entered.
    open: Vec<Open>,
    max_matches: usize,
    /// For keys that have to be unescaped.
    name: String,
    out: &'o mut Vec<Match>,
}

/// A container that is open.
struct Open {
    state: StateId,
    /// Its matches, whose end is not known yet.
    matches: std::ops::Range<usize>,
    /// The index of the element that comes next.
    index: u64,
    /// Which part of `State::elements` comes next.
    next_part: usize,
    /// Where the element before led.
    element: StateId,
}

impl Follower<'_, '_> {
    #[inline]
    fn state(&self) -> &State {
        &self.states[self.here as usize]
    }

    /// Notes the matches of the value that begins here, and gives their indices.
    fn note(&mut self, start: usize, end: usize) -> Result<std::ops::Range<usize>, Fault> {
        let paths = &self.states[self.here as usize].paths;
        let before = self.out.len();
        if before + paths.len() > self.max_matches {
            return Err(Fault::limit(format!("the paths match more than {} places", self.max_matches)));
        }
        // Payloads are shorter than 2 GiB: `Limits::check_len` saw to it.
        let outer_start = u32::try_from(self.outer_start.unwrap_or(start)).unwrap_or(u32::MAX);
        self.out.extend(paths.iter().map(|&path| Match { path, span: start..end, outer_start }));
        Ok(before..self.out.len())
    }
}

impl Visitor for Follower<'_, '_> {
    #[inline]
    fn key(&mut self, text: &str, start: usize, end: usize, escaped: bool) {
        let Some(open) = self.open.last() else { return };
        let state = &self.states[open.state as usize];
        let inside = &text[start + 1..end - 1];
        self.here = if escaped && state.lengths != 0 {
            self.name.clear();
            text::unescape_into(inside, &mut self.name);
            state.member(self.name.as_bytes())
        } else {
            state.member(inside.as_bytes())
        };
        self.outer_start = Some(start);
    }

    #[inline]
    fn element(&mut self, _: usize) {
        let Some(open) = self.open.last_mut() else { return };
        let elements = &self.states[open.state as usize].elements;
        if let Some(&(from, to)) = elements.get(open.next_part)
            && from == open.index
        {
            open.element = to;
            open.next_part += 1;
        }
        open.index += 1;
        self.here = open.element;
        self.outer_start = None;
    }

    #[inline]
    fn enters(&mut self, object: bool) -> bool {
        let state = self.state();
        if object { state.enters_objects } else { state.enters_arrays }
    }

    #[inline]
    fn open(&mut self, start: usize, _: bool) -> Result<(), Fault> {
        let matches = if self.state().paths.is_empty() { 0..0 } else { self.note(start, start)? };
        self.open.push(Open { state: self.here, matches, index: 0, next_part: 0, element: super::NOWHERE });
        Ok(())
    }

    #[inline]
    fn close(&mut self, end: usize) {
        let Some(open) = self.open.pop() else { return };
        for place in &mut self.out[open.matches] {
            place.span.end = end;
        }
    }

    #[inline]
    fn leaf(&mut self, start: usize, end: usize) -> Result<(), Fault> {
        if !self.state().paths.is_empty() {
            self.note(start, end)?;
        }
        Ok(())
    }
}
