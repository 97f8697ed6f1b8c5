//! Detached signatures of components: Ed25519 (RFC 8032) over a context and the component's SHA-256, so that a signature
//! made for anything else is none of a component. `FILE.wasm.sig` has one line for each key that signed:
//!
//! ```text
//! trackside-signature-v1 KEY-ID SIGNATURE
//! ```
//!
//! The id of the key says which line is whose, for messages; it is not trusted. The same text is an annotation of what is
//! in a registry.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signature;

use crate::names::KeyName;
use crate::rules::{PublicKey, TrustedKey};

/// What a signature is of, in front of the digest.
const CONTEXT: &[u8] = b"trackside plugin component v1\0";

/// What a line begins with.
const TAG: &str = "trackside-signature-v1";

/// Most signatures of one component.
const MAX_SIGNATURES: usize = 16;

/// Longest text of signatures, in bytes.
pub(super) const MAX_SIGNATURES_BYTES: usize = 4 << 10;

/// Why a component does not count as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Some line is no signature. One that cannot be read may be the one that matters, so none is passed over.
    #[error("its signatures cannot be read: line {0} is none; sign it anew by `trackside plugin sign`")]
    Malformed(usize),
    /// Too much for signatures.
    #[error("its signatures have more than {MAX_SIGNATURES} lines or {MAX_SIGNATURES_BYTES} bytes")]
    Large,
    /// This key did not sign.
    #[error("it is not signed by `{name}` (key {id}), but by {by}")]
    OtherKey {
        /// What the configuration calls the key.
        name: KeyName,
        /// The key's id.
        id: String,
        /// The ids of the keys that did.
        by: String,
    },
    /// The signature is of something else.
    #[error("its signature by `{name}` (key {id}) is not one of this component, whose SHA-256 is {found}")]
    OtherContent {
        /// What the configuration calls the key.
        name: KeyName,
        /// The key's id.
        id: String,
        /// The component's digest, in hexadecimal.
        found: String,
    },
}

/// The signatures of one component, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signatures(Vec<(String, Signature)>);

impl Signatures {
    /// Reads the text of a file `.sig`.
    ///
    /// # Errors
    /// When any line of it is no signature.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let lines: Vec<&str> = text.lines().collect();
        if text.len() > MAX_SIGNATURES_BYTES || lines.len() > MAX_SIGNATURES {
            return Err(SignatureError::Large);
        }
        if lines.is_empty() {
            return Err(SignatureError::Malformed(1));
        }
        let signature = |(line, number): (&str, usize)| parse_line(line).ok_or(SignatureError::Malformed(number));
        lines.into_iter().zip(1..).map(signature).collect::<Result<_, _>>().map(Self)
    }

    /// Adds a signature, in place of an older one by the same key.
    pub fn add(&mut self, key: &PublicKey, signature: Signature) {
        self.0.retain(|(id, _)| *id != key.id());
        self.0.push((key.id(), signature));
    }

    /// Checks that this key signed the component with this digest.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self, by: &TrustedKey, sha256: &[u8; 32]) -> Result<(), SignatureError> {
        let TrustedKey { name, key } = by;
        let id = key.id();
        let Some((_, signature)) = self.0.iter().find(|(signer, _)| *signer == id) else {
            let by = self.0.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
            return Err(SignatureError::OtherKey { name: name.clone(), id, by });
        };
        // Strict: no second encoding of a signature, and no key of small order.
        key.verifying().verify_strict(&message(sha256), signature).map_err(|_| SignatureError::OtherContent {
            name: name.clone(),
            id,
            found: hex::encode(sha256),
        })
    }
}

/// What is signed.
pub(super) fn message(sha256: &[u8; 32]) -> Vec<u8> {
    [CONTEXT, sha256].concat()
}

