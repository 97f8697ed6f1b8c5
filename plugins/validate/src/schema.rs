//! One compiled schema.

use std::collections::HashSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ReferencingError, ValidationError, Validator};
use serde_json::Value;
use trackside_plugin::{Setup, SetupError};

use crate::documents::{self, Documents};
use crate::program::Program;
use crate::report;

/// What all schemas of a stage share.
pub(crate) struct Options<'s> {
    pub(crate) documents: &'s [String],
    pub(crate) check_formats: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Schema {
    file: String,
    validator: Validator,
    /// For most payloads, if the schema is of a kind that allows it.
    program: Option<Program>,
    /// The keys that the schema files mention: these are no secret.
    known_keys: HashSet<String>,
}

impl Schema {
    /// Reads the schema file that the settings have at `key`, and everything that it refers to.
    pub(crate) fn load(key: &str, file: &str, options: &Options<'_>, setup: &Setup) -> Result<Self, SetupError> {
        let documents = Documents::new(setup);
        for (index, document) in options.documents.iter().enumerate() {
            documents.add(document).map_err(|error| error.at(format!("documents[{index}]")))?;
        }
        let root = documents.add(file).map_err(|error| error.at(key))?;
        let mut builder =
            jsonschema::options().with_base_uri(documents::uri_of(file)).with_retriever(documents.clone());
        if let Some(check) = options.check_formats {
            builder = builder.should_validate_formats(check);
        }
        let validator = builder.build(&root).map_err(|error| SetupError::new(explain(file, &error)).at(key))?;
        let program = Program::compile(&root, options.check_formats);
        Ok(Self { file: file.to_owned(), validator, program, known_keys: documents.take_known_keys() })
    }

    /// Whether a payload matches, told from its bytes alone. If not, it may match all the same: [`Self::check`] knows.
    pub(crate) fn surely_accepts(&self, payload: &[u8]) -> bool {
        self.program.as_ref().is_some_and(|program| program.accepts(payload))
    }

    /// Checks a payload; the error is the reason for its rejection.
    pub(crate) fn check(&self, payload: &Value) -> Result<(), String> {
        // Most payloads match, and the yes-or-no check is several times faster than the one that collects errors.
        if self.validator.is_valid(payload) {
            return Ok(());
        }
        Err(report::reason(&self.file, self.validator.iter_errors(payload), &self.known_keys))
    }
}

/// Why a schema does not compile. Quotes the schema, which is no secret.
fn explain(file: &str, error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Referencing(ReferencingError::Unretrievable { uri, source }) => {
            format!("{file} refers to `{}`: {source}", documents::display(uri))
        }
        ValidationErrorKind::Referencing(error) => format!("{file} has a reference that leads nowhere: {error}"),
        _ => format!("{file} is not a valid schema: at {file}#{}: {error}", error.instance_path()),
    }
}
