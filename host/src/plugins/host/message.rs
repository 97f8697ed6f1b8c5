//! Interface `message`, in force during `handle`.

use bytes::Bytes;
use trackside_json::{Match, PayloadError, Replacement, Value};
use wasmtime::component::Resource;

use crate::message::{HeaderError, Headers, OriginKind};

use super::super::bindings::trackside::plugin::message as contract;
use super::super::guest::Guest;
use super::super::selectors::SelectorSlot;
use super::super::verdict::Fault;

/// What one match costs beside its text, in bytes of the budget: about what it takes in the guest's memory.
const MATCH_BYTES: usize = 16;

impl contract::HostSelector for Guest {
    fn compile(&mut self, paths: Vec<String>) -> wasmtime::Result<Result<Resource<SelectorSlot>, String>> {
        self.budget.call()?;
        self.budget.bytes(paths.iter().map(String::len).sum())?;
        let compiled = self.selectors.compile(&paths, self.deadline.at());
        self.deadline.check()?;
        Ok(compiled)
    }

    fn drop(&mut self, selector: Resource<SelectorSlot>) -> wasmtime::Result<()> {
        self.selectors.drop(&selector);
        Ok(())
    }
}

impl contract::Host for Guest {
    fn subject(&mut self) -> wasmtime::Result<String> {
        self.in_handle("message.subject")?;
        let subject = self.message().subject.as_str().to_owned();
        self.budget.bytes(subject.len())?;
        Ok(subject)
    }

    fn id(&mut self) -> wasmtime::Result<String> {
        self.in_handle("message.id")?;
        let id = Guest::origin(self).id.as_ref().to_owned();
        self.budget.bytes(id.len())?;
        Ok(id)
    }

    fn origin(&mut self) -> wasmtime::Result<contract::OriginKind> {
        self.in_handle("message.origin")?;
        Ok(match Guest::origin(self).kind {
            OriginKind::JetStream => contract::OriginKind::Jetstream,
            OriginKind::Core => contract::OriginKind::Core,
            OriginKind::Sidecar => contract::OriginKind::Sidecar,
            OriginKind::Trial => contract::OriginKind::Trial,
        })
    }

    fn timestamp(&mut self) -> wasmtime::Result<u64> {
        self.in_handle("message.timestamp")?;
        Ok(Guest::origin(self).timestamp_ms)
    }

    fn delivery(&mut self) -> wasmtime::Result<u32> {
        self.in_handle("message.delivery")?;
        Ok(Guest::origin(self).delivery)
    }

