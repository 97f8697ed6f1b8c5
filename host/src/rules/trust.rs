//! Public keys that plugins are signed with: Ed25519 (RFC 8032), written as the Base64 of a `SubjectPublicKeyInfo`
//! (RFC 8410). That is the one line between the lines `PUBLIC KEY` of a PEM file, as `trackside plugin keygen` and
//! `openssl pkey -pubout` write it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

/// What every `SubjectPublicKeyInfo` of Ed25519 begins with, by RFC 8410.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// A text that is no public key of Ed25519.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Something else.
    #[error(
        "not a public key of Ed25519: it is the line that `trackside plugin keygen` prints, or that is between the first \
         and the last line of its file `.pub`"
    )]
    Malformed,
    /// A private key, which belongs to whoever signs.
    #[error("this is a private key, which whoever has it can sign with: give the public one, of the file `.pub`")]
    Private,
    /// A key for which anybody can make signatures.
    #[error("this public key is one for which anybody can make signatures: make one by `trackside plugin keygen`")]
    Weak,
}

/// A public key of Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key from one line of Base64, or from a PEM file.
    ///
    /// # Errors
    /// When it is something else, or is a key that is worth nothing.
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        if text.contains("PRIVATE KEY") {
            return Err(PublicKeyError::Private);
        }
        let text = text.trim();
        let line = text.strip_prefix(PEM_BEGIN).and_then(|text| text.strip_suffix(PEM_END)).unwrap_or(text).trim();
        let der = STANDARD.decode(line).map_err(|_| PublicKeyError::Malformed)?;
        let bytes = der.strip_prefix(&SPKI_PREFIX).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = VerifyingKey::from_bytes(&bytes.ok_or(PublicKeyError::Malformed)?);
        let key = key.map_err(|_| PublicKeyError::Malformed)?;
        if key.is_weak() { Err(PublicKeyError::Weak) } else { Ok(Self(key)) }
    }

    /// The key as the crate has it.
    pub(crate) fn verifying(&self) -> &VerifyingKey {
        &self.0
    }

    /// The key as a PEM file.
    #[must_use]
    pub fn to_pem(&self) -> String {
        format!("{PEM_BEGIN}\n{self}\n{PEM_END}\n")
    }

    /// What signatures name the key by: the first 16 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.0.as_bytes())[..8])
    }
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode([SPKI_PREFIX.as_slice(), self.0.as_bytes()].concat()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl genpkey -algorithm ed25519 | openssl pkey -pubout`.
    const LINE: &str = "MCowBQYDK2VwAyEAQNZtS8pKFfyobiwIFIoBa9mZKoe5zaO7XZSutVxiEc0=";

    #[test]
    fn a_key_is_read_as_a_line_and_as_a_file_and_written_the_same() {
        let key = PublicKey::parse(LINE).expect("a key");
        assert_eq!(key.to_string(), LINE);
        assert_eq!(PublicKey::parse(&key.to_pem()), Ok(key.clone()));
        assert_eq!(key.id().len(), 16);
    }

    #[test]
    fn what_is_no_public_key_is_told_so() {
        let short = &LINE[..LINE.len() - 4];
        let raw = STANDARD.encode([1; 32]);
        for text in ["", "hunter2", short, &raw] {
            assert_eq!(PublicKey::parse(text), Err(PublicKeyError::Malformed), "{text}");
        }
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
        assert_eq!(PublicKey::parse(private), Err(PublicKeyError::Private));
        let neutral = [&SPKI_PREFIX[..], &[1], &[0; 31]].concat();
        assert_eq!(PublicKey::parse(&STANDARD.encode(neutral)), Err(PublicKeyError::Weak));
    }
}
