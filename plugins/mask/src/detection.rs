//! Masks by detection, anywhere in the message or below a path.

use std::borrow::Cow;
use std::rc::Rc;

use trackside_plugin::{Failure, Message, Selector, SetupError, Value};

use crate::detect::{self, Entry};
use crate::headers;
use crate::scan::{Made, ScanError, mask_json};
use crate::settings::Keys;

/// Carried through a chain to tie its traces together; digits in them are chance.
const TRACE_HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// What is looked for below one path.
#[derive(Debug)]
pub(crate) struct Place {
    path: String,
    selector: Selector,
    keys: Keys,
    entries: Vec<Rc<Entry>>,
}

impl Place {
    pub(crate) fn new(path: String, keys: Keys) -> Result<Self, SetupError> {
        let selector = Selector::compile(&[&path])?;
        Ok(Self { path, selector, keys, entries: Vec::new() })
    }

    pub(crate) fn is(&self, path: &str) -> bool {
        self.path == path
    }

    pub(crate) fn add(&mut self, entry: Rc<Entry>) {
        self.entries.push(entry);
    }

    /// One look at the payload, and one change of it if anything was found.
    pub(crate) fn apply(&self, message: &mut Message, made: &Made) -> Result<(), Failure> {
        let matches = message.select(&self.selector)?;
        let mut changed = false;
        let mut values = Vec::with_capacity(matches.len());
        for found in matches {
            let masked = self.mask(&found.value, made).map_err(|error| self.refuse(&error))?;
            changed |= masked.is_some();
            values.push(Some(masked.unwrap_or(found.value)));
        }
        if changed {
            message.replace(&self.selector, values)?;
        }
        Ok(())
    }

    /// Nothing when nothing was found.
    fn mask(&self, value: &Value, made: &Made) -> Result<Option<Value>, ScanError> {
        Ok(match value {
            Value::Null | Value::Boolean(_) => None,
            Value::Number(spelling) => detect::mask_number(&self.entries, spelling).map(Value::Text),
            Value::Text(text) if made.contains(text) => None,
            Value::Text(text) => match detect::mask_text(&self.entries, text) {
                Cow::Owned(masked) => Some(Value::Text(masked)),
                Cow::Borrowed(_) => None,
            },
            Value::Json(json) => mask_json(&self.entries, self.keys, made, json)?.map(Value::Json),
        })
    }

    fn refuse(&self, error: &ScanError) -> Failure {
        Failure::reject(format!("detect below {}: {error}", self.path))
    }
}

/// Masks what is found in the values of headers. The reserved ones, which a stage cannot change, and those of tracing
/// are left out.
pub(crate) fn mask_headers(entries: &[Rc<Entry>], message: &mut Message, made: &Made) -> Result<(), Failure> {
    let found = |value: &str| !made.contains(value) && matches!(detect::mask_text(entries, value), Cow::Owned(_));
    let skipped =
        |name: &str| headers::is_reserved(name) || TRACE_HEADERS.iter().any(|trace| trace.eq_ignore_ascii_case(name));
    let mut names: Vec<String> = Vec::new();
    for header in message.headers() {
        let seen = names.iter().any(|name| name.eq_ignore_ascii_case(&header.name));
        if !seen && !skipped(&header.name) && found(&header.value) {
            names.push(header.name);
        }
    }
    for name in names {
        headers::rewrite(message, &name, &mut |value| match made.contains(value) {
            true => Ok(Some(value.to_owned())),
            false => Ok(Some(detect::mask_text(entries, value).into_owned())),
        })?;
    }
    Ok(())
}
