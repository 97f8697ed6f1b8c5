//! What a rejection says: every violation, and nothing of what the payload holds.

use std::collections::HashSet;
use std::fmt::Write;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ErrorIterator, ValidationError};
use serde_json::Value;

use crate::documents;

/// How many violations are listed, and how many are counted at most.
const MAX_LISTED: usize = 32;
const MAX_COUNTED: usize = 1000;
/// Reasons travel in a header of the dead letter.
const MAX_REASON_BYTES: usize = 4096;
/// Expectations that are longer, like a large `enum`, are cut.
const MAX_EXPECTATION_CHARS: usize = 200;

/// The reason for a rejection.
pub(crate) fn reason(file: &str, errors: ErrorIterator<'_>, known_keys: &HashSet<String>) -> String {
    let mut report = Report { file, known_keys, text: String::new(), listed: 0, counted: 0 };
    let _ = write!(report.text, "the payload does not match {file}:");
    for error in errors {
        report.add(&error);
        if report.counted >= MAX_COUNTED {
            break;
        }
    }
    report.finish()
}

struct Report<'r> {
    file: &'r str,
    known_keys: &'r HashSet<String>,
    text: String,
    listed: usize,
    counted: usize,
}

impl Report<'_> {
    /// Adds a violation, and those of the alternatives that were tried for it.
    fn add(&mut self, error: &ValidationError<'_>) {
        self.counted += 1;
        if self.listed < MAX_LISTED && self.text.len() < MAX_REASON_BYTES {
            let separator = if self.listed == 0 { " " } else { "; " };
            let line = format!(
                "{separator}{} {} ({})",
                instance_place(error.instance_path(), self.known_keys),
                expectation(error),
                schema_place(self.file, error)
            );
            if self.text.len() + line.len() <= MAX_REASON_BYTES {
                self.text.push_str(&line);
                self.listed += 1;
            }
        }
        if let Kind::AnyOf { context } | Kind::OneOfNotValid { context } = error.kind() {
            for error in context.iter().flatten() {
                if self.counted < MAX_COUNTED {
                    self.add(error);
                }
            }
        }
    }

    fn finish(mut self) -> String {
        let more = self.counted - self.listed;
        if more > 0 {
            let least = if self.counted >= MAX_COUNTED { "at least " } else { "" };
            let _ = write!(self.text, "; and {least}{more} more");
        }
        // A header takes no control characters, and a schema may have some in its texts.
        self.text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
    }
}

/// A JSON Pointer (RFC 6901) to the place in the payload, with `*` for keys that no schema file mentions.
fn instance_place(path: &Location, known_keys: &HashSet<String>) -> String {
    let mut place = String::new();
    for segment in path.segments() {
        place.push('/');
        match segment {
            LocationSegment::Index(index) => {
                let _ = write!(place, "{index}");
            }
            LocationSegment::Property(key) if known_keys.contains(key.as_ref()) => {
                place.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            LocationSegment::Property(_) => place.push('*'),
        }
    }
    // The pointer to the whole of it is the empty string, which nobody would find in a sentence.
    if place.is_empty() { "the document".to_owned() } else { place }
}

/// The file and, as a JSON Pointer, the keyword that was violated.
fn schema_place(file: &str, error: &ValidationError<'_>) -> String {
    match error.absolute_keyword_location() {
        Some(uri) => documents::display(uri.as_str()).to_owned(),
        None => format!("{file}#{}", error.schema_path()),
    }
}

/// What is wrong, told by what the schema expects. Never by what is there: only its type is.
fn expectation(error: &ValidationError<'_>) -> String {
    let text = match error.kind() {
        Kind::AdditionalItems { limit } => format!("has more than the {limit} elements that are allowed"),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("has {} that {} not allowed", counted(unexpected.len(), "key"), are(unexpected.len()))
        }
        Kind::UnevaluatedItems { unexpected } => {
            format!("has {} that {} not allowed", counted(unexpected.len(), "element"), are(unexpected.len()))
        }
        Kind::AnyOf { context } => format!("matches none of {} alternatives", context.len()),
        Kind::OneOfNotValid { context } => {
            format!("matches none of {} alternatives, and must match one", context.len())
        }
        Kind::OneOfMultipleValid { .. } => "matches more than one alternative, and must match one".to_owned(),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "takes too long to compare with the pattern".to_owned()
        }
        Kind::Constant { expected_value } => format!("is not {expected_value}"),
        Kind::Contains => "has too few or too many elements that match `contains`".to_owned(),
        Kind::ContentEncoding { content_encoding } => format!("is not encoded as {content_encoding}"),
        Kind::FromUtf8 { .. } => "is not UTF-8 once it is decoded".to_owned(),
        Kind::ContentMediaType { content_media_type } => format!("is not {content_media_type}"),
        Kind::Enum { options } => format!("is none of {options}"),
        Kind::ExclusiveMaximum { limit } => format!("is not below {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("is not above {limit}"),
        Kind::Maximum { limit } => format!("is above the maximum {limit}"),
        Kind::Minimum { limit } => format!("is below the minimum {limit}"),
        Kind::FalseSchema => "is not allowed".to_owned(),
        Kind::Format { format } => format!("does not have the format {format}"),
        Kind::MaxItems { limit } => format!("has more than {}", counted(*limit, "element")),
        Kind::MinItems { limit } => format!("has less than {}", counted(*limit, "element")),
        Kind::MaxLength { limit } => format!("is longer than {}", counted(*limit, "character")),
        Kind::MinLength { limit } => format!("is shorter than {}", counted(*limit, "character")),
        Kind::MaxProperties { limit } => format!("has more than {}", counted(*limit, "key")),
        Kind::MinProperties { limit } => format!("has less than {}", counted(*limit, "key")),
        Kind::MultipleOf { multiple_of } => format!("is not a multiple of {multiple_of}"),
        Kind::Not { .. } => "matches what it must not match".to_owned(),
        Kind::Pattern { pattern } => format!("does not match the pattern {pattern}"),
        Kind::PropertyNames { error } => format!("has a key that {}", expectation(error)),
        Kind::Required { property } => format!("lacks {property}"),
        Kind::Type { kind } => format!("is {}, and must be {}", type_of(error.instance()), types(kind)),
        Kind::UniqueItems => "has the same element twice".to_owned(),
        Kind::Custom { .. } | Kind::Referencing(_) => "does not match".to_owned(),
    };
    cut(text)
}

fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or "),
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_EXPECTATION_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
