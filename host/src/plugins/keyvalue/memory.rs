//! A store in memory, for trials and for the simulation: empty at first, and gone when the process ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::names::BucketName;

use super::{Found, Key, KeyValue, StoreError};

/// What all entries together may have; past that nothing more is stored.
const MAX_BYTES: usize = 64 << 20;

/// What an entry counts beside its key and value.
const ENTRY_BYTES: usize = 64;

/// A store in memory. It has every bucket.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<(BucketName, Key), Found>,
    bytes: usize,
    revision: u64,
}

impl KeyValue for MemoryStore {
    fn get(&self, bucket: &BucketName, key: &Key, _until: Instant) -> Result<Found, StoreError> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.entries.get(&(bucket.clone(), key.clone())).cloned().unwrap_or_default())
    }

    fn put(
        &self,
        bucket: &BucketName,
        key: &Key,
        value: Bytes,
        revision: Option<u64>,
        _until: Instant,
    ) -> Result<(), StoreError> {
        self.change(bucket, key, Some(value), revision)
    }

    fn delete(&self, bucket: &BucketName, key: &Key, _until: Instant) -> Result<(), StoreError> {
        self.change(bucket, key, None, None)
    }
}

impl MemoryStore {
    fn change(
        &self,
        bucket: &BucketName,
        key: &Key,
        value: Option<Bytes>,
        revision: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (bucket.clone(), key.clone());
        let found = state.entries.get(&place);
        if revision.is_some_and(|revision| revision != found.map_or(0, |found| found.revision)) {
            return Err(StoreError::Changed);
        }
        // What was taken out keeps its place, for the sake of its revision.
        let size = |value: &Option<Bytes>| ENTRY_BYTES + key.as_str().len() + value.as_ref().map_or(0, Bytes::len);
        let bytes = state.bytes - found.map_or(0, |found| size(&found.value)) + size(&value);
        if bytes > MAX_BYTES {
            return Err(StoreError::Failed(format!("the store in memory holds at most {} MiB", MAX_BYTES >> 20)));
        }
        state.bytes = bytes;
        state.revision += 1;
        let revision = state.revision;
        state.entries.insert(place, Found { value, revision });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_changed_meanwhile_is_not_replaced_by_who_has_not_seen_it() {
        let (store, now) = (MemoryStore::default(), Instant::now());
        let (bucket, key) = (BucketName::new("b").expect("a name"), Key::new("k").expect("a key"));
        let put = |value: &'static str, revision| {
            store.put(&bucket, &key, Bytes::from_static(value.as_bytes()), revision, now)
        };
        assert_eq!(store.get(&bucket, &key, now), Ok(Found::default()));
        assert_eq!(put("one", Some(0)), Ok(()));
        assert_eq!(put("two", Some(0)), Err(StoreError::Changed));
        let found = store.get(&bucket, &key, now).expect("it answers");
        assert_eq!(found.value.as_deref(), Some(b"one".as_slice()));
        assert_eq!(put("two", Some(found.revision)), Ok(()));
        assert_eq!(store.delete(&bucket, &key, now), Ok(()));
        let found = store.get(&bucket, &key, now).expect("it answers");
        assert_eq!((found.value, found.revision), (None, 3));
    }
}
