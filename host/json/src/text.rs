//! JSON strings: where they end, what they say, and how text is written as one.

use std::borrow::Cow;

/// The offset of the first byte from `at` on that is a quote, a backslash or a control character, or the end.
#[inline]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// Sets the high bit of each byte of `word` that is a quote, a backslash or a control character.
///
/// Above the lowest such byte others may be set by a borrow, so only the lowest counts.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    (quote | backslash | control) & HIGHS
}

/// The UTF-16 code unit that `\uXXXX` stands for, or nothing if `escape` is not of that form.
pub(crate) fn code_unit(escape: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = escape else { return None };
    let [_, _, _, _] = digits else { return None };
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// What the inside of a well-formed JSON string says.
pub(crate) fn unescape(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut text = String::with_capacity(inside.len());
    unescape_into(inside, &mut text);
    Cow::Owned(text)
}

/// Appends what the inside of a well-formed JSON string says.
///
/// What is not well-formed is taken as the replacement character, so that no input makes this panic.
pub(crate) fn unescape_into(inside: &str, text: &mut String) {
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (character, length) = escaped(&rest[at..]);
        text.push(character);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.push_str(rest);
}

/// What the escape at the start of `rest` stands for, and its length in bytes.
fn escaped(rest: &str) -> (char, usize) {
    let bytes = rest.as_bytes();
    let simple = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = |at: usize| bytes.get(at..at + 6).and_then(code_unit);
            return match (unit(0), unit(6)) {
                (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                    let scalar = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                (unit, _) => (unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            };
        }
        Some(&plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (simple, 2)
}

/// Appends `text` as a JSON string, escaping only what RFC 8259 says must be.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    out.push(b'"');
    loop {
        let at = plain_end(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(&byte) = bytes.get(at) else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        from = at + 1;
    }
    out.push(b'"');
}
