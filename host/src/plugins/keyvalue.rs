//! The key-value store as plugins reach it: a port, since this part of the host knows no NATS. Calls are made on the
//! thread that runs the plugin, which waits for them, at most until the plugin's own call has to be over.

mod memory;

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use crate::names::BucketName;

pub use memory::MemoryStore;

/// Longest key, in bytes. It becomes part of a subject.
const MAX_KEY_BYTES: usize = 1 << 10;

/// Largest value, in bytes: what a NATS server takes unless it is told otherwise.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;

/// A store of buckets.
pub trait KeyValue: fmt::Debug + Send + Sync {
    /// What is stored under a key, if the answer comes in time.
    ///
    /// # Errors
    /// When there is no answer, or the store cannot give one.
    fn get(&self, bucket: &BucketName, key: &Key, until: Instant) -> Result<Found, StoreError>;

    /// Stores a value. With `revision`, only if nobody has changed it since: 0 means that it was never there.
    ///
    /// # Errors
    /// When it was changed, there is no answer, or the store refuses. Without an answer it may have been stored.
    fn put(
        &self,
        bucket: &BucketName,
        key: &Key,
        value: Bytes,
        revision: Option<u64>,
        until: Instant,
    ) -> Result<(), StoreError>;

    /// Takes a value out; that there is none is fine.
    ///
    /// # Errors
    /// When there is no answer, or the store refuses. Without an answer it may have been taken out.
    fn delete(&self, bucket: &BucketName, key: &Key, until: Instant) -> Result<(), StoreError>;
}

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The value; none if there never was one, or it was taken out.
    pub value: Option<Bytes>,
    /// Changes with every change; 0 if there never was one.
    pub revision: u64,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has changed the value since.
    #[error("the value was changed meanwhile")]
    Changed,
    /// The answer did not come in time.
    #[error("the key-value store did not answer in time")]
    Late,
    /// The store cannot do it now: a sentence about why.
    #[error("{0}")]
    Failed(String),
}

/// A key that NATS takes (ADR-8).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    /// When it is none: a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_KEY_BYTES {
            return Err(format!("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {}", text.len()));
        }
        let taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_' | '=' | '.');
        if let Some(bad) = text.chars().find(|c| !taken(*c)) {
            return Err(format!("a key is made of letters, digits and `-/_=.`; {bad:?} is none of them"));
        }
        if text.split('.').any(str::is_empty) {
            return Err("a key neither begins nor ends with a dot, nor has two in a row".to_owned());
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_that_nats_takes() {
        for good in ["a", "orders/7", "a.b.c", "x=y_z-1"] {
            assert_eq!(Key::new(good).expect("a key").as_str(), good);
        }
        let long = "x".repeat(MAX_KEY_BYTES + 1);
        for bad in ["", ".a", "a.", "a..b", "a b", "a*", ">", "$KV", "ä", "a\r\nb", &long] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
    }
}
