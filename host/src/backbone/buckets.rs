//! Buckets of the key-value store (NATS ADR-8): streams in which each key is a subject.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::jetstream::kv;
use bytes::Bytes;

use super::ensure::find;
use super::wire::{JetStreamError, Wire};
use crate::names::BucketName;

/// The buckets of the servers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Buckets {
    wire: Arc<Wire>,
    /// Those that were used already, so that the server is not asked about them each time.
    open: Arc<Mutex<HashMap<BucketName, kv::Store>>>,
}

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value; none if there never was one, or it was deleted.
    pub value: Option<Bytes>,
    /// The sequence of the last change in the bucket's stream; 0 if there was none.
    pub revision: u64,
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The value was changed since the revision that was expected.
    #[error("the value was changed meanwhile")]
    Changed,
    /// There is no connection, no answer, or no such bucket.
    #[error("bucket `{bucket}`: {reason}")]
    Unavailable {
        /// Which bucket.
        bucket: BucketName,
        /// What happened.
        reason: String,
    },
}

/// A bucket that has to be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequiredBucket {
    /// Its name.
    pub name: BucketName,
    /// What needs it, for the error, such as `plugin "geo"`.
    pub why: String,
}

/// Why not all buckets are there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnsureBucketsError {
    /// These are missing.
    #[error("{}", Listing(.0))]
    Missing(Vec<RequiredBucket>),
    /// The server could not be asked, or refused to make one.
    #[error("bucket `{bucket}` of {why}: {reason}")]
    JetStream {
        /// The bucket it was about.
        bucket: BucketName,
        /// What needs it.
        why: String,
        /// What happened.
        reason: String,
    },
}

struct Listing<'a>(&'a [RequiredBucket]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, RequiredBucket { name, why }) in self.0.iter().enumerate() {
            let line = if position == 0 { "" } else { "\n" };
            write!(f, "{line}bucket `{name}` of {why} does not exist; make it with:\n    nats kv add {name}")?;
        }
        Ok(())
    }
}

impl Buckets {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self { wire, open: Arc::default() }
    }

    /// What is stored under a key.
    ///
    /// # Errors
    /// When the bucket does not answer, as long as a request may take.
    pub async fn get(&self, bucket: &BucketName, key: &str) -> Result<Entry, BucketError> {
        let found = self.open(bucket).await?.entry(key).await.map_err(|error| unavailable(bucket, &error))?;
        Ok(found.map_or(Entry { value: None, revision: 0 }, |entry| Entry {
            value: (entry.operation == kv::Operation::Put).then_some(entry.value),
            revision: entry.revision,
        }))
    }

    /// Stores a value; with `revision`, only if that is still the last one.
    ///
    /// # Errors
    /// When it is not the last one, or the bucket does not answer; then the value may have been stored.
    pub async fn put(
        &self,
        bucket: &BucketName,
        key: &str,
        value: Bytes,
        revision: Option<u64>,
    ) -> Result<(), BucketError> {
        let store = self.open(bucket).await?;
        match revision {
            None => store.put(key, value).await.map(drop).map_err(|error| unavailable(bucket, &error)),
            Some(revision) => match store.update(key, value, revision).await {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Err(BucketError::Changed),
                Err(error) => Err(unavailable(bucket, &error)),
            },
        }
    }

    /// Deletes a value, if there is one.
    ///
    /// # Errors
    /// When the bucket does not answer; then the value may have been deleted.
    pub async fn delete(&self, bucket: &BucketName, key: &str) -> Result<(), BucketError> {
        self.open(bucket).await?.delete(key).await.map_err(|error| unavailable(bucket, &error))
    }

    /// Checks that all these buckets exist; with `create`, makes those that do not.
    ///
    /// # Errors
    /// Names everything that is missing, each with the command that makes it.
    pub async fn ensure(&self, required: &[RequiredBucket], create: bool) -> Result<(), EnsureBucketsError> {
        let mut missing = Vec::new();
        for bucket in required {
            let failed = |reason: String| EnsureBucketsError::JetStream {
                bucket: bucket.name.clone(),
                why: bucket.why.clone(),
                reason,
            };
            let found = find(&self.wire, &format!("KV_{}", bucket.name)).await;
            match found.map_err(|error: JetStreamError| failed(error.to_string()))? {
                Some(_) => {}
                None if create => {
                    let config = kv::Config { bucket: bucket.name.to_string(), ..kv::Config::default() };
                    let made = self.wire.jetstream.create_key_value(config).await;
                    made.map_err(|error| failed(error.to_string()))?;
                    tracing::info!(bucket = bucket.name.as_str(), "made a bucket");
                }
                None => missing.push(bucket.clone()),
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(EnsureBucketsError::Missing(missing)) }
    }

    async fn open(&self, bucket: &BucketName) -> Result<kv::Store, BucketError> {
        if !self.wire.is_connected() {
            return Err(unavailable(bucket, &"there is no connection to NATS"));
        }
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned();
        if let Some(store) = known {
            return Ok(store);
        }
        let opened = self.wire.jetstream.get_key_value(bucket.as_str()).await;
        let store = opened.map_err(|error| unavailable(bucket, &error))?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.clone(), store.clone());
        Ok(store)
    }
}

fn unavailable(bucket: &BucketName, reason: &dyn fmt::Display) -> BucketError {
    BucketError::Unavailable { bucket: bucket.clone(), reason: reason.to_string() }
}
