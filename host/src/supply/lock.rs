//! The lock file: which bytes each plugin has to be. `trackside plugin lock` writes it, everybody else keeps to it. It is
//! TOML with its entries in the order of their names, so that a change of it reads well in a review.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file;
use crate::names::PluginName;

/// The lock file's name in a configuration directory.
pub const LOCK_FILE: &str = "trackside.lock";

/// The version of the format.
const VERSION: u64 = 1;

/// Longest lock file, in bytes.
const MAX_LOCK_BYTES: usize = 4 << 20;

const HEADER: &str = "# Written by `trackside plugin lock`. Keep it with the configuration: where it is there, no other \
                      plugins are loaded.\n";

/// Why a lock file cannot be used. It then keeps every plugin from being loaded.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file is there and cannot be read.
    #[error("`{path}` cannot be read: {reason}", path = .0.display(), reason = .1)]
    Unreadable(PathBuf, #[source] io::Error),
    /// It was cut off or changed by hand.
    #[error("`{path}` is not a lock file, or not all of one: {reason}", path = .0.display(), reason = .1)]
    Malformed(PathBuf, String),
    /// Another version of the format.
    #[error("`{path}` has version {found} of the format, and this trackside knows {VERSION}", path = .0.display(), found = .1)]
    Version(PathBuf, u64),
    /// It cannot be written.
    #[error("`{path}` cannot be written: {reason}", path = .0.display(), reason = .1)]
    Unwritable(PathBuf, #[source] io::Error),
}

/// The lock file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock(BTreeMap<PluginName, Locked>);

/// What the lock file says of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Where the component comes from.
    pub origin: LockedOrigin,
    /// The component's SHA-256.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
}

/// Where a locked component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedOrigin {
    /// A file: its path from the configuration directory, or an absolute one outside of it.
    Path(String),
    /// A registry.
    Oci {
        /// The reference as the configuration has it.
        reference: String,
        /// The SHA-256 of the manifest that it led to.
        manifest: [u8; 32],
    },
}

/// The file as TOML.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    #[serde(default, rename = "plugin", skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oci: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    sha256: String,
    size: u64,
}

impl Lock {
    /// Reads the lock file of a configuration directory, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn read(directory: &Path) -> Result<Option<Self>, LockError> {
        let path = directory.join(LOCK_FILE);
        let bytes = match file::read(&path, MAX_LOCK_BYTES) {
            Ok(bytes) => bytes,
            // A link that leads nowhere was meant to be a lock file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => return Ok(None),
            Err(error) => return Err(LockError::Unreadable(path, error)),
        };
        let text = str::from_utf8(&bytes).map_err(|error| LockError::Malformed(path.clone(), error.to_string()))?;
        Self::parse(text, &path).map(Some)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        /// What the file has to say in any version.
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let malformed = |error: toml::de::Error| LockError::Malformed(path.to_owned(), error.message().to_owned());
        let Versioned { version } = toml::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(LockError::Version(path.to_owned(), version));
        }
        let document: Document = toml::from_str(text).map_err(malformed)?;
        let mut lock = Self::default();
        for entry in document.plugins {
            let name = entry.name.escape_debug().to_string();
            let wrong = |what: &str| LockError::Malformed(path.to_owned(), format!("plugin `{name}` {what}"));
            let (name, locked) = entry.read().map_err(wrong)?;
            if lock.0.insert(name, locked).is_some() {
                return Err(wrong("is in it twice"));
            }
        }
        Ok(lock)
    }

    /// Writes the lock file of a configuration directory, all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), LockError> {
        let path = directory.join(LOCK_FILE);
        // What a link leads to may be shared, or mounted; replacing the link would leave that as it was.
        let path = path.canonicalize().unwrap_or(path);
        let write = || {
            let folder = path.parent().unwrap_or(directory);
            let mut file = tempfile::Builder::new().prefix(".trackside.lock-").tempfile_in(folder)?;
            file.write_all(self.to_string().as_bytes())?;
            let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            file.as_file().set_permissions(readable)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error).map(drop)
        };
        write().map_err(|error| LockError::Unwritable(path.clone(), error))
    }

    /// What it says of a plugin.
    #[must_use]
    pub fn get(&self, name: &PluginName) -> Option<&Locked> {
        self.0.get(name)
    }

    /// Puts a plugin in, or something else in its place.
    pub fn insert(&mut self, name: PluginName, locked: Locked) {
        self.0.insert(name, locked);
    }

    /// The plugins, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&PluginName, &Locked)> {
        self.0.iter()
    }
}

