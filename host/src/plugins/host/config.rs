//! `wasi:config/store`: the secrets that were granted, and for a handler the settings of its stage.

use super::super::bindings::offered::wasi::config::store::{Error, Host};
use super::super::guest::Guest;

impl Host for Guest {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        self.budget.call()?;
        let value = self.settings.values.get(&key).cloned();
        self.budget.bytes(key.len() + value.as_ref().map_or(0, String::len))?;
        Ok(Ok(value))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        self.budget.call()?;
        let values = &self.settings.values;
        self.budget.bytes(values.iter().map(|(key, value)| key.len() + value.len()).sum())?;
        Ok(Ok(values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}
