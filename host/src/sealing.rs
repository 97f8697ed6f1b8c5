//! Encryption of dead letters at rest, by AES-256-GCM-SIV (RFC 8452). What is sealed are the original's headers and
//! payload, since both may hold secrets; the facts about the letter stay readable and are bound to what is sealed, so
//! that neither can be exchanged for another letter's.
//!
//! The payload of a sealed letter is `LENGTH HEADERS PAYLOAD`: the length of the sealed headers in four bytes, most
//! significant first, then headers and payload, each as `NONCE CIPHERTEXT TAG`. They are sealed apart, so that the
//! payload can be left out of a letter that is too large by who has no key at hand.

use std::fmt;
use std::path::Path;

use aes_gcm_siv::aead::{Aead, Generate, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::message::{Header, Headers};
use crate::rules::{SecretError, SecretRef};

/// The value of `Trackside-Dead-Encrypted`.
pub const ALGORITHM: &str = "aes-256-gcm-siv";

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce, by RFC 8452.
const NONCE_BYTES: usize = 12;
/// Bytes of the tag at the end of what is sealed, by RFC 8452.
const TAG_BYTES: usize = 16;
/// Bytes of the length at the beginning of a sealed letter.
const LENGTH_BYTES: usize = 4;

/// The key of a rule's dead letters.
pub struct LetterKey {
    cipher: Aes256GcmSiv,
    digest: [u8; 32],
}

/// Why there is no key; never shows any part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The secret is no key.
    #[error("`{0}` is not a key of 32 bytes in Base64 or hexadecimal: make one with `openssl rand -base64 32`")]
    Malformed(SecretRef),
}

/// Why a sealed letter cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not have the shape of a sealed letter.
    #[error("it is not what Trackside seals: its payload is cut off or was replaced")]
    Malformed,
    /// It does not decrypt.
    #[error("it does not decrypt: its headers or payload were changed after it was sealed")]
    Changed,
}

/// What is sealed in a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The original's headers, as they were.
    pub headers: Headers,
    /// The original's payload; `None` where it was left out.
    pub payload: Option<Bytes>,
}

impl LetterKey {
    /// Fetches a key. Relative paths begin at `directory`.
    ///
    /// # Errors
    /// When the secret is missing or no key.
    pub fn resolve(reference: &SecretRef, directory: &Path) -> Result<Self, KeyError> {
        let secret = reference.resolve(directory)?;
        let bytes = decode(secret.expose().trim()).ok_or_else(|| KeyError::Malformed(reference.clone()))?;
        Ok(Self { cipher: Aes256GcmSiv::new(&bytes.into()), digest: Sha256::digest(bytes).into() })
    }

    /// What letters name the key by: the first 8 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&self.digest[..4])
    }

    /// The key's SHA-256.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Seals the original's headers and payload, bound to the facts about the letter.
    #[must_use]
    pub fn seal(&self, facts: &Headers, headers: &Headers, payload: &[u8]) -> Bytes {
        let pairs: Vec<_> = headers.iter().map(|header| (header.name.as_ref(), header.value.as_str())).collect();
        let pairs = serde_json::to_vec(&pairs).expect("texts can be written as JSON");
        let headers = self.seal_part(&pairs, &associated(facts, "headers"));
        let payload = self.seal_part(payload, &associated(facts, "payload"));
        let length = u32::try_from(headers.len()).expect("the server takes no headers of that size");
        [length.to_be_bytes().as_slice(), &headers, &payload].concat().into()
    }

    /// Opens what was sealed. `facts` are the letter's headers.
    ///
    /// # Errors
    /// When it was sealed with another key, or anything about it was changed.
    pub fn open(&self, facts: &Headers, sealed: &Bytes) -> Result<Content, OpenError> {
        let (headers, payload) = split(sealed).ok_or(OpenError::Malformed)?;
        let pairs = self.open_part(&headers, &associated(facts, "headers"))?;
        let pairs: Vec<(String, String)> = serde_json::from_slice(&pairs).map_err(|_| OpenError::Malformed)?;
        let headers = pairs.into_iter().map(|(name, value)| Header { name: name.into(), value }).collect();
        let payload = match payload.as_ref() {
            [] => None,
            sealed => Some(self.open_part(sealed, &associated(facts, "payload"))?.into()),
        };
        Ok(Content { headers, payload })
    }

    fn seal_part(&self, plain: &[u8], aad: &[u8]) -> Vec<u8> {
        let nonce = Nonce::generate();
        let sealed = self.cipher.encrypt(&nonce, Payload { msg: plain, aad });
        let sealed = sealed.expect("a message of NATS is far below the 64 GiB that the cipher takes");
        [nonce.as_slice(), &sealed].concat()
    }

    fn open_part(&self, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(OpenError::Malformed)?;
        let nonce = Nonce::try_from(nonce).map_err(|_| OpenError::Malformed)?;
        self.cipher.decrypt(&nonce, Payload { msg: sealed, aad }).map_err(|_| OpenError::Changed)
    }
}

impl fmt::Debug for LetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LetterKey(***)")
    }
}

/// A sealed letter without its payload, and how many bytes that had before it was sealed.
#[must_use]
pub fn without_payload(sealed: &Bytes) -> (Bytes, usize) {
    let Some((headers, payload)) = split(sealed) else { return (sealed.clone(), 0) };
    (sealed.slice(..LENGTH_BYTES + headers.len()), payload.len().saturating_sub(NONCE_BYTES + TAG_BYTES))
}

