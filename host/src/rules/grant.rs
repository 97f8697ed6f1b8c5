//! What a plugin is given beyond the message that it handles: by default nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::names::{BucketName, NameError, SecretName};

use super::suggest;

/// The words that begin a grant.
const WORDS: [&str; 5] = ["log", "clock", "random", "kv", "secret"];

/// What a plugin is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Whether it may write to the log.
    pub log: bool,
    /// Whether its clocks are the real ones.
    pub clock: bool,
    /// Whether its random numbers are.
    pub random: bool,
    /// The buckets that it may use, and what for.
    pub buckets: BTreeMap<BucketName, BucketAccess>,
    /// The secrets that it may read.
    pub secrets: BTreeSet<SecretName>,
}

/// One thing that a plugin is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// `log`
    Log,
    /// `clock`
    Clock,
    /// `random`
    Random,
    /// `kv:BUCKET:read` or `kv:BUCKET:read-write`
    Bucket(BucketName, BucketAccess),
    /// `secret:NAME`
    Secret(SecretName),
}

/// What may be done with a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketAccess {
    /// Looking keys up.
    Read,
    /// Changing them too.
    ReadWrite,
}

/// Why a text is not a grant, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Nothing that can be granted is called that.
    #[error("{0}")]
    Unknown(String),
    /// Something follows that has no meaning.
    #[error("nothing follows `{0}`: write \"{0}\"")]
    Plain(&'static str),
    /// A bucket without what it is for.
    #[error("write \"kv:BUCKET:read\" for looking keys up, or \"kv:BUCKET:read-write\" for changing them too")]
    Bucket,
    /// What it is for is neither of the two.
    #[error("a bucket is granted for `read` or for `read-write`{0}")]
    Access(String),
    /// A secret without a name.
    #[error("write \"secret:NAME\", with a name from [secrets]")]
    Secret,
    /// The name of a bucket or secret is none.
    #[error("{0}")]
    Name(#[from] NameError),
}

impl Grant {
    /// Reads a grant as it is written in `grants`.
    ///
    /// # Errors
    /// When it is none: what to write instead.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let plain = |word, grant| if rest.is_none() { Ok(grant) } else { Err(GrantError::Plain(word)) };
        match word {
            "log" => plain("log", Self::Log),
            "clock" => plain("clock", Self::Clock),
            "random" => plain("random", Self::Random),
            "kv" => {
                let (bucket, access) = rest.and_then(|rest| rest.split_once(':')).ok_or(GrantError::Bucket)?;
                Ok(Self::Bucket(BucketName::new(bucket)?, BucketAccess::parse(access)?))
            }
            "secret" => Ok(Self::Secret(SecretName::new(rest.ok_or(GrantError::Secret)?)?)),
            _ => Err(GrantError::Unknown(suggest::help(word, WORDS, "grants"))),
        }
    }

    /// What it is about, without what it is for: of two grants about the same thing one is too many.
    pub(super) fn object(&self) -> String {
        match self {
            Self::Bucket(bucket, _) => format!("kv:{bucket}"),
            other => other.to_string(),
        }
    }
}

impl BucketAccess {
    fn parse(text: &str) -> Result<Self, GrantError> {
        match text {
            "read" => Ok(Self::Read),
            "read-write" => Ok(Self::ReadWrite),
            _ => {
                let near = suggest::nearest(text, ["read", "read-write"]);
                Err(GrantError::Access(near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"))))
            }
        }
    }
}

impl Grants {
    pub(super) fn add(&mut self, grant: Grant) {
        match grant {
            Grant::Log => self.log = true,
            Grant::Clock => self.clock = true,
            Grant::Random => self.random = true,
            Grant::Bucket(bucket, access) => {
                self.buckets.insert(bucket, access);
            }
            Grant::Secret(name) => {
                self.secrets.insert(name);
            }
        }
    }

    /// Those by which the same message may come to something else at another time.
    pub fn inexact(&self) -> impl Iterator<Item = Grant> {
        let clock = self.clock.then_some(Grant::Clock);
        let random = self.random.then_some(Grant::Random);
        let buckets = self.buckets.iter().map(|(bucket, access)| Grant::Bucket(bucket.clone(), *access));
        clock.into_iter().chain(random).chain(buckets)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Clock => f.write_str("clock"),
            Self::Random => f.write_str("random"),
            Self::Bucket(bucket, BucketAccess::Read) => write!(f, "kv:{bucket}:read"),
            Self::Bucket(bucket, BucketAccess::ReadWrite) => write!(f, "kv:{bucket}:read-write"),
            Self::Secret(name) => write!(f, "secret:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_written_as_it_is_read() {
        for text in ["log", "clock", "random", "kv:seen:read", "kv:seen:read-write", "secret:geo-key"] {
            assert_eq!(Grant::parse(text).map(|grant| grant.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_grant_is_told_what_to_write() {
        for (text, want) in [
            ("clok", "did you mean `clock`?"),
            ("network", "the grants are `log`, `clock`, `random`, `kv`, `secret`"),
            ("log:all", "nothing follows `log`: write \"log\""),
            ("kv", "write \"kv:BUCKET:read\" for looking keys up"),
            ("kv:seen", "write \"kv:BUCKET:read\" for looking keys up"),
            ("kv:seen:readwrite", "did you mean `read-write`?"),
            ("kv:a.b:read", "`.` is none of them"),
            ("secret", "write \"secret:NAME\""),
            ("secret:", "a name cannot be empty"),
        ] {
            let error = Grant::parse(text).expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
