//! The control path's beginning: a directory of TOML files becomes [`Rules`], with every name checked, every unit
//! resolved and every template compiled, or a [`Report`] of everything that is wrong with it.
//!
//! Pure but for reading the files: knows no Wasm, no NATS client and no plugin's settings. Secrets stay references.
//!
//! `files.rs` (bytes) -> `raw.rs` (TOML tables) -> `parse/` (types, then what has to fit together) -> `model.rs`.

mod bounds;
pub(crate) mod error;
mod files;
pub(crate) mod model;
mod parse;
mod raw;
mod reference;
pub(crate) mod secret;
mod suggest;
mod table;
mod template;
mod units;
mod values;

use std::path::Path;

pub use error::{Location, Look, Problem, Report, Severity, SourceText, TableLocation};
pub use files::FileSet;
pub use model::*;
pub use reference::{STANDARD_PLUGINS, document};
pub use secret::{Resolved, Secret, SecretError, SecretRef, resolve_secrets, secret_files};
pub use template::{RenderError, Template, TemplateError};

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
    parse::parse(files)
}

#[cfg(test)]
mod tests;
