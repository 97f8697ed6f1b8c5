//! The characters of a path, one after another, and what all its parts share.

use crate::text;

/// What is wrong with a path, and before which byte.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) problem: String,
}

/// Where the parser is.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The greatest integer that I-JSON (RFC 7493) can carry exactly, and so the greatest index.
    const MAX_INTEGER: u64 = (1 << 53) - 1;

    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes back to where it was before.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Steps over `token` if it is here.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let here = self.rest().starts_with(token);
        if here {
            self.at += token.len();
        }
        here
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), Wrong> {
        if self.eat(token) { Ok(()) } else { Err(self.wrong(format!("expected `{token}`"))) }
    }

    /// Steps over white space.
    pub(super) fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Whether there is white space and then `token`; the white space is stepped over only if so.
    pub(super) fn eat_spaced(&mut self, token: &str) -> bool {
        let before = self.at;
        self.space();
        let here = self.eat(token);
        if !here {
            self.at = before;
        }
        here
    }

    /// Takes characters as long as they are `wanted`.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|character| !wanted(character)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    pub(super) fn wrong(&self, problem: impl Into<String>) -> Wrong {
        Wrong { at: self.at, problem: problem.into() }
    }

    /// A name without quotes, as it may follow a dot.
    pub(super) fn shorthand(&mut self) -> Option<&'a str> {
        let first = |character: char| character.is_ascii_alphabetic() || character == '_' || !character.is_ascii();
        self.peek().filter(|&character| first(character))?;
        Some(self.take_while(|character| first(character) || character.is_ascii_digit()))
    }

    /// An index, or a part of a slice.
    pub(super) fn integer(&mut self) -> Result<i64, Wrong> {
        let start = self.at;
        let negative = self.eat("-");
        let digits = self.take_while(|character| character.is_ascii_digit());
        let wrong = |problem: &str| Wrong { at: start, problem: problem.to_owned() };
        match digits.as_bytes() {
            [] => return Err(wrong("expected an integer")),
            [b'0'] if negative => return Err(wrong("expected an integer, and `-0` is none: write `0`")),
            [b'0', _, ..] => return Err(wrong("expected an integer without leading zeros")),
            _ => {}
        }
        let size = digits.parse().ok().filter(|&size: &u64| size <= Self::MAX_INTEGER);
        let size = size.and_then(|size| i64::try_from(size).ok());
        let size = size.ok_or_else(|| wrong("expected an integer between -(2^53)+1 and (2^53)-1"))?;
        Ok(if negative { -size } else { size })
    }

    /// A string in single or double quotes.
    pub(super) fn string(&mut self) -> Result<String, Wrong> {
        let quote = if self.eat("'") { '\'' } else { '"' };
        if quote == '"' {
            self.expect("\"")?;
        }
        let mut out = String::new();
        loop {
            match self.peek() {
                Some(character) if character == quote => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => out.push(self.escape(quote)?),
                Some(character) if character < ' ' => {
                    return Err(self.wrong("expected no control character in a string: escape it"));
                }
                Some(character) => {
                    out.push(character);
                    self.at += character.len_utf8();
                }
                None => return Err(self.wrong(format!("expected the end of the string, `{quote}`"))),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<char, Wrong> {
        let character = match self.rest().as_bytes().get(1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'/') => '/',
            Some(b'\\') => '\\',
            Some(&byte) if char::from(byte) == quote => quote,
            Some(b'u') => return self.unicode_escape(),
            _ => {
                return Err(
                    self.wrong(format!("expected one of the escapes \\b \\f \\n \\r \\t \\/ \\\\ \\{quote} \\u"))
                );
            }
        };
        self.at += 2;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, Wrong> {
        let mut unit = || {
            let unit = self.rest().as_bytes().get(..6).and_then(text::code_unit);
            unit.inspect(|_| self.at += 6)
        };
        let scalar = match unit() {
            Some(high @ 0xD800..=0xDBFF) => match unit() {
                Some(low @ 0xDC00..=0xDFFF) => char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)),
                _ => None,
            },
            Some(unit) => char::from_u32(unit),
            None => return Err(self.wrong("expected `\\u` and four hexadecimal digits")),
        };
        scalar.ok_or_else(|| self.wrong("lone surrogate escape"))
    }
}
