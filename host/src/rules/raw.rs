//! From bytes to TOML tables with the place of every value. All files are read even if one of them is broken.

use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::bounds;
use super::error::{Problem, SourceText};
use super::files::{CONFIG_FILE, FileSet};
use super::table::{File, Problems};

/// Syntax errors reported of one file: what follows the first few is mostly their consequence.
const MAX_SYNTAX_ERRORS: usize = 3;

/// The texts of all files that are UTF-8.
pub(super) struct Texts {
    config: Option<Arc<SourceText>>,
    rules: Vec<Arc<SourceText>>,
}

/// A file as a table.
pub(super) struct RawFile<'t> {
    pub(super) source: &'t Arc<SourceText>,
    pub(super) table: Spanned<DeTable<'t>>,
}

impl Texts {
    pub(super) fn new(files: &FileSet, problems: &Problems) -> Self {
        let (mut config, mut rules) = (None, Vec::new());
        for (path, bytes) in files.iter() {
            match std::str::from_utf8(bytes) {
                Ok(text) if path == CONFIG_FILE => config = Some(SourceText::new(files.shown(path), text)),
                Ok(text) => rules.push(SourceText::new(files.shown(path), text)),
                Err(error) => {
                    let good = &bytes[..error.valid_up_to()];
                    let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                    let message = format!("`{}` is not UTF-8 text: see line {line}", files.shown(path));
                    problems.push(Problem::error(message).help("save it as UTF-8, which TOML requires"));
                }
            }
        }
        Self { config, rules }
    }

    /// `trackside.toml` as a table, if it is there and has no syntax errors, which are reported.
    pub(super) fn config(&self, problems: &Problems) -> Option<RawFile<'_>> {
        self.config.as_ref().and_then(|source| table(source, problems))
    }

    /// The other files as tables, in the order of their names. One at a time: a table is some twenty times as large as
    /// its text, and those of 10,000 rules would be most of what the process ever needs.
    pub(super) fn rules(&self, problems: &Problems) -> impl Iterator<Item = RawFile<'_>> {
        self.rules.iter().filter_map(|source| table(source, problems))
    }
}

/// A file as a table; nothing if it has syntax errors, which are reported.
pub(super) fn table<'t>(source: &'t Arc<SourceText>, problems: &Problems) -> Option<RawFile<'t>> {
    if let Err(problem) = bounds::check(source) {
        problems.push(*problem);
        return None;
    }
    let (table, mut errors) = DeTable::parse_recoverable(source.text());
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let file = File { source, problems };
    let mut last_line = None;
    let places = errors.iter().map(|error| (error, file.at(error.span().unwrap_or_default())));
    // The parser goes on within the line, where nearly everything is a consequence of the first error.
    let firsts = places.filter(|(_, place)| last_line.replace(place.line()) != Some(place.line()));
    for (error, place) in firsts.take(MAX_SYNTAX_ERRORS) {
        let message = format!("not well-formed TOML: {}", error.message());
        problems.push(Problem::error(message).at(place));
    }
    errors.is_empty().then_some(RawFile { source, table })
}
