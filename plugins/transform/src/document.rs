//! A JSON document that can be changed in places while everything else keeps its spelling.
//!
//! Numbers and strings keep theirs, members their order and their repeats; white space between tokens is not kept.
//!
//! Objects and arrays that no operation goes into are not taken apart: they stay the piece of the payload that they
//! are, so that a message costs what is changed of it and one look at the rest.

use std::borrow::Cow;

/// A value. What it has not been given by an operation is borrowed from the payload.
#[derive(Clone, Debug)]
pub(crate) enum Node<'j> {
    Null,
    Boolean(bool),
    /// As it is spelt.
    Number(Cow<'j, str>),
    Text(Text<'j>),
    /// An array or an object that nobody has looked into; see [`Node::open`].
    Closed(Closed<'j>),
    Array(Vec<Node<'j>>),
    Object(Vec<Member<'j>>),
}

/// A member of an object. A key may repeat.
#[derive(Clone, Debug)]
pub(crate) struct Member<'j> {
    pub(crate) key: Text<'j>,
    pub(crate) value: Node<'j>,
}

/// A string, as it is spelt between its quotes.
#[derive(Clone, Debug)]
pub(crate) struct Text<'j> {
    spelling: Cow<'j, str>,
    escaped: bool,
}

/// An array or an object, from its bracket to its bracket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed<'j> {
    spelling: &'j str,
    /// Whether there is white space between its tokens.
    spaced: bool,
}

impl Text<'_> {
    pub(crate) fn new(text: &str) -> Self {
        let quoted = serde_json::Value::from(text).to_string();
        let spelling = quoted[1..quoted.len() - 1].to_owned();
        Self { escaped: spelling.contains('\\'), spelling: Cow::Owned(spelling) }
    }

    pub(crate) fn plain(&self) -> Cow<'_, str> {
        if !self.escaped {
            return Cow::Borrowed(&self.spelling);
        }
        let plain = serde_json::from_str(&format!("\"{}\"", self.spelling));
        Cow::Owned(plain.expect("it was cut from a well-formed document, or escaped by `new`"))
    }

    /// Whether it is this text.
    pub(crate) fn is(&self, text: &str) -> bool {
        if self.escaped { self.plain() == text } else { self.spelling == text }
    }

    fn print_to(&self, out: &mut String) {
        out.push('"');
        out.push_str(&self.spelling);
        out.push('"');
    }
}

impl<'j> Node<'j> {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Text::new(text))
    }

    /// Reads a JSON text. `None` if what is read of it is not well-formed, which the host has ruled out for a payload.
    pub(crate) fn parse(json: &'j str) -> Option<Self> {
        let mut parser = Parser { json, at: 0, deep: false };
        parser.white_space();
        let node = parser.value()?;
        parser.white_space();
        (parser.at == json.len()).then_some(node)
    }

    /// Takes it apart if that has not been done, so that it is never [`Closed`](Self::Closed). What is in it may be.
    pub(crate) fn open(&mut self) -> &mut Self {
        if let Self::Closed(closed) = self {
            *self = closed.open(false);
        }
        self
    }

    /// The same with all that is in it, for whoever goes on to the bottom: level by level, what lies deep would be gone
    /// over once for each level.
    pub(crate) fn open_deep(&mut self) -> &mut Self {
        if let Self::Closed(closed) = self {
            *self = closed.open(true);
        }
        self
    }

    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    pub(crate) fn print_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(spelling) => out.push_str(spelling),
            Self::Text(text) => text.print_to(out),
            Self::Closed(closed) => closed.print_to(out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.print_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    member.key.print_to(out);
                    out.push(':');
                    member.value.print_to(out);
                }
                out.push('}');
            }
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Its type by the name that JSON Schema gives it, for messages that must not show the value.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Closed(closed) if closed.spelling.starts_with('[') => "array",
            Self::Array(_) => "array",
            Self::Closed(_) | Self::Object(_) => "object",
        }
    }

    /// What a text that it is put into shows of it: a string as it is, everything else as JSON.
    pub(crate) fn spelling(&self) -> Cow<'_, str> {
        match self {
            Self::Number(spelling) => Cow::Borrowed(spelling),
            Self::Text(text) => text.plain(),
            other => Cow::Owned(other.print()),
        }
    }

    /// The member of this key; the last one, as most readers of JSON have it, if the key repeats.
    pub(crate) fn member(&mut self, key: &str) -> Option<&mut Self> {
        match self.open() {
            Self::Object(members) => {
                members.iter_mut().rev().find(|member| member.key.is(key)).map(|member| &mut member.value)
            }
            _ => None,
        }
    }
}

