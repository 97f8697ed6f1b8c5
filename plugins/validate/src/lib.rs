//! The standard plugin `validate`: checks payloads against JSON Schemas, and rejects what does not match.
//!
//! # Settings
//!
//! ```toml
//! with = { schema = "schemas/order.json" }
//! ```
//!
//! or, to choose one of several by a header or by a member of the payload:
//!
//! ```toml
//! [rule.stage.with]
//! schemas = { created = "schemas/created.json", paid = "schemas/paid.json" }
//! by = "$.type"                      # or "header:Type"
//! otherwise = "reject"               # or "forward", or the name of a schema
//! ```
//!
//! | key | meaning |
//! | --- | --- |
//! | `schema` | the one schema file, by its path in the configuration directory |
//! | `schemas` | several schema files, each with a name |
//! | `by` | with `schemas`: what names the schema, `header:NAME` or a JSONPath to a string, number or boolean |
//! | `otherwise` | with `schemas`: what becomes of a message whose field is missing or names none of them; default `"reject"` |
//! | `documents` | further schema files, to be found by the `$id` they have |
//! | `check-formats` | whether `format` is checked (`true`) or only a comment (`false`); default: checked up to draft 7, a comment in later ones, as the drafts say |
//!
//! The draft is the one that the file's `$schema` names; without it, 2020-12. Relative references like
//! `address.json#/definitions/zip` are looked for in the folder of the file that has them; where that file has a
//! `$id`, references relative to the `$id` are looked for in the same folder too. There is no network: a reference to
//! anything else is an error unless one of `documents` has that `$id`.
//!
//! # Verdicts
//!
//! * *forward*, when the payload matches; it is left as it is.
//! * *reject*, when it does not. The reason lists every violation (the first 32 of them) with the place in the
//!   payload, what the schema expects, and the keyword's place in the schema:
//!
//!   <!-- run by: plugins/validate/src/tests.rs: /amount is below the minimum 0 -->
//!   ```text
//!   the payload does not match schemas/order.json: /amount is below the minimum 0 (schemas/order.json#/properties/amount/minimum); the document lacks "currency" (schemas/order.json#/required)
//!   ```
//!
//!   A reason never shows a value of the payload, since that may be the secret. Keys are shown only if the schema
//!   files mention them; others, like the keys of a map from e-mail addresses, show as `*`.
//! * *reject*, when the payload is not JSON, nests deeper than 128 levels, has a number beyond a 64-bit float, or has
//!   an object with the same key twice: each reader takes another one of the two, so a check of one proves nothing.
//! * *reject*, when `by` finds an array, an object or several values; or none that names a schema, unless `otherwise`
//!   says differently.
//!
//! Integers beyond 64 bits are compared as the nearest 64-bit float.
//!
//! # Errors
//!
//! `configure` refuses unknown keys, files that cannot be read or are not JSON, schemas that are not valid by their
//! draft, and references that lead nowhere; the message names the key, the file and the reference.

mod documents;
mod program;
mod report;
mod schema;

#[cfg(target_family = "wasm")]
mod randomness;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use trackside_plugin::{Failure, Field, Message, Setup, SetupError, Stage, Verdict, json};

use crate::schema::{Options, Schema};

/// The stage's settings; the crate's page describes the keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs, reason = "described in the table above")]
pub struct Settings {
    pub schema: Option<String>,
    pub schemas: Option<BTreeMap<String, String>>,
    pub by: Option<String>,
    pub otherwise: Option<String>,
    #[serde(default)]
    pub documents: Vec<String>,
    pub check_formats: Option<bool>,
}

/// The stage.
#[derive(Debug)]
pub struct Validate(Choice);

/// Which schema a message has to match.
#[derive(Debug)]
enum Choice {
    One(Schema),
    Several { by: Field, schemas: BTreeMap<String, Schema>, otherwise: Otherwise },
}

