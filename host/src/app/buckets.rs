//! The buckets on the servers, as plugins reach them, and which of them a configuration needs.

use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::backbone::{BucketError, Buckets, Connection, RequiredBucket};
use crate::names::BucketName;
use crate::plugins::{Found, Key, KeyValue, StoreError};
use crate::rules::Rules;

/// The buckets on the servers, once these are reached. Each call waits on the thread that makes it, which is a lane's:
/// not longer than the plugin's own call may take.
#[derive(Debug, Default)]
pub struct ServerStore(OnceLock<(Handle, Buckets)>);

impl ServerStore {
    /// Tells it that the servers are reached; called on the runtime that the connection is on.
    pub fn connected(&self, connection: &Connection) {
        self.0.get_or_init(|| (Handle::current(), connection.buckets()));
    }

    fn wait<T>(
        &self,
        until: Instant,
        ask: impl AsyncFnOnce(&Buckets) -> Result<T, BucketError>,
    ) -> Result<T, StoreError> {
        let Some((runtime, buckets)) = self.0.get() else {
            return Err(StoreError::Failed("there is no connection to NATS yet".to_owned()));
        };
        match runtime.block_on(async { tokio::time::timeout_at(until.into(), ask(buckets)).await }) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(BucketError::Changed)) => Err(StoreError::Changed),
            Ok(Err(error @ BucketError::Unavailable { .. })) => Err(StoreError::Failed(error.to_string())),
            Err(_) => Err(StoreError::Late),
        }
    }
}

impl KeyValue for ServerStore {
    fn get(&self, bucket: &BucketName, key: &Key, until: Instant) -> Result<Found, StoreError> {
        let entry = self.wait(until, async |buckets| buckets.get(bucket, key.as_str()).await)?;
        Ok(Found { value: entry.value, revision: entry.revision })
    }

    fn put(
        &self,
        bucket: &BucketName,
        key: &Key,
        value: Bytes,
        revision: Option<u64>,
        until: Instant,
    ) -> Result<(), StoreError> {
        self.wait(until, async |buckets| buckets.put(bucket, key.as_str(), value, revision).await)
    }

    fn delete(&self, bucket: &BucketName, key: &Key, until: Instant) -> Result<(), StoreError> {
        self.wait(until, async |buckets| buckets.delete(bucket, key.as_str()).await)
    }
}

/// The buckets that plugins are granted, each once.
pub(super) fn required_buckets(rules: &Rules) -> Vec<RequiredBucket> {
    let mut required: Vec<RequiredBucket> = Vec::new();
    for (plugin, settings) in &rules.config.plugins {
        for name in settings.grants.buckets.keys() {
            if !required.iter().any(|bucket| bucket.name == *name) {
                required.push(RequiredBucket { name: name.clone(), why: format!("plugin `{plugin}`") });
            }
        }
    }
    required
}
