//! A newtype for every role a name can play, checked where it is made, so that a rule's name cannot be handed to
//! something that wants a plugin's.

use std::fmt;
use std::sync::Arc;

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character at all.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("a name has at most {MAX_NAME_BYTES} characters, this one has {0}")]
    Long(usize),
    /// A character outside `A-Z a-z 0-9 - _`.
    #[error("a name is made of letters, digits, `-` and `_`; `{0}` is none of them")]
    Character(char),
}

fn checked(text: &str) -> Result<Arc<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        return Err(NameError::Character(bad));
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::Long(text.len()));
    }
    Ok(Arc::from(text))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 bytes of `A-Z a-z 0-9 - _`; cheap to clone.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and makes a name of it.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character that names do not have.
            pub fn new(text: &str) -> Result<Self, NameError> {
                checked(text).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a `[[rule]]`, unique in a configuration directory.
    RuleName
);
name!(
    /// The name of a `[sources.NAME]` table.
    SourceName
);
name!(
    /// The name of a plugin: a standard one or a `[plugins.NAME]` table.
    PluginName
);
name!(
    /// The name of a route in a rule's `[rule.routes]`.
    RouteName
);
name!(
    /// The name of a public key in `[trust.keys]`.
    KeyName
);
name!(
    /// The name of a bucket of the key-value store, which has to be one that NATS takes too.
    BucketName
);
name!(
    /// The name of a secret in `[secrets]`.
    SecretName
);

name!(
    /// The name of a token in `[admin.tokens]`: who did what, in the audit log.
    TokenName
);

name!(
    /// The name under which services subscribe to what a route hands out.
    QueueName
);

/// Identifies one immutable compiled set of rules and plugins: the first 12 hexadecimal digits of the SHA-256 of
/// everything that went into it, so the same configuration has the same revision on every machine.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Takes the digest of what went into the revision.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        Self(Arc::from(&hex::encode(digest)[..12]))
    }

    /// Reads a revision as it is shown; `None` if the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 12 && text.bytes().all(digit)).then(|| Self(Arc::from(text)))
    }

    /// The revision as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_where_it_is_made() {
        assert_eq!(RuleName::new("orders-eu_1").map(|n| n.to_string()), Ok("orders-eu_1".to_owned()));
        assert_eq!(RuleName::new(""), Err(NameError::Empty));
        assert_eq!(RuleName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(RuleName::new(&"x".repeat(65)), Err(NameError::Long(65)));
    }
}