#[derive(Debug)]
enum Otherwise {
    Reject,
    Forward,
    /// The name of one of the schemas.
    Schema(String),
}

impl Stage for Validate {
    type Settings = Settings;

    fn configure(settings: Settings, setup: &Setup) -> Result<Self, SetupError> {
        let options = Options { documents: &settings.documents, check_formats: settings.check_formats };
        let choice = match (settings.schema, settings.schemas) {
            (Some(file), None) => {
                if settings.by.is_some() {
                    return Err(SetupError::new("it chooses among `schemas`, and there is only one").at("by"));
                }
                if settings.otherwise.is_some() {
                    return Err(SetupError::new("it goes with `schemas`, and there is only one").at("otherwise"));
                }
                Choice::One(Schema::load("schema", &file, &options, setup)?)
            }
            (None, Some(files)) => {
                Choice::several(files, settings.by.as_deref(), settings.otherwise.as_deref(), &options, setup)?
            }
            (Some(_), Some(_)) => return Err("give either `schema` or `schemas`, not both".into()),
            (None, None) => return Err("`schema` is missing; write the path of a schema file".into()),
        };
        Ok(Self(choice))
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        let Some(schema) = self.0.choose(message)? else {
            return Ok(Verdict::Forward);
        };
        let payload = message.payload();
        if schema.surely_accepts(&payload) {
            return Ok(Verdict::Forward);
        }
        Ok(match schema.check(&json::parse(&payload)?) {
            Ok(()) => Verdict::Forward,
            Err(reason) => Verdict::Reject(reason),
        })
    }
}

impl Choice {
    fn several(
        files: BTreeMap<String, String>,
        by: Option<&str>,
        otherwise: Option<&str>,
        options: &Options<'_>,
        setup: &Setup,
    ) -> Result<Self, SetupError> {
        let by = by.ok_or("`by` is missing; write `header:NAME` or a JSONPath that names one of the schemas")?;
        let by = Field::compile(by).map_err(|error| error.at("by"))?;
        let otherwise = match otherwise {
            None | Some("reject") => Otherwise::Reject,
            Some("forward") => Otherwise::Forward,
            Some(name) if files.contains_key(name) => Otherwise::Schema(name.to_owned()),
            Some(name) => {
                let problem =
                    format!("there is no schema `{name}`; write `reject`, `forward` or one of {}", names(&files));
                return Err(SetupError::new(problem).at("otherwise"));
            }
        };
        let mut schemas = BTreeMap::new();
        for (name, file) in files {
            let key = format!("schemas.{name}");
            if name == "reject" || name == "forward" {
                return Err(SetupError::new("this name means something else to `otherwise`; take another").at(key));
            }
            schemas.insert(name, Schema::load(&key, &file, options, setup)?);
        }
        if schemas.is_empty() {
            return Err(SetupError::new("it is empty; name at least one schema file").at("schemas"));
        }
        Ok(Self::Several { by, schemas, otherwise })
    }

    /// The schema for this message; `None` where any payload will do.
    fn choose(&self, message: &Message) -> Result<Option<&Schema>, Failure> {
        let (by, schemas, otherwise) = match self {
            Self::One(schema) => return Ok(Some(schema)),
            Self::Several { by, schemas, otherwise } => (by, schemas, otherwise),
        };
        let name = by.read(message)?;
        if let Some(schema) = name.as_ref().and_then(|name| schemas.get(name)) {
            return Ok(Some(schema));
        }
        match otherwise {
            Otherwise::Forward => Ok(None),
            Otherwise::Schema(name) => Ok(schemas.get(name)),
            Otherwise::Reject => {
                let found = if name.is_some() { "names none of the schemas" } else { "is missing" };
                Err(Failure::reject(format!("`{}` {found}: it must be one of {}", by.as_str(), names(schemas))))
            }
        }
    }
}

fn names<T>(schemas: &BTreeMap<String, T>) -> String {
    schemas.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

trackside_plugin::export!(Validate);
