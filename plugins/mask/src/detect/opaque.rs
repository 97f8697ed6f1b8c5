//! UUIDs and digests: hexadecimal that carries meaning as a whole, in which runs of digits are chance.

use std::ops::Range;

/// Lengths of MD5, SHA-1, SHA-224, SHA-256, SHA-384 and SHA-512 in hexadecimal.
const DIGEST_LENGTHS: [usize; 6] = [32, 40, 56, 64, 96, 128];
const UUID_LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];

/// The ranges of all UUIDs and digests in a text. Each has a letter in it: only digits may be anything.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    // Of the words seen last, joined by one hyphen each: the ranges that could become a UUID.
    let mut joined: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_alphanumeric).map(|skip| at + skip) {
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let word = start..start + length;
        at = word.end;
        if joined.last().is_some_and(|last| &bytes[last.end..start] != b"-") {
            joined.clear();
        }
        if DIGEST_LENGTHS.contains(&length) && is_opaque(&bytes[word.clone()]) {
            spans.push(word.clone());
        }
        joined.push(word);
        if joined.len() > UUID_LENGTHS.len() {
            joined.remove(0);
        }
        if joined.iter().map(Range::len).eq(UUID_LENGTHS) {
            let uuid = joined[0].start..at;
            if is_opaque(&bytes[uuid.clone()]) {
                spans.push(uuid);
            }
        }
    }
    spans
}

fn is_opaque(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-') && bytes.iter().any(u8::is_ascii_alphabetic)
}