fn parse_line(line: &str) -> Option<(String, Signature)> {
    let mut words = line.split(' ');
    let (TAG, id, signature, None) = (words.next()?, words.next()?, words.next()?, words.next()) else { return None };
    let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    let bytes = <[u8; Signature::BYTE_SIZE]>::try_from(STANDARD.decode(signature).ok()?).ok()?;
    is_id.then(|| (id.to_owned(), Signature::from_bytes(&bytes)))
}

impl fmt::Display for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(id, signature)| writeln!(f, "{TAG} {id} {}", STANDARD.encode(signature.to_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer;

    use super::*;
    use crate::supply::SecretKey;

    fn key() -> (SecretKey, TrustedKey) {
        let secret = SecretKey::generate().expect("randomness");
        let trusted = TrustedKey { name: KeyName::new("release").expect("a name"), key: secret.public() };
        (secret, trusted)
    }

    #[test]
    fn a_signature_counts_for_its_key_and_its_content_alone() {
        let ((one, one_public), (two, two_public)) = (key(), key());
        let mut signatures = Signatures::default();
        one.sign(&mut signatures, &[1; 32]);
        let signatures = Signatures::parse(&signatures.to_string()).expect("is read");
        assert_eq!(signatures.verify(&one_public, &[1; 32]), Ok(()));
        let other = signatures.verify(&one_public, &[2; 32]).expect_err("other content");
        assert!(matches!(other, SignatureError::OtherContent { .. }), "{other}");
        let other = signatures.verify(&two_public, &[1; 32]).expect_err("another key");
        assert!(other.to_string().ends_with(&format!("but by {}", one_public.key.id())), "{other}");

        let mut both = signatures.clone();
        two.sign(&mut both, &[1; 32]);
        assert_eq!((both.verify(&one_public, &[1; 32]), both.verify(&two_public, &[1; 32])), (Ok(()), Ok(())));
        one.sign(&mut both, &[3; 32]);
        assert_eq!((both.0.len(), both.verify(&one_public, &[3; 32])), (2, Ok(())));
    }

    #[test]
    fn a_line_that_says_another_key_than_the_one_that_signed_does_not_count() {
        let ((one, one_public), (_, two_public)) = (key(), key());
        let mut signatures = Signatures::default();
        one.sign(&mut signatures, &[1; 32]);
        let forged = signatures.to_string().replace(&one_public.key.id(), &two_public.key.id());
        let forged = Signatures::parse(&forged).expect("is read");
        let error = forged.verify(&two_public, &[1; 32]).expect_err("another key");
        assert!(matches!(error, SignatureError::OtherContent { .. }), "{error}");
    }

    #[test]
    fn a_signature_of_the_bare_digest_or_with_another_context_is_none() {
        let (one, trusted) = key();
        for message in [vec![1; 32], [b"trackside plugin component v2\0".as_slice(), &[1; 32]].concat()] {
            let mut signatures = Signatures::default();
            signatures.add(&trusted.key, one.signing().sign(&message));
            assert!(signatures.verify(&trusted, &[1; 32]).is_err());
        }
    }

    #[test]
    fn no_line_that_is_none_is_passed_over() {
        let (one, _) = key();
        let mut signatures = Signatures::default();
        one.sign(&mut signatures, &[1; 32]);
        let good = signatures.to_string();
        for (text, line) in [
            (String::new(), 1),
            ("\n".to_owned(), 1),
            (good[..good.len() - 10].to_owned(), 1),
            (format!("{good}\n"), 2),
            (format!("{good}# a comment\n"), 2),
            (format!("{} x\n", good.trim_end()), 1),
            (good.replace("-v1", "-v2"), 1),
        ] {
            assert_eq!(Signatures::parse(&text), Err(SignatureError::Malformed(line)), "{text}");
        }
        assert_eq!(Signatures::parse(&good.repeat(17)), Err(SignatureError::Large));
        assert_eq!(Signatures::parse(&"x".repeat(5000)), Err(SignatureError::Large));
    }
}
