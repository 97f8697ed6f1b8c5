//! Keys, which nothing may print.

/// A key as the settings give it. Neither `Debug` nor an error shows it.
#[derive(Clone)]
pub(crate) struct Secret(String);

/// Why a key cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the key is empty")]
    Empty,
    #[error("the key must be 32 bytes, as 64 hexadecimal digits or as base64; `openssl rand -hex 32` makes one")]
    NotAes256,
}

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The key's text as bytes, for HMAC, which takes any length. White space around it is not part of it: files
    /// end in a line feed.
    pub(crate) fn bytes(&self) -> Result<&[u8], SecretError> {
        match self.0.trim() {
            "" => Err(SecretError::Empty),
            key => Ok(key.as_bytes()),
        }
    }

    /// The 32 bytes that the key spells in hexadecimal or base64, for AES-256.
    pub(crate) fn aes256(&self) -> Result<[u8; 32], SecretError> {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

        let text = self.0.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        let unpadded = text.trim_end_matches('=');
        let decoded = hex::decode(text)
            .or_else(|_| STANDARD_NO_PAD.decode(unpadded))
            .or_else(|_| URL_SAFE_NO_PAD.decode(unpadded))
            .map_err(|_| SecretError::NotAes256)?;
        decoded.try_into().map_err(|_| SecretError::NotAes256)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
