//! Why the component of a plugin is not loaded.

use std::io;
use std::path::PathBuf;

use super::lock::LockedOrigin;
use super::{LOCK_FILE, OciError, SignatureError};
use crate::names::KeyName;
use crate::rules::OciReference;

/// Why the component of a plugin is not loaded. The texts speak of the plugin as "it": the caller says which plugin.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// Its file cannot be read.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    /// It cannot be had from its registry.
    #[error("{0}: {1}")]
    Oci(OciReference, #[source] Box<OciError>),
    /// It is named by a tag, and nothing says what that stood for.
    #[error("`{0}` is a tag, which may lead to something else tomorrow, and no {LOCK_FILE} pins it")]
    Tag(OciReference),
    /// It is not in the lock file.
    #[error("it is not in {LOCK_FILE}, which has no digest to expect; found {0}")]
    NotLocked(String),
    /// The lock file has it from somewhere else.
    #[error("{LOCK_FILE} has it from {0}, and the configuration from {1}")]
    LockedElsewhere(LockedOrigin, LockedOrigin),
    /// The reference has another digest than the lock file.
    #[error("{LOCK_FILE} expects the manifest sha256:{0}, and the configuration says sha256:{1}")]
    LockedManifest(String, String),
    /// It has other bytes than the lock file says.
    #[error(
        "{LOCK_FILE} expects the SHA-256 {expected} ({expected_bytes} bytes), and found is {found} ({found_bytes} bytes)"
    )]
    Differs {
        /// What the lock file says, in hexadecimal.
        expected: String,
        /// What the lock file says.
        expected_bytes: u64,
        /// What was found, in hexadecimal.
        found: String,
        /// What was found.
        found_bytes: u64,
    },
    /// The pin does not fit.
    #[error(
        "its SHA-256 is {found}, but `sha256` says {pinned}: either the component was replaced or the pin is out of date"
    )]
    Pin {
        /// The pin, in hexadecimal.
        pinned: String,
        /// What was found, in hexadecimal.
        found: String,
    },
    /// It has no signatures at all.
    #[error("it has to be signed by `{by}`, and has no signature: {place}")]
    Unsigned {
        /// The first of the keys that it has to be signed by.
        by: KeyName,
        /// Where it was looked for.
        place: String,
    },
    /// Its signatures are not those that it needs.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl SupplyError {
    /// What to do about it. `directory` is the configuration directory, as commands take it.
    #[must_use]
    pub fn help(&self, directory: &str) -> Option<String> {
        let lock = format!("`trackside plugin lock {directory}`");
        match self {
            Self::File(..) => Some("`path` is taken from the configuration directory".to_owned()),
            Self::Tag(_) => Some(format!("run {lock}, or write the digest in place of the tag: `…@sha256:…`")),
            Self::NotLocked(_) | Self::LockedElsewhere(..) | Self::LockedManifest(..) | Self::Differs { .. } => {
                Some(format!("find out what changed it; if it is what is meant, run {lock}"))
            }
            Self::Unsigned { .. } | Self::Signature(_) => Some(
                "sign it by `trackside plugin sign FILE.wasm --key KEY`, once you know where it comes from".to_owned(),
            ),
            Self::Oci(_, error) if matches!(**error, OciError::Unreachable { .. } | OciError::TimedOut(..)) => {
                Some("it is not among what was fetched before; reload once the registry is back".to_owned())
            }
            Self::Oci(..) | Self::Pin { .. } => None,
        }
    }
}
