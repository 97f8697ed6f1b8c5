//! What is wrong with a configuration: all of it at once, each with file, line, caret and what to write instead.

mod location;
mod masked;
mod render;

use std::fmt;

pub(in crate::rules) use location::Places;
pub use location::{Location, SourceText, TableLocation};
pub use render::Look;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but is hardly what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, lower case, without a final dot and without any secret.
    pub message: String,
    /// Where, if it is in a file.
    pub location: Option<Location>,
    /// A few words beside the caret.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that have to do with it, and how.
    pub also: Vec<(Location, String)>,
}

impl Problem {
    /// Something that keeps the configuration from being used.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, &message.into())
    }

    /// Something that is hardly meant.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, &message.into())
    }

    /// The same problem at this place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same problem with a few words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same problem with what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem with another place that has to do with it.
    #[must_use]
    pub fn also(mut self, location: Location, label: impl Into<String>) -> Self {
        self.also.push((location, label.into()));
        self
    }

    /// All places that it has to do with.
    pub(in crate::rules) fn locations(&self) -> impl Iterator<Item = &Location> {
        self.location.iter().chain(self.also.iter().map(|(location, _)| location))
    }

    fn new(severity: Severity, message: &str) -> Self {
        Self { severity, message: masked::quoted(message), location: None, label: None, help: None, also: Vec::new() }
    }
}

/// Everything that is wrong, at least one [`Problem`] of which is an error.
///
/// Displays as `trackside check` prints it without a terminal: ASCII, no colours, no secrets.
#[derive(Debug, Clone)]
pub struct Report(pub Vec<Problem>);

impl Report {
    /// The report as it looks on this kind of output.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        render::render(&self.0, look)
    }

    /// `2 errors and 1 warning`
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |severity| self.0.iter().filter(|problem| problem.severity == severity).count();
        let some = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{count} {word}s")),
        };
        let parts = [some(count(Severity::Error), "error"), some(count(Severity::Warning), "warning")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }

    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The problems that are errors.
    pub(in crate::rules) fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// Puts the problems into the order of the files, those without a place first.
    pub(crate) fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| place(a).cmp(&place(b)));
        Self(problems)
    }
}

/// What to sort by. Files are in the order of their names, but `trackside.toml` comes before `rules/`.
fn place(problem: &Problem) -> Option<(bool, &str, usize)> {
    let location = problem.location.as_ref()?;
    Some((!location.file().ends_with("trackside.toml"), location.file(), location.span().start))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Look::Plain))
    }
}

impl std::error::Error for Report {}