    fn get_header(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        self.in_handle("message.get-header")?;
        let value = self.message().headers.get(&name).map(str::to_owned);
        self.budget.bytes(name.len() + value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<contract::Header>> {
        self.in_handle("message.headers")?;
        let size = self.message().headers.byte_len();
        self.budget.bytes(size)?;
        let header = |h: &crate::message::Header| contract::Header { name: h.name.to_string(), value: h.value.clone() };
        Ok(self.message().headers.iter().map(header).collect())
    }

    fn set_header(&mut self, name: String, value: String) -> wasmtime::Result<Result<(), String>> {
        self.edit_header("message.set-header", &name, &value, Headers::set_by_plugin)
    }

    fn append_header(&mut self, name: String, value: String) -> wasmtime::Result<Result<(), String>> {
        self.edit_header("message.append-header", &name, &value, Headers::append_by_plugin)
    }

    fn remove_header(&mut self, name: String) -> wasmtime::Result<()> {
        self.in_handle("message.remove-header")?;
        self.budget.bytes(name.len())?;
        if self.message().headers.get(&name).is_some() {
            self.headers_mut().remove(&name);
        }
        Ok(())
    }

    fn payload(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.in_handle("message.payload")?;
        self.budget.bytes(self.message().payload.len())?;
        Ok(self.message().payload.to_vec())
    }

    fn payload_len(&mut self) -> wasmtime::Result<u32> {
        self.in_handle("message.payload-len")?;
        Ok(u32::try_from(self.message().payload.len()).unwrap_or(u32::MAX))
    }

    fn set_payload(&mut self, bytes: Vec<u8>) -> wasmtime::Result<()> {
        self.in_handle("message.set-payload")?;
        self.budget.bytes(bytes.len())?;
        Guest::set_payload(self, Bytes::from(bytes));
        Ok(())
    }

    fn select(
        &mut self,
        selector: Resource<SelectorSlot>,
    ) -> wasmtime::Result<Result<Vec<contract::Match>, contract::PayloadError>> {
        self.in_handle("message.select")?;
        let (payload, found, _, budget) = match Guest::select(self, &selector) {
            Ok(selected) => selected,
            Err(error) => return Ok(Err(self.payload_error(error)?)),
        };
        let mut matches = Vec::with_capacity(found.len());
        for place in found {
            // Paid one by one: places that lie in each other are many times the payload together.
            let place = crossing(place, payload);
            budget.bytes(MATCH_BYTES + text_len(&place.value))?;
            matches.push(place);
        }
        Ok(Ok(matches))
    }

    fn replace(
        &mut self,
        selector: Resource<SelectorSlot>,
        values: Vec<Option<contract::Value>>,
    ) -> wasmtime::Result<Result<(), contract::PayloadError>> {
        self.in_handle("message.replace")?;
        self.budget.bytes(values.iter().map(|v| MATCH_BYTES + v.as_ref().map_or(0, text_len)).sum())?;
        let values: Vec<_> = values.iter().map(|value| value.as_ref().map(replacement)).collect();
        // Of JSON that is put in it is not known how deep it makes the payload.
        let of_scalars = !values.iter().flatten().any(|value| matches!(value, Replacement::Json(_)));
        let edited = Guest::select(self, &selector)
            .and_then(|(payload, matches, limits, _)| trackside_json::replace(payload, matches, &values, limits));
        match edited {
            Ok(payload) => {
                let payload = Bytes::from(payload);
                if of_scalars {
                    self.set_checked_payload(payload);
                } else {
                    Guest::set_payload(self, payload);
                }
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(self.payload_error(error)?)),
        }
    }
}

impl Guest {
    fn edit_header(
        &mut self,
        function: &'static str,
        name: &str,
        value: &str,
        edit: fn(&mut Headers, &str, &str) -> Result<(), HeaderError>,
    ) -> wasmtime::Result<Result<(), String>> {
        self.in_handle(function)?;
        self.budget.bytes(name.len() + value.len())?;
        Ok(edit(self.headers_mut(), name, value).map_err(|error| error.to_string()))
    }

    /// What the guest is told; a deadline that passed meanwhile is not its to handle.
    fn payload_error(&self, error: PayloadError) -> Result<contract::PayloadError, Fault> {
        self.deadline.check()?;
        Ok(match error {
            PayloadError::NotJson(what) => contract::PayloadError::NotJson(what),
            PayloadError::Limit(which) => contract::PayloadError::Limit(which),
        })
    }
}

fn crossing(found: &Match, payload: &[u8]) -> contract::Match {
    let value = match found.value(payload) {
        Value::Null => contract::Value::Null,
        Value::Boolean(value) => contract::Value::Boolean(value),
        Value::Number(spelling) => contract::Value::Number(spelling.to_owned()),
        Value::Text(text) => contract::Value::Text(text.into_owned()),
        Value::Json(json) => contract::Value::Json(json.to_owned()),
    };
    contract::Match { path: found.path, value }
}

fn replacement(value: &contract::Value) -> Replacement<'_> {
    match value {
        contract::Value::Null => Replacement::Null,
        contract::Value::Boolean(value) => Replacement::Boolean(*value),
        contract::Value::Number(spelling) => Replacement::Number(spelling),
        contract::Value::Text(text) => Replacement::Text(text),
        contract::Value::Json(json) => Replacement::Json(json),
    }
}

fn text_len(value: &contract::Value) -> usize {
    match value {
        contract::Value::Null | contract::Value::Boolean(_) => 0,
        contract::Value::Number(text) | contract::Value::Text(text) | contract::Value::Json(text) => text.len(),
    }
}
