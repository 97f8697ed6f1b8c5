//! The cases of `trackside plugin test`: which message is handed to a plugin, with which settings, and what has to
//! become of it. Read as rules are, and as pure.

mod model;
mod parse;
mod sections;

use std::path::Path;

use super::error::{Problem, Report, SourceText};
use super::raw;
use super::reference::Section;
use super::table::Problems;

pub use model::{Case, Content, Expected, ExpectedPart, Handing, LogLine, Outcome, Payload, Phrase};

/// Largest cases file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads a file of cases. Files that it names are looked for in its folder.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load_cases(file: &Path) -> Result<Vec<Case>, Report> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Report(vec![Problem::error(format!("`{}` cannot be read: {error}", file.display()))])
    };
    let size = file.metadata().map_err(|error| unreadable(&error))?.len();
    if size > MAX_FILE_BYTES {
        return Err(unreadable(&format!("it has more than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse_cases(&file.display().to_string(), &text, folder)
}

fn parse_cases(name: &str, text: &str, folder: &Path) -> Result<Vec<Case>, Report> {
    let source = SourceText::new(name, text);
    let problems = Problems::default();
    let cases = raw::table(&source, &problems).map(|raw| parse::cases(&raw, folder, &problems));
    let mut report = Report::sorted(problems.into_vec());
    // What is wrong with the defaults is found again with each case.
    report.0.dedup_by_key(|problem| (problem.message.clone(), problem.location.as_ref().map(ToString::to_string)));
    match cases {
        Some(cases) if !report.has_errors() => Ok(cases),
        _ => Err(report),
    }
}

/// The reference of the format in Markdown. A test compares `docs/plugin-development.md` with it.
#[must_use]
pub fn cases_document() -> String {
    let mut text = String::new();
    for section in sections::ALL {
        section.describe(&mut text);
    }
    text
}

impl Section {
    fn describe(&self, text: &mut String) {
        text.push_str(&format!("\n### `{}`\n", self.title));
        self.write(text);
    }
}

#[cfg(test)]
mod tests;
