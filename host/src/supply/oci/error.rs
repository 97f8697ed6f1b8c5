//! Why a plugin cannot be had from a registry, or brought to one.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::rules::{RegistryHost, SecretError};

/// Why a plugin cannot be had from a registry, or brought to one. The texts follow the reference and a colon.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// User or password cannot be had.
    #[error("the registry's `user` or `password`: {0}")]
    Secret(#[from] SecretError),
    /// The file of authorities is not there, or is none.
    #[error("the registry's `ca`, {path}: {reason}", path = .0.display(), reason = .1)]
    Authorities(PathBuf, String),
    /// There is no connection.
    #[error("the registry {host} cannot be reached: {reason}")]
    Unreachable {
        /// Who was asked: the registry, or where it led to.
        host: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("the registry {0} was not done after {1:?}, see `timeout` in [registries.\"{0}\"]")]
    TimedOut(RegistryHost, Duration),
    /// The registry refuses who asks.
    #[error("{0} asks for a user and a password: write them into [registries.\"{0}\"]")]
    LoginWanted(RegistryHost),
    /// The registry refuses who asks, for all that was said.
    #[error("{0} refuses (status {1}): check `user` and `password` in [registries.\"{0}\"], and what they may do")]
    Denied(RegistryHost, u16),
    /// There is no such thing.
    #[error("{0} has no such {1}")]
    NotFound(RegistryHost, &'static str),
    /// An answer that the protocol does not have.
    #[error("{host} answers with status {status} when asked for {what}")]
    Status {
        /// Who was asked.
        host: String,
        /// For what.
        what: &'static str,
        /// The answer.
        status: u16,
    },
    /// A way of authenticating that is not known here.
    #[error("{0} asks for authentication in a way that is not known here; Basic and Bearer are")]
    Challenge(RegistryHost),
    /// It leads to where nothing is fetched from.
    #[error("{0} leads to {1}, which is neither itself nor HTTPS: nothing is fetched from there")]
    Elsewhere(RegistryHost, String),
    /// It leads on and on.
    #[error("{0} leads from one place to the next, more than {1} times")]
    Redirects(RegistryHost, usize),
    /// More than may be.
    #[error("its {what} has more than {max_bytes} bytes, which is not fetched")]
    Large {
        /// What is too large.
        what: &'static str,
        /// The bound.
        max_bytes: usize,
    },
    /// It sends something else.
    #[error(
        "{host} sends other bytes than were asked for: the {what} is sha256:{expected}, and what came sha256:{found}"
    )]
    Digest {
        /// Who sent it.
        host: RegistryHost,
        /// What was asked for.
        what: &'static str,
        /// Its digest, in hexadecimal.
        expected: String,
        /// The digest of what came, in hexadecimal.
        found: String,
    },
    /// Not a plugin.
    #[error("it is not a plugin as registries keep them (application/vnd.wasm.config.v0+json): {0}")]
    Manifest(String),
    /// An answer that cannot be read.
    #[error("{0} answers what cannot be read when asked for {1}")]
    Answer(RegistryHost, &'static str),
    /// A reference to push to that says what comes out.
    #[error("it is pushed to a tag, `registry.example/team/name:1.0`; the digest is what comes out")]
    NoTag,
    /// There are no threads or files left.
    #[error("the system gives nothing to reach a registry with: {0}")]
    System(#[from] io::Error),
}