/// The sealed headers and the sealed payload, which is empty where it was left out.
fn split(sealed: &Bytes) -> Option<(Bytes, Bytes)> {
    let (length, _) = sealed.split_at_checked(LENGTH_BYTES)?;
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    let end = LENGTH_BYTES.checked_add(length).filter(|end| *end <= sealed.len())?;
    Some((sealed.slice(LENGTH_BYTES..end), sealed.slice(end..)))
}

/// The facts that are bound to what is sealed, in an order that does not depend on how a client keeps headers. What a
/// letter gets after it was sealed is left out: that its payload was, and what the server adds.
fn associated(facts: &Headers, part: &str) -> Vec<u8> {
    let bound = |name: &str| {
        let begins = name.starts_with("trackside-dead-") && name != "trackside-dead-payload-omitted";
        begins || matches!(name, "trackside-rule" | "trackside-revision")
    };
    let facts = facts.iter().map(|fact| (fact.name.to_ascii_lowercase(), fact.value.trim()));
    let mut facts: Vec<_> = facts.filter(|(name, _)| bound(name)).collect();
    facts.sort_unstable();
    serde_json::to_vec(&("trackside dead letter", part, facts)).expect("texts can be written as JSON")
}

fn decode(text: &str) -> Option<[u8; KEY_BYTES]> {
    if text.len() == 2 * KEY_BYTES {
        return hex::decode(text).ok()?.try_into().ok();
    }
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn key(text: &str) -> Result<LetterKey, KeyError> {
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::write(directory.path().join("key"), text).expect("is written");
        LetterKey::resolve(&SecretRef::File("key".into()), directory.path())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> Headers {
        let mut headers = Headers::default();
        pairs.iter().for_each(|(name, value)| headers.push(*name, *value));
        headers
    }

    fn facts() -> Headers {
        headers(&[("Trackside-Rule", "orders"), ("Trackside-Dead-Id", "ORDERS:1:2"), ("Trackside-Dead-Tries", "5")])
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_or_hexadecimal_and_no_error_shows_what_was_there() {
        let hexadecimal = hex::encode(STANDARD.decode(KEY).expect("is Base64"));
        for text in [KEY, KEY.trim_end_matches('='), &hexadecimal, &hexadecimal.to_uppercase(), &format!(" {KEY}\n")] {
            assert_eq!(key(text).expect(text).id(), "630dcd29", "{text}");
        }
        for text in ["hunter2", "AAECAwQFBgcICQoLDA0ODw==", &hexadecimal[2..], &format!("{KEY}{KEY}")] {
            let error = key(text).expect_err(text).to_string();
            assert!(error.contains("`file:key` is not a key of 32 bytes") && !error.contains(text), "{error}");
        }
        assert_eq!(format!("{:?}", key(KEY)), "Ok(LetterKey(***))");
    }

    #[test]
    fn what_is_sealed_shows_nothing_and_is_opened_as_it_was() {
        let (key, original) = (key(KEY).expect("a key"), headers(&[("A", "secret"), ("Nats-Msg-Id", "x"), ("A", "")]));
        let sealed = key.seal(&facts(), &original, b"a secret payload");
        assert!(!String::from_utf8_lossy(&sealed).contains("secret"));
        assert_ne!(sealed, key.seal(&facts(), &original, b"a secret payload"), "the nonce is random");
        // As a client may give the facts back: in another order, and with more of the server's.
        let read = headers(&[
            ("Nats-Stream", "DEAD"),
            ("Trackside-Dead-Tries", "5"),
            ("trackside-dead-id", "ORDERS:1:2"),
            ("Trackside-Rule", "orders"),
        ]);
        let want = Content { headers: original, payload: Some(Bytes::from_static(b"a secret payload")) };
        assert_eq!(key.open(&read, &sealed), Ok(want));
    }

    #[test]
    fn a_letter_that_was_changed_anywhere_does_not_open() {
        let key = key(KEY).expect("a key");
        let sealed = key.seal(&facts(), &headers(&[("A", "1")]), b"payload");
        for position in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[position] ^= 1;
            assert!(key.open(&facts(), &changed.into()).is_err(), "byte {position}");
        }
        for length in 0..sealed.len() {
            let opened = key.open(&facts(), &sealed.slice(..length));
            let headers_only = without_payload(&sealed).0.len() == length;
            assert_eq!(opened.is_ok(), headers_only, "{length} bytes");
        }
        let mut other = facts();
        other.insert("Trackside-Dead-Id", "ORDERS:7:2");
        assert_eq!(key.open(&other, &sealed), Err(OpenError::Changed));
        assert_eq!(
            super::tests::key(&"00".repeat(32)).expect("a key").open(&facts(), &sealed),
            Err(OpenError::Changed)
        );
    }

    #[test]
    fn the_payload_is_left_out_without_a_key_and_the_headers_still_open() {
        let (key, original) = (key(KEY).expect("a key"), headers(&[("A", "1")]));
        let (short, bytes) = without_payload(&key.seal(&facts(), &original, b"payload"));
        assert_eq!(bytes, 7);
        let mut read = facts();
        read.push("Trackside-Dead-Payload-Omitted", "7 bytes");
        assert_eq!(key.open(&read, &short), Ok(Content { headers: original, payload: None }));
    }
}
