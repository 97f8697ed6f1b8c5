//! Finds and masks inside a JSON text, and keeps every byte that is not part of a find.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use crate::detect::{self, Entry};
use crate::settings::Keys;

/// Why a JSON text must not go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("an object's key holds what `detect` looks for, and `keys` is \"reject\"")]
    KeyFound,
    #[error(
        "two keys of one object would be masked alike: use the action `hash` or `tokenise`, or `keys = \"reject\"`"
    )]
    KeysCollide,
}

/// Texts that this stage itself put into the message: a pseudonym may happen to look like what it stands for.
pub(crate) type Made = BTreeSet<String>;

/// The JSON text with every find in its strings, numbers and keys masked; nothing if there is none.
///
/// The text must be well-formed, as it is when the host selected it.
pub(crate) fn mask_json(
    entries: &[Rc<Entry>],
    keys: Keys,
    made: &Made,
    json: &str,
) -> Result<Option<String>, ScanError> {
    let mut scan = Scan { entries, keys, made, json, out: String::new(), copied: 0, open: Vec::new() };
    scan.run()?;
    if scan.copied == 0 {
        return Ok(None);
    }
    scan.out.push_str(&json[scan.copied..]);
    Ok(Some(scan.out))
}

struct Scan<'a> {
    entries: &'a [Rc<Entry>],
    keys: Keys,
    made: &'a Made,
    json: &'a str,
    out: String,
    /// How much of `json` is in `out`, masked or not.
    copied: usize,
    /// The masked keys of each object and array that is open here. As deep as the host lets a payload be.
    open: Vec<BTreeSet<String>>,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), ScanError> {
        let bytes = self.json.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let end = string_end(bytes, at);
                    self.string(at + 1..end - 1, is_key(bytes, end))?;
                    at = end;
                }
                b'-' | b'0'..=b'9' => {
                    let end = at + bytes[at..].iter().take_while(|byte| is_number(**byte)).count();
                    self.number(at..end);
                    at = end;
                }
                b'{' | b'[' => {
                    self.open.push(BTreeSet::new());
                    at += 1;
                }
                b'}' | b']' => {
                    self.open.pop();
                    at += 1;
                }
                _ => at += 1,
            }
        }
        Ok(())
    }

    /// Masks what is between two quotes.
    fn string(&mut self, inner: Range<usize>, is_key: bool) -> Result<(), ScanError> {
        if is_key && self.keys == Keys::Allow {
            return Ok(());
        }
        let raw = Raw::decode(&self.json[inner.clone()]);
        let edits = detect::edits(self.entries, &raw.text);
        if edits.is_empty() || self.made.contains(raw.text.as_ref()) {
            return Ok(());
        }
        if is_key {
            self.check_key(&raw.text)?;
        }
        for edit in edits {
            let range = inner.start + raw.offset(edit.range.start)..inner.start + raw.offset(edit.range.end);
            let quoted = serde_json::Value::from(edit.with).to_string();
            self.splice(range, &quoted[1..quoted.len() - 1]);
        }
        Ok(())
    }

    fn check_key(&mut self, key: &str) -> Result<(), ScanError> {
        if self.keys == Keys::Reject {
            return Err(ScanError::KeyFound);
        }
        let masked = detect::mask_text(self.entries, key).into_owned();
        let is_new = self.open.last_mut().is_none_or(|keys| keys.insert(masked));
        if is_new { Ok(()) } else { Err(ScanError::KeysCollide) }
    }

    fn number(&mut self, range: Range<usize>) {
        if let Some(masked) = detect::mask_number(self.entries, &self.json[range.clone()]) {
            self.splice(range, &serde_json::Value::from(masked).to_string());
        }
    }

    fn splice(&mut self, range: Range<usize>, with: &str) {
        self.out.push_str(&self.json[self.copied..range.start]);
        self.out.push_str(with);
        self.copied = range.end;
    }
}

/// What is between a string's quotes, decoded, and where in it each decoded character came from.
struct Raw<'a> {
    text: Cow<'a, str>,
    /// For each end of an escape: where it is in `text`, and where in the raw string. In between the two run alike.
    marks: Vec<(usize, usize)>,
}

impl<'a> Raw<'a> {
    fn decode(raw: &'a str) -> Self {
        let Some(first) = raw.find('\\') else { return Self { text: Cow::Borrowed(raw), marks: Vec::new() } };
        let mut text = String::with_capacity(raw.len());
        let mut marks = Vec::new();
        let (mut copied, mut next) = (0, Some(first));
        while let Some(at) = next {
            text.push_str(&raw[copied..at]);
            let (c, length) = unescape(&raw[at..]);
            text.push(c);
            copied = at + length;
            marks.push((text.len(), copied));
            next = raw[copied..].find('\\').map(|skip| copied + skip);
        }
        text.push_str(&raw[copied..]);
        Self { text: Cow::Owned(text), marks }
    }

    /// Where in the raw string the decoded text's byte is; it must be between two characters.
    fn offset(&self, decoded: usize) -> usize {
        let after = self.marks.partition_point(|(text, _)| *text <= decoded);
        let (text, raw) = after.checked_sub(1).map_or((0, 0), |index| self.marks[index]);
        raw + (decoded - text)
    }
}

/// The character that an escape stands for, and the escape's length. A surrogate without its partner stands for none
/// and counts as U+FFFD.
fn unescape(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(text),
        Some(c) if c.is_ascii() => char::from(*c),
        _ => return ('\\', 1),
    };
    (simple, 2)
}

fn unescape_unicode(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    let Some(first) = unit(0) else { return ('u', 2) };
    let pair = [first, unit(6).unwrap_or(0)];
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) => (c, if c.len_utf16() == 2 { 12 } else { 6 }),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The end of the string that begins at a quote, past the closing one.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    unreachable!("a string of a well-formed JSON text has an end")
}

/// Whether a string that ends here is an object's key.
fn is_key(bytes: &[u8], end: usize) -> bool {
    bytes[end..].iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b':')
}

fn is_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

#[cfg(test)]
mod tests;
