//! Segments and selectors.

use std::time::Instant;

use super::cursor::{Cursor, Wrong};
use super::{Choice, Query, Regexp, Segment};

/// Reads the paths of one set: what is bounded is bounded over all of them.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// How many queries of the filters start at the root.
    pub(super) roots: usize,
    /// How many regular expressions were compiled.
    pub(super) patterns: usize,
    /// How large they are together.
    pub(super) pattern_bytes: usize,
    /// When to give up compiling them.
    pub(super) deadline: Option<Instant>,
}

impl Parser {
    /// One that gives up at a time.
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, ..Self::default() }
    }

    /// What the regular expressions come to at most, in bytes, once they have been used.
    pub(crate) fn pattern_bytes(&self) -> usize {
        self.pattern_bytes * (1 + Regexp::GROWTH)
    }

    /// How many queries of the filters start at the root.
    pub(crate) fn roots(&self) -> usize {
        self.roots
    }
}

/// Reads one path, from `$` to its end.
pub(crate) fn parse(parser: &mut Parser, path: &str) -> Result<Query, Wrong> {
    let mut reader = Reader { cursor: Cursor::new(path), parser, depth: 0 };
    if !reader.cursor.eat("$") {
        return Err(reader.cursor.wrong("expected `$`, the root, at the start"));
    }
    let query = reader.segments()?;
    if !reader.cursor.rest().is_empty() {
        return Err(reader.cursor.wrong("expected `.`, `..`, `[` or the end"));
    }
    Ok(query)
}

/// Reads one path.
pub(super) struct Reader<'a, 'p> {
    pub(super) cursor: Cursor<'a>,
    pub(super) parser: &'p mut Parser,
    /// How deep filters, parentheses and functions nest here.
    pub(super) depth: u32,
}

impl Reader<'_, '_> {
    /// All the segments that follow, which may be none.
    pub(super) fn segments(&mut self) -> Result<Query, Wrong> {
        let mut segments = Vec::new();
        loop {
            let (descendant, choices) = if self.cursor.eat_spaced("..") {
                (true, if self.cursor.rest().starts_with('[') { self.bracketed()? } else { vec![self.dotted()?] })
            } else if self.cursor.eat_spaced(".") {
                (false, vec![self.dotted()?])
            } else {
                let before = self.cursor.at();
                self.cursor.space();
                if !self.cursor.rest().starts_with('[') {
                    self.cursor.rewind(before);
                    return Ok(Query { segments });
                }
                (false, self.bracketed()?)
            };
            segments.push(Segment { descendant, choices });
        }
    }

    /// What follows a dot.
    fn dotted(&mut self) -> Result<Choice, Wrong> {
        if self.cursor.eat("*") {
            return Ok(Choice::Wildcard);
        }
        match self.cursor.shorthand() {
            Some(name) => Ok(Choice::Name(name.into())),
            None => Err(self.cursor.wrong("expected a name or `*` after the dot: write others as `['name']`")),
        }
    }

    /// Selectors in brackets.
    fn bracketed(&mut self) -> Result<Vec<Choice>, Wrong> {
        self.cursor.expect("[")?;
        let mut choices = Vec::new();
        loop {
            self.cursor.space();
            choices.push(self.choice()?);
            self.cursor.space();
            if self.cursor.eat("]") {
                return Ok(choices);
            }
            if !self.cursor.eat(",") {
                return Err(self.cursor.wrong("expected `,` or `]`"));
            }
        }
    }

    fn choice(&mut self) -> Result<Choice, Wrong> {
        match self.cursor.peek() {
            Some('\'' | '"') => Ok(Choice::Name(self.cursor.string()?.into())),
            Some('*') => {
                self.cursor.advance(1);
                Ok(Choice::Wildcard)
            }
            Some('?') => {
                self.cursor.advance(1);
                self.cursor.space();
                Ok(Choice::Filter(self.logical()?))
            }
            Some('-' | '0'..='9' | ':') => self.index_or_slice(),
            _ => Err(self.cursor.wrong("expected a name in quotes, an index, a slice, `*` or a filter `?…`")),
        }
    }

    fn index_or_slice(&mut self) -> Result<Choice, Wrong> {
        let start = self.slice_part()?;
        if !self.cursor.eat_spaced(":") {
            return start.map(Choice::Index).ok_or_else(|| self.cursor.wrong("expected an index"));
        }
        self.cursor.space();
        let end = self.slice_part()?;
        let mut step = 1;
        if self.cursor.eat_spaced(":") {
            self.cursor.space();
            step = self.slice_part()?.unwrap_or(1);
        }
        Ok(Choice::Slice { start, end, step })
    }

    fn slice_part(&mut self) -> Result<Option<i64>, Wrong> {
        match self.cursor.peek() {
            Some('-' | '0'..='9') => self.cursor.integer().map(Some),
            _ => Ok(None),
        }
    }
}
