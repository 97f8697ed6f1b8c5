//! The control path's beginning: a directory of TOML files becomes [`Rules`], with every name checked, every unit
//! resolved and every template compiled, or a [`Report`] of everything that is wrong with it.
//!
//! Pure but for reading the files: knows no Wasm, no NATS client and no plugin's settings. Secrets stay references.
//!
//! `files.rs` (bytes) -> `raw.rs` (TOML tables) -> `parse/` (types, then what has to fit together) -> `model.rs`.

mod bounds;
mod cases;
mod contents;
pub(crate) mod error;
mod files;
mod grant;
pub(crate) mod model;
mod oci;
mod order;
mod parse;
mod raw;
mod reference;
pub(crate) mod secret;
mod suggest;
mod table;
mod template;
pub mod testing;
mod transform;
mod trust;
mod units;
mod values;

use std::path::Path;

pub use cases::{
    Case, Content, Expected, ExpectedPart, Handing, LogLine, Outcome, Payload, Phrase, cases_document, load_cases,
};
pub use contents::Contents;
pub use error::{Location, Look, Problem, Report, Severity, SourceText, TableLocation};
pub use files::{CONFIG_FILE, FileSet, MAX_FILE_BYTES, RulesFile, RulesFileError};
pub use grant::{BucketAccess, Grant, GrantError, Grants};
pub use model::*;
pub use oci::{OciReference, ReferenceError, RegistryHost};
pub use order::{OrderBy, OrderByError};
pub use reference::{STANDARD_PLUGINS, document};
pub use secret::{Resolved, Secret, SecretError, SecretRef, resolve_secrets, secret_files};
pub use template::{RenderError, ServiceAddress, Template, TemplateError, UrlError, UrlTemplate};
pub use transform::SubjectTransform;
pub use trust::{PublicKey, PublicKeyError};
pub(crate) use units::duration;

/// Reads `trackside.toml` and `rules/*.toml` of a configuration directory. With the rules come the warnings.
///
/// # Errors
/// Everything that is wrong with any of the files, at once.
pub fn load(directory: &Path) -> Result<(Rules, Vec<Problem>), Report> {
    load_from(&FileSet::read(directory)?)
}

/// The same for files that are in memory.
///
/// # Errors
/// Everything that is wrong with any of the files, at once.
pub fn load_from(files: &FileSet) -> Result<(Rules, Vec<Problem>), Report> {
    match parse::parse(files) {
        (Some(rules), report) if !report.has_errors() => Ok((rules, report.0)),
        (_, report) => Err(report),
    }
}

/// What can still be checked of a configuration that has errors: the rules that have none themselves and use no plugin
/// whose table has one. What their plugins say about them belongs into the same report.
#[must_use]
pub fn sound_part(files: &FileSet) -> Option<Rules> {
    let (rules, report) = parse::parse(files);
    let mut rules = rules?;
    let broken: Vec<&Location> = report.errors().flat_map(Problem::locations).collect();
    let starts: Vec<Location> = rules.rules.iter().map(|rule| rule.location.clone()).collect();
    // A rule reaches to the beginning of the next one in its file.
    let rule_at = |place: &Location| {
        let before = starts.iter().filter(|start| start.file() == place.file() && start.line() <= place.line());
        before.map(Location::line).max()
    };
    let unsound: Vec<(&str, usize)> = broken.iter().filter_map(|place| Some((place.file(), rule_at(place)?))).collect();
    let config = &rules.config;
    let known =
        |stage: &Stage| config.plugins.contains_key(&stage.plugin) || STANDARD_PLUGINS.contains(&stage.plugin.as_str());
    rules.rules.retain(|rule| {
        !unsound.contains(&(rule.location.file(), rule.location.line())) && rule.stages.iter().all(known)
    });
    Some(rules)
}

#[cfg(test)]
mod tests;
