//! `encrypt` and `decrypt`: AES-256-GCM-SIV (RFC 8452).
//!
//! `enc:v1:<key id>:<base64url of the 12-byte nonce, the ciphertext and the 16-byte tag>`. What is encrypted is the
//! value as JSON text, so that its type comes back. The associated data is `trackside/mask/encrypt/1`, the key id
//! and the context (a field's path), with a zero byte between each two.

use std::collections::BTreeMap;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use trackside_plugin::Value;

use super::Unreadable;

const MARK: &str = "enc:v1:";
const DOMAIN: &[u8] = b"trackside/mask/encrypt/1";
const NONCE_LABEL: &[u8] = b"trackside/mask/nonce/1";
const NONCE_LEN: usize = 12;

/// The name of a key, carried by every value that it encrypted: 1 to 64 letters, digits, `.`, `_` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId(String);

impl KeyId {
    pub(crate) const MAX_LEN: usize = 64;

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        ((1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }
}

/// What a value is bound to: a path, without regard to how its names are quoted, so that `$.a['b']` opens what
/// `$.a.b` sealed. A path that does more than name members and elements counts as it is spelt.
pub(crate) fn context(path: &str) -> String {
    canonical(path).unwrap_or_else(|| path.to_owned())
}

fn canonical(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix('$')?;
    let mut names = String::from("$");
    while !rest.is_empty() {
        let name;
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            (name, rest) = after.split_at(end);
        } else {
            let inner = rest.strip_prefix('[')?;
            let end = inner.find(']')?;
            let (quoted, after) = inner.split_at(end);
            rest = &after[1..];
            if quoted.bytes().all(|byte| byte.is_ascii_digit()) && !quoted.is_empty() {
                names.push_str(&format!("[{quoted}]"));
                continue;
            }
            let mark = quoted.chars().next().filter(|mark| matches!(mark, '\'' | '"'))?;
            name = quoted.strip_prefix(mark)?.strip_suffix(mark)?;
        }
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        names.push('.');
        names.push_str(name);
    }
    Some(names)
}

/// Encrypts.
pub(crate) struct Sealer {
    cipher: Aes256GcmSiv,
    /// There is no randomness here, so the nonce is a keyed digest of what is encrypted. That gives away whether two
    /// values at one path are equal, and nothing else; GCM-SIV would bear even a fixed nonce.
    nonces: Hmac<Sha256>,
    id: KeyId,
    associated: Vec<u8>,
}

impl Sealer {
    pub(crate) fn new(key: &[u8; 32], id: KeyId, context: &str) -> Self {
        let nonce_key = mac(key).chain_update(NONCE_LABEL).finalize().into_bytes();
        Self {
            cipher: Aes256GcmSiv::new(key.into()),
            nonces: mac(&nonce_key),
            associated: associated(&id, context),
            id,
        }
    }

    pub(crate) fn seal(&self, value: &Value) -> Result<String, Unreadable> {
        let plain = to_json(value);
        let length = (self.associated.len() as u64).to_be_bytes();
        let digest = self.nonces.clone().chain_update(length).chain_update(&self.associated).chain_update(&plain);
        let digest = digest.finalize().into_bytes();
        let nonce = Nonce::try_from(&digest[..NONCE_LEN]).expect("the digest is longer than a nonce");
        let payload = Payload { msg: plain.as_bytes(), aad: &self.associated };
        let sealed = self.cipher.encrypt(&nonce, payload).map_err(|_| Unreadable("is too long to encrypt".into()))?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(format!("{MARK}{}:{}", self.id.0, URL_SAFE_NO_PAD.encode(bytes)))
    }
}

/// Decrypts, with whichever key the value names.
pub(crate) struct Opener {
    keys: BTreeMap<KeyId, (Aes256GcmSiv, Vec<u8>)>,
}

impl Opener {
    pub(crate) fn new(keys: impl IntoIterator<Item = (KeyId, [u8; 32])>, context: &str) -> Self {
        let opener = |(id, key): (KeyId, [u8; 32])| {
            let associated = associated(&id, context);
            (id, (Aes256GcmSiv::new(&key.into()), associated))
        };
        Self { keys: keys.into_iter().map(opener).collect() }
    }

    pub(crate) fn open(&self, text: &str) -> Result<Value, Unreadable> {
        let refuse = |why: &str| Unreadable(why.to_owned());
        let foreign = || refuse("is not a string that `encrypt` made");
        let (id, sealed) = text.strip_prefix(MARK).and_then(|rest| rest.split_once(':')).ok_or_else(foreign)?;
        let id = KeyId::parse(id).ok_or_else(foreign)?;
        // The id is the sender's text until a key of ours bears it, so the message does not repeat it.
        let (cipher, aad) =
            self.keys.get(&id).ok_or_else(|| refuse("is encrypted with a key that is not in `keys`"))?;
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| foreign())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or_else(foreign)?;
        let nonce = Nonce::try_from(nonce).expect("it was split off at that length");
        let plain = cipher
            .decrypt(&nonce, Payload { msg: sealed, aad })
            .map_err(|_| refuse("does not decrypt: another key or another path encrypted it, or it was changed"))?;
        from_json(plain).ok_or_else(foreign)
    }
}

fn associated(id: &KeyId, context: &str) -> Vec<u8> {
    [DOMAIN, id.0.as_bytes(), context.as_bytes()].join(&0)
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn to_json(value: &Value) -> String {
    match value {
        Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        other => other.spelling().into_owned(),
    }
}

/// Reads what [`to_json`] wrote; it is ours, because the tag was right.
fn from_json(bytes: Vec<u8>) -> Option<Value> {
    let text = String::from_utf8(bytes).ok()?;
    Some(match text.as_bytes().first()? {
        b'n' => Value::Null,
        b't' => Value::Boolean(true),
        b'f' => Value::Boolean(false),
        b'"' => Value::Text(serde_json::from_str(&text).ok()?),
        b'{' | b'[' => Value::Json(text),
        _ => Value::Number(text),
    })
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("keys", &self.keys.keys()).finish()
    }
}
