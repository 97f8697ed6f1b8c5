//! The schema files, and where references to them lead.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonschema::{Retrieve, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use trackside_plugin::{PayloadError, Setup, SetupError, json};

/// What stands for the configuration directory in URIs.
const ROOT: &str = "file:///";

/// What a path may have unescaped in a URI (RFC 3986, unreserved characters and `/`).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Finds the documents that schemas refer to, among the files of the configuration directory.
///
/// Shared, because the validator wants to own the one that it asks.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    setup: Setup,
    found: Arc<Mutex<Found>>,
}

#[derive(Debug, Default)]
struct Found {
    /// Documents by their `$id`, where they have an absolute one.
    by_id: HashMap<String, Value>,
    /// The folder of an `$id`, and the folder of the file that has it.
    folders: Vec<(String, String)>,
    known_keys: HashSet<String>,
}

impl Documents {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { setup: setup.clone(), found: Arc::default() }
    }

    /// Reads a file and makes it known by its `$id`.
    pub(crate) fn add(&self, file: &str) -> Result<Value, SetupError> {
        let bytes = self.setup.read_file(file)?;
        let document = json::parse(&bytes).map_err(|error| {
            SetupError::new(match error {
                PayloadError::NotJson(what) => format!("{file} is not JSON: {what}"),
                PayloadError::Ambiguous(what) | PayloadError::Limit(what) => format!("in {file}, {what}"),
            })
        })?;
        let mut found = self.found();
        collect_keys(&document, &mut found.known_keys);
        let id = document.get("$id").and_then(Value::as_str).map(|id| id.trim_end_matches('#'));
        if let Some(id) = id.filter(|id| id.contains(':')) {
            found.folders.push((folder(id).to_owned(), folder(file).to_owned()));
            found.by_id.insert(id.to_owned(), document.clone());
        }
        Ok(document)
    }

    /// The keys that the documents read so far mention.
    pub(crate) fn take_known_keys(&self) -> HashSet<String> {
        std::mem::take(&mut self.found().known_keys)
    }

    /// The file that a URI stands for, if it can be one.
    fn file_of(&self, uri: &str) -> Option<String> {
        let path = match uri.strip_prefix(ROOT) {
            Some(path) => path.to_owned(),
            None => self.found().folders.iter().find_map(|(id, folder)| {
                let rest = uri.strip_prefix(id.as_str())?;
                Some(format!("{folder}{rest}"))
            })?,
        };
        Some(percent_decode_str(&path).decode_utf8_lossy().into_owned())
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // A map that a panic left half-filled cannot be seen: a plugin aborts on panics.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Retrieve for Documents {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let uri = uri.as_str().split('#').next().unwrap_or_default();
        if let Some(document) = self.found().by_id.get(uri) {
            return Ok(document.clone());
        }
        let Some(file) = self.file_of(uri) else {
            return Err("there is no network here; add the file that has this `$id` to `documents`".into());
        };
        self.add(&file).map_err(|error| error.to_string().into())
    }
}

/// The URI that stands for a file of the configuration directory.
pub(crate) fn uri_of(file: &str) -> String {
    format!("{ROOT}{}", utf8_percent_encode(file, ESCAPED))
}

/// A URI as a person would write it: files by their path.
pub(crate) fn display(uri: &str) -> &str {
    uri.strip_prefix(ROOT).unwrap_or(uri)
}

/// Up to and with the last `/`.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

/// Collects the keys of the payload that a schema mentions.
fn collect_keys(schema: &Value, keys: &mut HashSet<String>) {
    match schema {
        Value::Array(elements) => elements.iter().for_each(|element| collect_keys(element, keys)),
        Value::Object(members) => {
            for (keyword, value) in members {
                match (keyword.as_str(), value) {
                    (
                        "properties" | "dependentRequired" | "dependentSchemas" | "dependencies",
                        Value::Object(named),
                    ) => {
                        keys.extend(named.keys().cloned());
                    }
                    ("required", Value::Array(names)) => {
                        keys.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => {}
                }
                collect_keys(value, keys);
            }
        }
        _ => {}
    }
}