impl Entry {
    /// Checks an entry; the error follows "plugin `NAME`".
    fn read(self) -> Result<(PluginName, Locked), &'static str> {
        let name = PluginName::new(&self.name).map_err(|_| "has a name that no plugin can have")?;
        let digest = |text: &str| {
            let mut digest = [0; 32];
            hex::decode_to_slice(text, &mut digest).map(|()| digest).map_err(|_| "has a digest that is none")
        };
        let origin = match (self.path, self.oci, self.manifest) {
            (Some(path), None, None) => LockedOrigin::Path(path),
            (None, Some(reference), Some(manifest)) => LockedOrigin::Oci { reference, manifest: digest(&manifest)? },
            _ => return Err("has neither a `path` nor `oci` with its `manifest`, or both"),
        };
        Ok((name, Locked { origin, sha256: digest(&self.sha256)?, size: self.size }))
    }
}

impl fmt::Display for LockedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "`{}`", path.escape_debug()),
            Self::Oci { reference, .. } => write!(f, "`{}`", reference.escape_debug()),
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |(name, locked): (&PluginName, &Locked)| {
            let (path, oci, manifest) = match &locked.origin {
                LockedOrigin::Path(path) => (Some(path.clone()), None, None),
                LockedOrigin::Oci { reference, manifest } => {
                    (None, Some(reference.clone()), Some(hex::encode(manifest)))
                }
            };
            Entry { name: name.to_string(), path, oci, manifest, sha256: hex::encode(locked.sha256), size: locked.size }
        };
        let document = Document { version: VERSION, plugins: self.0.iter().map(entry).collect() };
        write!(f, "{HEADER}{}", toml::to_string(&document).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let mut lock = Lock::default();
        let name = |name: &str| PluginName::new(name).expect("a name");
        let path = |path: &str| LockedOrigin::Path(path.to_owned());
        lock.insert(name("vip"), Locked { origin: path("plugins/vip.wasm"), sha256: [0xab; 32], size: 1234 });
        let reference = "registry.example/team/geo:1.0".to_owned();
        let oci = LockedOrigin::Oci { reference, manifest: [0xcd; 32] };
        lock.insert(name("geo"), Locked { origin: oci, sha256: [0xef; 32], size: 5 });
        lock.insert(name("odd"), Locked { origin: path("/a \"b\"\\\n/x.wasm"), sha256: [0; 32], size: 0 });
        lock
    }

    fn parse(text: &str) -> Result<Lock, String> {
        Lock::parse(text, Path::new("trackside.lock")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_written_is_read_again_in_an_order_that_does_not_change() {
        let text = lock().to_string();
        assert_eq!(parse(&text), Ok(lock()));
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
        assert_eq!(names, ["\"geo\"", "\"odd\"", "\"vip\""]);
        let start = format!(
            "{HEADER}version = 1\n\n[[plugin]]\nname = \"geo\"\noci = \"registry.example/team/geo:1.0\"\nmanifest = \"{}\"\n\
             sha256 = \"{}\"\nsize = 5\n",
            "cd".repeat(32),
            "ef".repeat(32)
        );
        assert!(text.starts_with(&start), "{text}");
        assert_eq!(parse(&Lock::default().to_string()), Ok(Lock::default()));
    }

    #[test]
    fn a_lock_that_was_cut_off_anywhere_never_says_more_than_it_did() {
        let (text, whole) = (lock().to_string(), lock());
        for end in 0..text.len() {
            // What is cut off between two entries is a lock file of the first ones; the others are then not in it.
            if let Ok(part) = parse(&text[..end]) {
                assert!(
                    part.iter().all(|(name, locked)| whole.get(name) == Some(locked) || is_cut_number(locked)),
                    "{end}"
                );
            }
        }
        for end in [0, 10, HEADER.len(), HEADER.len() + 5] {
            assert!(parse(&text[..end]).is_err(), "{end}");
        }
    }

    /// A size of which the last digits are missing is another size, which no component of that digest has.
    fn is_cut_number(locked: &Locked) -> bool {
        lock().iter().any(|(_, whole)| {
            whole.sha256 == locked.sha256 && whole.size.to_string().starts_with(&locked.size.to_string())
        })
    }

    #[test]
    fn what_is_no_lock_file_is_told_what_is_wrong_with_it() {
        let entry = |rest: &str| format!("version = 1\n[[plugin]]\nname = \"a\"\n{rest}");
        let (sha, path) = (format!("sha256 = \"{}\"\nsize = 1\n", "00".repeat(32)), "path = \"a\"\n");
        for (text, want) in [
            ("", "missing field `version`"),
            ("version = 2\nnew = true", "has version 2 of the format, and this trackside knows 1"),
            ("version = 1\nplugins = []", "unknown field `plugins`"),
            (
                "version = 1\n[[plugin]]\nname = \"a b\"\npath = \"\"\nsha256 = \"\"\nsize = 1",
                "a name that no plugin can have",
            ),
            (&entry(path), "missing field `sha256`"),
            (&entry(&format!("{path}sha256 = \"00\"\nsize = 1\n")), "plugin `a` has a digest that is none"),
            (&entry(&format!("{path}{}", sha.replace("= 1", "= -1"))), "invalid value"),
            (&entry(&sha), "has neither a `path` nor `oci` with its `manifest`, or both"),
            (&entry(&format!("oci = \"a\"\n{sha}")), "has neither"),
            (&entry(&format!("{path}oci = \"a\"\nmanifest = \"00\"\n{sha}")), "or both"),
            (
                &format!("{0}[[plugin]]\nname = \"a\"\n{path}{sha}", entry(&format!("{path}{sha}"))),
                "plugin `a` is in it twice",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(want), "{want}: {error}");
        }
    }

    #[test]
    fn a_lock_file_that_cannot_be_read_is_not_one_that_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Lock::read(folder.path()).expect("nothing is wrong"), None);
        let path = folder.path().join(LOCK_FILE);
        std::os::unix::fs::symlink("gone", &path).expect("is linked");
        assert!(matches!(Lock::read(folder.path()), Err(LockError::Unreadable(..))));
        std::fs::remove_file(&path).expect("is removed");
        std::fs::create_dir(&path).expect("is made");
        assert!(matches!(Lock::read(folder.path()), Err(LockError::Unreadable(..))));
        std::fs::remove_dir(&path).expect("is removed");
        std::fs::write(&path, vec![b' '; MAX_LOCK_BYTES + 1]).expect("is written");
        assert!(matches!(Lock::read(folder.path()), Err(LockError::Unreadable(..))));
        std::fs::write(&path, [0xff]).expect("is written");
        assert!(matches!(Lock::read(folder.path()), Err(LockError::Malformed(..))));
        lock().write(folder.path()).expect("is written");
        assert_eq!(Lock::read(folder.path()).expect("is read"), Some(lock()));
    }

    #[test]
    fn a_lock_file_behind_a_link_is_written_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let (elsewhere, here) = (folder.path().join("shared"), folder.path().join("config"));
        std::fs::create_dir_all(&elsewhere).and_then(|()| std::fs::create_dir_all(&here)).expect("are made");
        std::fs::write(elsewhere.join("lock"), "").expect("is written");
        std::os::unix::fs::symlink("../shared/lock", here.join(LOCK_FILE)).expect("is linked");
        lock().write(&here).expect("is written");
        assert!(here.join(LOCK_FILE).is_symlink());
        assert_eq!(std::fs::read_to_string(elsewhere.join("lock")).expect("there"), lock().to_string());
    }
}
