//! `hash` and `tokenise`: one text always becomes the same other text, and only the key's holder can tell which.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::REDACTED;

type HmacSha256 = Hmac<Sha256>;

/// HMAC-SHA-256 (RFC 2104) of the text's UTF-8, in hexadecimal: what any other program with the key computes too.
#[derive(Clone)]
pub(crate) struct Hash {
    /// Keyed once; cloning it is cheaper than keying it for each message.
    mac: HmacSha256,
    prefix: String,
    /// Hexadecimal digits kept, at most 64.
    length: usize,
}

impl Hash {
    pub(crate) fn new(key: &[u8], prefix: String, length: usize) -> Self {
        Self { mac: keyed(key), prefix, length }
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let digest = self.mac.clone().chain_update(text).finalize().into_bytes();
        let mut masked = hex::encode(digest);
        masked.truncate(self.length);
        masked.insert_str(0, &self.prefix);
        masked
    }
}

/// A pseudonym of the same shape: digits become digits and letters letters of the same case, by a key stream that
/// the whole text decides. Everything else stays.
#[derive(Clone)]
pub(crate) struct Tokenise {
    mac: HmacSha256,
    prefix: String,
}

/// Keeps the key stream apart from what [`Hash`] makes of the same text with the same key.
const TOKENISE: &[u8] = b"trackside/mask/tokenise/1\0";

impl Tokenise {
    pub(crate) fn new(key: &[u8], prefix: String) -> Self {
        Self { mac: keyed(key).chain_update(TOKENISE), prefix }
    }

    pub(crate) fn text(&self, text: &str) -> String {
        // Without a letter or digit everything would stay, and be seen.
        if !text.is_empty() && !text.chars().any(char::is_alphanumeric) {
            return REDACTED.to_owned();
        }
        let mut stream = KeyStream::new(self.mac.clone().chain_update(text));
        let mut masked = String::with_capacity(self.prefix.len() + text.len());
        masked.push_str(&self.prefix);
        masked.extend(text.chars().map(|c| match c {
            _ if c.is_numeric() => stream.pick(b'0', 10),
            _ if c.is_alphabetic() && c.is_uppercase() => stream.pick(b'A', 26),
            _ if c.is_alphabetic() => stream.pick(b'a', 26),
            _ => c,
        }));
        masked
    }
}

/// HMAC in counter mode: as many bytes as the text has characters to replace.
struct KeyStream {
    mac: HmacSha256,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl KeyStream {
    fn new(mac: HmacSha256) -> Self {
        Self { mac, counter: 0, block: [0; 32], used: 32 }
    }

    fn pick(&mut self, first: u8, choices: u8) -> char {
        if self.used == self.block.len() {
            // The counter is as long every time and stands last, so no two inputs run together.
            self.block = self.mac.clone().chain_update(self.counter.to_be_bytes()).finalize().into_bytes().into();
            self.counter += 1;
            self.used = 0;
        }
        // Two bytes a choice keep the bias of the remainder under a thousandth.
        let word = u16::from_be_bytes([self.block[self.used], self.block[self.used + 1]]);
        self.used += 2;
        let offset = u8::try_from(word % u16::from(choices)).expect("a remainder of a byte fits a byte");
        char::from(first + offset)
    }
}

fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hash").field("prefix", &self.prefix).field("length", &self.length).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tokenise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenise").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
