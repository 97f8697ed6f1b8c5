//! The validating pass: RFC 8259, strictly, over UTF-8 that was checked before.

mod skip;
mod token;

use crate::error::{Fault, PayloadError};
use crate::limits::Limits;

/// What is told of a payload while it is read, in the order of its bytes.
///
/// Before each value comes `key` (a member of an object) or `element` (of an array); the root has neither.
pub(crate) trait Visitor {
    /// A member's key was read: its span with the quotes, and whether it holds escapes.
    fn key(&mut self, text: &str, start: usize, end: usize, escaped: bool);
    /// The next element of the innermost array begins at `start`.
    fn element(&mut self, start: usize);
    /// Whether the visitor wants to see inside the container that comes next. If not, it is told of as a leaf.
    fn enters(&mut self, object: bool) -> bool;
    /// A container that was entered begins.
    fn open(&mut self, start: usize, object: bool) -> Result<(), Fault>;
    /// The innermost container that was entered ended before byte `end`.
    fn close(&mut self, end: usize);
    /// A scalar, or a container that was not entered.
    fn leaf(&mut self, start: usize, end: usize) -> Result<(), Fault>;
}

/// Whether a payload is known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// No: all of it is read.
    Nothing,
    /// Yes: what the visitor does not want to see is passed over.
    WellFormed,
}

/// Reads the payload, telling `visitor` of what it wants to see.
pub(crate) fn read<'p, V: Visitor>(
    payload: &'p [u8],
    limits: &Limits,
    known: Known,
    visitor: &mut V,
) -> Result<&'p str, PayloadError> {
    limits.check_len(payload.len())?;
    if payload.starts_with(b"\xEF\xBB\xBF") {
        return Err(Fault::syntax(0, "a byte order mark is not JSON: leave it out").into());
    }
    let text = match std::str::from_utf8(payload) {
        Ok(text) => text,
        Err(error) => return Err(Fault::syntax(error.valid_up_to(), "the text is not UTF-8").into()),
    };
    let mut scanner = Scanner::new(text, limits, known);
    scanner.document(visitor)?;
    Ok(text)
}

/// Sees nothing: what is read is only validated.
pub(crate) struct Ignore;

impl Visitor for Ignore {
    #[inline]
    fn key(&mut self, _: &str, _: usize, _: usize, _: bool) {}
    #[inline]
    fn element(&mut self, _: usize) {}
    #[inline]
    fn enters(&mut self, _: bool) -> bool {
        true
    }
    #[inline]
    fn open(&mut self, _: usize, _: bool) -> Result<(), Fault> {
        Ok(())
    }
    #[inline]
    fn close(&mut self, _: usize) {}
    #[inline]
    fn leaf(&mut self, _: usize, _: usize) -> Result<(), Fault> {
        Ok(())
    }
}

/// Where the pass is.
struct Scanner<'p, 'l> {
    text: &'p str,
    at: usize,
    limits: &'l Limits,
    known: Known,
    open: Nesting,
    values: u32,
}

impl<'p, 'l> Scanner<'p, 'l> {
    /// Values between two looks at the clock. A power of two.
    const VALUES_A_LOOK: u32 = 4096;

    fn new(text: &'p str, limits: &'l Limits, known: Known) -> Self {
        Self { text, at: 0, limits, known, open: Nesting::new(limits.max_depth), values: 0 }
    }

    fn document<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), Fault> {
        self.space();
        self.value(visitor)?;
        self.space();
        if self.at < self.text.len() {
            return Err(Fault::syntax(self.at, "expected nothing more after the value"));
        }
        Ok(())
    }

    /// Reads the value that begins here, with everything in it.
    ///
    /// It calls itself only to skip a container, and then everything is entered: it goes no deeper than that.
    fn value<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), Fault> {
        let outside = self.open.depth;
        loop {
            let start = self.at;
            let first = self.peek();
            if first == b'{' || first == b'[' {
                let object = first == b'{';
                if visitor.enters(object) {
                    visitor.open(start, object)?;
                    if self.enter(object, visitor)? {
                        continue;
                    }
                    visitor.close(self.at);
                } else {
                    match self.known {
                        Known::Nothing => self.value(&mut Ignore)?,
                        Known::WellFormed => self.pass_over()?,
                    }
                    visitor.leaf(start, self.at)?;
                }
            } else {
                self.scalar(first)?;
                visitor.leaf(start, self.at)?;
            }
            self.values = self.values.wrapping_add(1);
            if self.values.is_multiple_of(Self::VALUES_A_LOOK) {
                self.limits.check_deadline()?;
            }
            if !self.onward(outside, visitor)? {
                return Ok(());
            }
        }
    }

    /// Goes to the end of the container that begins here.
    fn pass_over(&mut self) -> Result<(), Fault> {
        match skip::container_end(self.text.as_bytes(), self.at) {
            Some(end) => {
                self.at = end;
                Ok(())
            }
            None => Err(Fault::syntax(self.at, "what begins here does not end")),
        }
    }

    /// Steps into a container, to its first value. False if it has none, and then it is behind us already.
    #[inline]
    fn enter<V: Visitor>(&mut self, object: bool, visitor: &mut V) -> Result<bool, Fault> {
        self.open.push(object)?;
        self.at += 1;
        self.space();
        if self.peek() == if object { b'}' } else { b']' } {
            self.at += 1;
            self.open.pop();
            return Ok(false);
        }
        self.begin(visitor)?;
        Ok(true)
    }

    /// Steps from the end of a value to the next one, closing what ends on the way. False if nothing is open any more.
    #[inline]
    fn onward<V: Visitor>(&mut self, outside: u32, visitor: &mut V) -> Result<bool, Fault> {
        while self.open.depth > outside {
            self.space();
            match (self.peek(), self.open.in_object) {
                (b',', _) => {
                    self.at += 1;
                    self.space();
                    self.begin(visitor)?;
                    return Ok(true);
                }
                (b'}', true) | (b']', false) => {
                    self.at += 1;
                    self.open.pop();
                    visitor.close(self.at);
                }
                (_, true) => return Err(self.expected("expected `,` or `}`")),
                (_, false) => return Err(self.expected("expected `,` or `]`")),
            }
        }
        Ok(false)
    }

    /// Reads up to the first byte of the next value of the innermost container.
    #[inline]
    fn begin<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), Fault> {
        if !self.open.in_object {
            visitor.element(self.at);
            return Ok(());
        }
        let start = self.at;
        if self.peek() != b'"' {
            return Err(self.expected("expected a key in quotes"));
        }
        let escaped = self.string()?;
        visitor.key(self.text, start, self.at, escaped);
        self.space();
        if self.peek() != b':' {
            return Err(self.expected("expected `:`"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }
}

/// Which of the containers that are open are objects: one bit each, the outermost first.
struct Nesting {
    objects: [u64; Limits::MAX_DEPTH as usize / 64],
    depth: u32,
    max: u32,
    in_object: bool,
}

impl Nesting {
    fn new(max: u32) -> Self {
        Self { objects: [0; _], depth: 0, max: max.min(Limits::MAX_DEPTH), in_object: false }
    }

    #[inline]
    fn push(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth >= self.max {
            return Err(Fault::limit(format!("the payload nests deeper than {} levels", self.max)));
        }
        let (word, bit) = (self.depth as usize / 64, self.depth % 64);
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        self.in_object = object;
        Ok(())
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        if let Some(top) = self.depth.checked_sub(1) {
            self.in_object = self.objects[top as usize / 64] >> (top % 64) & 1 == 1;
        }
    }
}

#[cfg(test)]
mod tests;
