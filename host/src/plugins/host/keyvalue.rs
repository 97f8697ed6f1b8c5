//! `wasi:keyvalue`: the buckets that were granted. What only the store can do it is asked for during `handle`, and a
//! store that does not answer ends the call, as one that has to be tried again.

use std::time::Instant;

use bytes::Bytes;
use wasmtime::component::Resource;

use crate::names::BucketName;
use crate::rules::BucketAccess;

use super::super::bindings::offered::wasi::keyvalue::store::{Error, KeyResponse};
use super::super::bindings::offered::wasi::keyvalue::{atomics, batch, store};
use super::super::guest::Guest;
use super::super::keyvalue::{Found, Key, KeyValue, MAX_VALUE_BYTES, StoreError};
use super::super::verdict::Fault;

/// How often an increment begins anew because somebody else was faster.
const MAX_INCREMENTS: u32 = 32;

/// What a `bucket` handle stands for: the position of a bucket among those that were granted.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct BucketSlot;

/// What a guest is told: an answer, or an error that it can do something about.
type Told<T> = wasmtime::Result<Result<T, Error>>;

impl store::Host for Guest {
    fn open(&mut self, identifier: String) -> Told<Resource<BucketSlot>> {
        self.budget.call()?;
        self.budget.bytes(identifier.len())?;
        let mut granted = self.settings.plugin.settings().grants.buckets.keys().zip(0..);
        let found = granted.find(|(bucket, _)| bucket.as_str() == identifier);
        Ok(found.map(|(_, position)| Resource::new_own(position)).ok_or(Error::AccessDenied))
    }
}

impl store::HostBucket for Guest {
    fn get(&mut self, bucket: Resource<BucketSlot>, key: String) -> Told<Option<Vec<u8>>> {
        self.look_up(&bucket, &key)
    }

    fn set(&mut self, bucket: Resource<BucketSlot>, key: String, value: Vec<u8>) -> Told<()> {
        self.change(&bucket, &key, Some(value))
    }

    fn delete(&mut self, bucket: Resource<BucketSlot>, key: String) -> Told<()> {
        self.change(&bucket, &key, None)
    }

    fn exists(&mut self, bucket: Resource<BucketSlot>, key: String) -> Told<bool> {
        Ok(self.look_up(&bucket, &key)?.map(|value| value.is_some()))
    }

    fn list_keys(&mut self, _bucket: Resource<BucketSlot>, _cursor: Option<u64>) -> Told<KeyResponse> {
        self.budget.call()?;
        Ok(Err(Error::Other(
            "keys cannot be listed here, since that has no bound: look up the keys that the message names".to_owned(),
        )))
    }