impl<'j> Closed<'j> {
    fn open(self, deep: bool) -> Node<'j> {
        let mut parser = Parser { json: self.spelling, at: 0, deep };
        let opened = if self.spelling.starts_with('[') { parser.array() } else { parser.object() };
        opened.expect("it was cut from a well-formed document")
    }

    fn print_to(self, out: &mut String) {
        if !self.spaced {
            out.push_str(self.spelling);
            return;
        }
        let bytes = self.spelling.as_bytes();
        let (mut from, mut at) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = string_end(bytes, at + 1).map_or(bytes.len(), |(end, _)| end + 1),
                b' ' | b'\t' | b'\n' | b'\r' => {
                    out.push_str(&self.spelling[from..at]);
                    at += 1;
                    from = at;
                }
                _ => at += 1,
            }
        }
        out.push_str(&self.spelling[from..]);
    }
}

/// Puts a member where the last one of its key is, and removes the others, or at the end.
pub(crate) fn put<'m, 'j>(members: &'m mut Vec<Member<'j>>, key: &str, value: Node<'j>) -> &'m mut Node<'j> {
    let place = members.iter().rposition(|member| member.key.is(key));
    let place = match place {
        Some(last) => {
            members[last].value = value;
            let mut index = 0;
            let mut before = 0;
            members.retain(|member| {
                let keep = index >= last || !member.key.is(key);
                before += usize::from(keep && index < last);
                index += 1;
                keep
            });
            before
        }
        None => {
            members.push(Member { key: Text::new(key), value });
            members.len() - 1
        }
    };
    &mut members[place].value
}

/// Reads what the host has found to be well-formed. As deep as a payload may be, if all of it is taken apart.
struct Parser<'j> {
    json: &'j str,
    at: usize,
    /// Whether what is in the value is taken apart, too.
    deep: bool,
}

impl<'j> Parser<'j> {
    /// Begins at the value's first byte.
    fn value(&mut self) -> Option<Node<'j>> {
        Some(match self.peek()? {
            b'{' if self.deep => self.object()?,
            b'[' if self.deep => self.array()?,
            b'{' | b'[' => Node::Closed(self.closed()?),
            b'"' => Node::Text(self.string()?),
            b'n' => self.word("null", Node::Null)?,
            b't' => self.word("true", Node::Boolean(true))?,
            b'f' => self.word("false", Node::Boolean(false))?,
            _ => self.number()?,
        })
    }

    /// Goes over an array or object without taking it apart.
    fn closed(&mut self) -> Option<Closed<'j>> {
        let bytes = self.json.as_bytes();
        let (start, mut at) = (self.at, self.at);
        let (mut depth, mut spaced) = (0_usize, false);
        loop {
            let byte = *bytes.get(at)?;
            at += 1;
            match byte {
                b'"' => at = string_end(bytes, at)?.0 + 1,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b' ' | b'\t' | b'\n' | b'\r' => spaced = true,
                _ => {}
            }
        }
        self.at = at;
        Some(Closed { spelling: self.json.get(start..at)?, spaced })
    }

    fn object(&mut self) -> Option<Node<'j>> {
        let mut members = Vec::new();
        self.at += 1;
        self.white_space();
        while self.peek()? != b'}' {
            if !members.is_empty() {
                self.expect(b',')?;
                self.white_space();
            }
            let key = self.string()?;
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            members.push(Member { key, value: self.value()? });
            self.white_space();
        }
        self.at += 1;
        Some(Node::Object(members))
    }

    fn array(&mut self) -> Option<Node<'j>> {
        let mut items = Vec::new();
        self.at += 1;
        self.white_space();
        while self.peek()? != b']' {
            if !items.is_empty() {
                self.expect(b',')?;
                self.white_space();
            }
            items.push(self.value()?);
            self.white_space();
        }
        self.at += 1;
        Some(Node::Array(items))
    }

    fn string(&mut self) -> Option<Text<'j>> {
        self.expect(b'"')?;
        let start = self.at;
        let (end, escaped) = string_end(self.json.as_bytes(), start)?;
        self.at = end + 1;
        Some(Text { spelling: Cow::Borrowed(self.json.get(start..end)?), escaped })
    }

    fn number(&mut self) -> Option<Node<'j>> {
        let rest = &self.json.as_bytes()[self.at..];
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(is_part).count();
        let spelling = self.json.get(self.at..self.at + length).filter(|spelling| !spelling.is_empty())?;
        self.at += length;
        Some(Node::Number(Cow::Borrowed(spelling)))
    }

    fn word(&mut self, word: &str, node: Node<'j>) -> Option<Node<'j>> {
        self.json[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        Some(node)
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then_some(())?;
        self.at += 1;
        Some(())
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

/// Where the quote is that ends the string whose first character is at `at`, and whether there are escapes before it.
#[inline]
fn string_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let mut escaped = false;
    loop {
        // Eight bytes at a time, while none of them is a quote or a backslash.
        while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*word);
            // A byte's top bit is set where the byte is zero; perhaps in bytes after that one as well.
            let zeros = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
            let ends = zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c));
            if ends != 0 {
                at += ends.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match bytes.get(at)? {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests;
