//! Strings, numbers, literals and white space.

use super::Scanner;
use crate::error::Fault;
use crate::text;

impl Scanner<'_, '_> {
    /// The byte here, or 0, which JSON has no use for, at the end.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// What to say of a byte that does not fit.
    #[cold]
    pub(super) fn expected(&self, what: &str) -> Fault {
        if self.at >= self.text.len() {
            return Fault::syntax(self.at, &format!("{what}, but the payload ends"));
        }
        Fault::syntax(self.at, what)
    }

    /// Skips white space.
    #[inline]
    pub(super) fn space(&mut self) {
        if self.peek() <= b' ' {
            self.spaces();
        }
    }

    fn spaces(&mut self) {
        let bytes = self.text.as_bytes();
        // Indented payloads have long runs of blanks.
        while bytes.get(self.at..).and_then(|rest| rest.first_chunk()) == Some(b"        ") {
            self.at += 8;
        }
        while let b' ' | b'\n' | b'\r' | b'\t' = self.peek() {
            self.at += 1;
        }
    }

    /// Reads the scalar that begins with `first`.
    #[inline]
    pub(super) fn scalar(&mut self, first: u8) -> Result<(), Fault> {
        match first {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.expected("expected a value")),
        }
    }

    /// Reads the string that begins here, and says whether it holds escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<bool, Fault> {
        let bytes = self.text.as_bytes();
        let mut at = text::plain_end(bytes, self.at + 1);
        let mut escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    at = text::plain_end(bytes, escape_end(bytes, at)?);
                }
                Some(_) => return Err(Fault::syntax(at, "expected no control character in a string: escape it")),
                None => return Err(Fault::syntax(at, "expected the end of a string, but the payload ends")),
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if let b'e' | b'E' = self.peek() {
            self.at += 1;
            if let b'+' | b'-' = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    #[inline]
    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_ascii_digit() {
            return Err(self.expected("expected a digit"));
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return Err(self.expected("expected a value"));
        }
        self.at += literal.len();
        Ok(())
    }
}

/// The end of the escape that begins at `at` with a backslash.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match code_unit(bytes, at)? {
            0xD800..=0xDBFF => match code_unit(bytes, at + 6) {
                Ok(0xDC00..=0xDFFF) => Ok(at + 12),
                _ => Err(Fault::syntax(at, "lone surrogate escape")),
            },
            0xDC00..=0xDFFF => Err(Fault::syntax(at, "lone surrogate escape")),
            _ => Ok(at + 6),
        },
        _ => Err(Fault::syntax(at, "expected an escape of JSON after `\\`")),
    }
}

/// The UTF-16 code unit of the escape `\uXXXX` at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    bytes
        .get(at..at + 6)
        .and_then(text::code_unit)
        .ok_or_else(|| Fault::syntax(at, "expected `\\u` and four hexadecimal digits"))
}