    fn drop(&mut self, _bucket: Resource<BucketSlot>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl atomics::Host for Guest {
    /// The value is a whole number in decimal digits, which people and other clients can read.
    fn increment(&mut self, bucket: Resource<BucketSlot>, key: String, delta: u64) -> Told<u64> {
        let (bucket, key) = match self.admit(&bucket, &key, BucketAccess::ReadWrite)? {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        for _ in 0..MAX_INCREMENTS {
            let found = self.ask(|store, until| store.get(&bucket, &key, until))?;
            let sum = match number(&found)
                .and_then(|number| number.checked_add(delta).ok_or_else(|| "the sum has more than 64 bits".to_owned()))
            {
                Ok(sum) => sum,
                Err(reason) => return Ok(Err(Error::Other(reason))),
            };
            let value = Bytes::from(sum.to_string());
            let put = self.ask(|store, until| match store.put(&bucket, &key, value, Some(found.revision), until) {
                Err(StoreError::Changed) => Ok(false),
                other => other.map(|()| true),
            });
            if put? {
                return Ok(Ok(sum));
            }
        }
        Err(Fault::Store { reason: format!("others have changed the value {MAX_INCREMENTS} times meanwhile") }.into())
    }
}

impl batch::Host for Guest {
    fn get_many(&mut self, bucket: Resource<BucketSlot>, keys: Vec<String>) -> Told<Vec<Option<(String, Vec<u8>)>>> {
        let mut values = Vec::with_capacity(keys.len().min(1024));
        for key in keys {
            match self.look_up(&bucket, &key)? {
                Ok(value) => values.push(value.map(|value| (key, value))),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(values))
    }

    fn set_many(&mut self, bucket: Resource<BucketSlot>, key_values: Vec<(String, Vec<u8>)>) -> Told<()> {
        self.change_all(&bucket, key_values.into_iter().map(|(key, value)| (key, Some(value))))
    }

    fn delete_many(&mut self, bucket: Resource<BucketSlot>, keys: Vec<String>) -> Told<()> {
        self.change_all(&bucket, keys.into_iter().map(|key| (key, None)))
    }
}

impl Guest {
    fn look_up(&mut self, bucket: &Resource<BucketSlot>, key: &str) -> Told<Option<Vec<u8>>> {
        let (bucket, key) = match self.admit(bucket, key, BucketAccess::Read)? {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let Found { value, .. } = self.ask(|store, until| store.get(&bucket, &key, until))?;
        match value {
            Some(value) if value.len() > MAX_VALUE_BYTES => Ok(Err(too_large(value.len()))),
            Some(value) => {
                self.budget.bytes(value.len())?;
                Ok(Ok(Some(value.to_vec())))
            }
            None => Ok(Ok(None)),
        }
    }

    fn change(&mut self, bucket: &Resource<BucketSlot>, key: &str, value: Option<Vec<u8>>) -> Told<()> {
        let (bucket, key) = match self.admit(bucket, key, BucketAccess::ReadWrite)? {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let bytes = value.as_ref().map_or(0, Vec::len);
        if bytes > MAX_VALUE_BYTES {
            return Ok(Err(too_large(bytes)));
        }
        self.budget.bytes(bytes)?;
        let changed = match value.map(Bytes::from) {
            Some(value) => self.ask(|store, until| store.put(&bucket, &key, value, None, until)),
            None => self.ask(|store, until| store.delete(&bucket, &key, until)),
        };
        Ok(Ok(changed?))
    }

    fn change_all(
        &mut self,
        bucket: &Resource<BucketSlot>,
        changes: impl Iterator<Item = (String, Option<Vec<u8>>)>,
    ) -> Told<()> {
        for (key, value) in changes {
            if let Err(error) = self.change(bucket, &key, value)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Pays for a call, and finds out what it is about and whether that was granted.
    fn admit(&mut self, bucket: &Resource<BucketSlot>, key: &str, access: BucketAccess) -> Told<(BucketName, Key)> {
        self.in_handle("wasi:keyvalue")?;
        self.budget.bytes(key.len())?;
        let granted = &self.settings.plugin.settings().grants.buckets;
        let (name, granted) =
            granted.iter().nth(bucket.rep() as usize).expect("guests cannot forge handles, and grants do not change");
        if access == BucketAccess::ReadWrite && *granted == BucketAccess::Read {
            return Ok(Err(Error::AccessDenied));
        }
        Ok(Key::new(key).map(|key| (name.clone(), key)).map_err(Error::Other))
    }

    /// Asks the store. That it does not answer, or cannot, is nothing that the guest has to deal with: the message is
    /// tried again.
    fn ask<T>(&mut self, ask: impl FnOnce(&dyn KeyValue, Instant) -> Result<T, StoreError>) -> Result<T, Fault> {
        self.deadline.check()?;
        let store = self.settings.plugin.store();
        ask(store, self.deadline.at()).map_err(|error| Fault::Store { reason: error.to_string() })
    }
}

fn number(found: &Found) -> Result<u64, String> {
    let Some(value) = &found.value else { return Ok(0) };
    let digits = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| "the value is not a whole number in decimal digits, so it cannot be incremented".to_owned())
}

fn too_large(bytes: usize) -> Error {
    Error::Other(format!("a value has at most {} KiB here, this one has {bytes} bytes", MAX_VALUE_BYTES >> 10))
}
