//! The tests of rules: `tests/*.toml` of a configuration directory become [`TestFile`]s, with every name looked up in the
//! rules, or a [`Report`] of everything that is wrong with them. Running them is `rule_tests`' business.
//!
//! They are no part of the configuration: no revision depends on them, and a running host does not read them.

mod expect;
pub mod json;
mod message;
mod model;
mod parse;
mod payload;
mod sections;

use std::path::Path;

pub use model::{Check, Ending, Expectation, FieldPath, Payload, Phrase, Spelling, Test, TestFile};

use super::error::Report;
use super::files::FileSet;
use super::model::Rules;

/// The reference of the tables of a test file, in Markdown, as docs/rule-tests.md has it.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for section in sections::ALL {
        text.push_str(&format!("\n### `{}`\n", section.title));
        section.write(&mut text);
    }
    text
}

/// Reads `tests/*.toml` of a configuration directory, files in the order of their names.
///
/// # Errors
/// Everything that is wrong with any of them, at once.
pub fn load(directory: &Path, rules: &Rules) -> Result<Vec<TestFile>, Report> {
    load_from(&FileSet::read_tests(directory)?, rules)
}

/// The same for files that are in memory.
///
/// # Errors
/// Everything that is wrong with any of them, at once.
pub fn load_from(files: &FileSet, rules: &Rules) -> Result<Vec<TestFile>, Report> {
    let (tests, report) = parse::parse(files, rules);
    if report.has_errors() { Err(report) } else { Ok(tests) }
}

#[cfg(test)]
mod tests;
