//! The keys that components are signed with: Ed25519 in PKCS #8 (RFC 8410), as `openssl genpkey -algorithm ed25519` makes
//! them too.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey};

use super::signature::{Signatures, message};
use crate::rules::{PublicKey, SecretError, SecretRef};

/// Longest file of a key, in bytes.
const MAX_KEY_BYTES: u64 = 4 << 10;

/// Why there is no key to sign with; never shows any part of one.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// The file cannot be read.
    #[error("the key {} cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, #[source] io::Error),
    /// Others can read the file, or write to it.
    #[error("the key {path} may be read or written by others (mode {mode:o}): run `chmod 600 {path}`, and think about \
             who may have read it", path = .0.display(), mode = .1)]
    Open(PathBuf, u32),
    /// It is something else.
    #[error("{0} is not a private key of Ed25519 in PEM, without a pass phrase: make one by `trackside plugin keygen`")]
    Malformed(String),
    /// The variable cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file cannot be written.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Unwritable(PathBuf, #[source] io::Error),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Randomness(String),
}

/// A key that signs. It is overwritten in memory when it is dropped, and shown by nothing but its file.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, SecretKeyError> {
        let mut seed = ed25519_dalek::SecretKey::default();
        getrandom::fill(&mut seed).map_err(|error| SecretKeyError::Randomness(error.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a key from where `--key` says: `env:NAME`, `file:PATH` or a path.
    ///
    /// # Errors
    /// When it is not there, is no key, or others may read its file.
    pub fn load(from: &str) -> Result<Self, SecretKeyError> {
        let path = match SecretRef::parse(from) {
            Ok(variable @ SecretRef::Env(_)) => {
                let text = variable.resolve(Path::new(""))?;
                return Self::parse(text.expose()).ok_or_else(|| SecretKeyError::Malformed(from.to_owned()));
            }
            Ok(SecretRef::File(path)) => path,
            Ok(SecretRef::Plain(_)) | Err(_) => PathBuf::from(from),
        };
        let unreadable = |error| SecretKeyError::Unreadable(path.clone(), error);
        let file = File::open(&path).map_err(unreadable)?;
        // Of the file that was opened, so that none can be put in its place after the question.
        let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretKeyError::Open(path, mode));
        }
        let mut text = String::new();
        file.take(MAX_KEY_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text).ok_or_else(|| SecretKeyError::Malformed(path.display().to_string()))
    }

    /// Writes the key to a new file that nobody else can read, and the public one beside it, with `.pub` at the end.
    ///
    /// # Errors
    /// When one of them is there already, or cannot be written.
    pub fn write(&self, path: &Path) -> Result<PathBuf, SecretKeyError> {
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(".pub");
        let public_path = PathBuf::from(public_path);
        let seed = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = seed.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other);
        write_new(&public_path, 0o644, self.public().to_pem().as_bytes())?;
        let pem = pem.map_err(|error| SecretKeyError::Unwritable(path.to_owned(), error))?;
        write_new(path, 0o600, pem.as_bytes()).inspect_err(|_| {
            // It is the public part of a key that is gone.
            let _ = std::fs::remove_file(&public_path);
        })?;
        Ok(public_path)
    }

    /// The public key, for `[trust.keys]`.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().into()
    }

    /// Signs the component with this digest.
    pub fn sign(&self, signatures: &mut Signatures, sha256: &[u8; 32]) {
        signatures.add(&self.public(), self.0.sign(&message(sha256)));
    }

    /// A PEM file, or the line of Base64 in it: variables of build systems often cannot hold more.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("-----BEGIN") {
            return SigningKey::from_pkcs8_pem(text).ok().map(Self);
        }
        SigningKey::from_pkcs8_der(&STANDARD.decode(text).ok()?).ok().map(Self)
    }

    #[cfg(test)]
    pub(super) fn signing(&self) -> &SigningKey {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}

/// Writes a file that was not there. The mode holds from its first moment on.
fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), SecretKeyError> {
    let unwritable = |error| SecretKeyError::Unwritable(path.to_owned(), error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(unwritable)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_that_was_written_is_read_again_and_no_file_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("release.key");
        let key = SecretKey::generate().expect("randomness");
        let public = key.write(&path).expect("is written");
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        let argument = path.to_str().expect("text");
        let again = SecretKey::load(argument).expect("is read");
        assert_eq!(again.public(), key.public());
        assert_eq!(SecretKey::load(&format!("file:{argument}")).expect("is read").public(), key.public());
        let text = std::fs::read_to_string(&public).expect("there");
        assert_eq!(PublicKey::parse(&text), Ok(key.public()));

        let before = std::fs::read(&path).expect("there");
        let other = SecretKey::generate().expect("randomness");
        assert!(matches!(other.write(&path), Err(SecretKeyError::Unwritable(at, _)) if at == public));
        std::fs::remove_file(&public).expect("is removed");
        assert!(matches!(other.write(&path), Err(SecretKeyError::Unwritable(at, _)) if at == path));
        assert_eq!(std::fs::read(&path).expect("there"), before);
        assert!(!public.exists(), "no public key without its private one is left");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("release.key");
        SecretKey::generate().expect("randomness").write(&path).expect("is written");
        for mode in [0o644, 0o640, 0o604, 0o620, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("is set");
            let error = SecretKey::load(path.to_str().expect("text")).expect_err("others may read it").to_string();
            let want = format!("may be read or written by others (mode {mode:o}): run `chmod 600 {}`", path.display());
            assert!(error.contains(&want), "{error}");
        }
    }

    #[test]
    fn keys_of_openssl_are_read_and_what_is_no_key_is_not_shown() {
        // `openssl genpkey -algorithm ed25519`, and its public part by `openssl pkey -pubout`.
        let line = "MC4CAQAwBQYDK2VwBCIEIBKhTG1Ge/UmE68zXWr+Koo8DWwvIigR7TlZHkc+tb7U";
        let public = "MCowBQYDK2VwAyEAQNZtS8pKFfyobiwIFIoBa9mZKoe5zaO7XZSutVxiEc0=";
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n");
        for text in [line, &pem] {
            assert_eq!(SecretKey::parse(text).expect("is read").public().to_string(), public);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        write_new(&path, 0o600, b"hunter2").expect("is written");
        let error = SecretKey::load(path.to_str().expect("text")).expect_err("is no key");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
