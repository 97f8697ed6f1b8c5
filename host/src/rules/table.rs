//! A table of a file and its section of the reference, side by side: keys are looked up in both, so a key that the
//! reference does not have cannot be read, and one that it has gets its bounds and its default from there.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::error::{Location, Problem, Severity, SourceText};
use super::reference::{Fallback, Key, Kind, Section};
use super::values::{self, Node, Wrong};
use super::{suggest, units};

/// What is wrong, gathered while everything else is read on. Shared by all readers of one load.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn push(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.0.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// The file that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) source: &'a Arc<SourceText>,
    pub(super) problems: &'a Problems,
}

impl File<'_> {
    pub(super) fn at(self, span: Range<usize>) -> Location {
        Location::new(self.source, span)
    }

    pub(super) fn error(self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::error(message).at(self.at(span)).help(help));
    }
}

/// A table that is being read. Reading never stops at what is wrong: it is reported, and the default stands in.
#[derive(Debug, Clone)]
pub(super) struct Table<'a> {
    pub(super) file: File<'a>,
    /// Where the table begins.
    pub(super) span: Range<usize>,
    section: &'static Section,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// Opens a table, and reports the keys that it cannot have.
    pub(super) fn open(
        file: File<'a>,
        section: &'static Section,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        for (key, _) in entries.iter().filter(|(key, _)| section.key(key.get_ref()).is_none()) {
            let known = section.keys.iter().map(|key| key.name);
            let help = suggest::help(key.get_ref(), known, "keys here");
            let message = format!("unknown key `{}` in {}", key.get_ref(), section.title);
            file.error(key.span(), message, help);
        }
        Self { file, span, section, entries }
    }

    /// Opens the value of a key as a table.
    pub(super) fn open_node(file: File<'a>, section: &'static Section, name: &str, node: &'a Node<'a>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Table(entries) => Some(Self::open(file, section, node.span(), entries)),
            other => {
                let message = format!("`{name}` must be a table, not {}", values::kind(other));
                file.error(node.span(), message, format!("write it as {}", section.title));
                None
            }
        }
    }

    /// Where the table begins.
    pub(super) fn location(&self) -> Location {
        self.file.at(self.span.clone())
    }

    /// The value of a key, if it is there.
    pub(super) fn node(&self, name: &str) -> Option<&'a Node<'a>> {
        self.entries.get(name)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Where a key is written, or else where the table begins.
    pub(super) fn key_location(&self, name: &str) -> Location {
        let span = self.entries.get_key_value(name).map_or_else(|| self.span.clone(), |(key, _)| key.span());
        self.file.at(span)
    }

    /// Where a key's value is written, or else where the table begins.
    pub(super) fn value_location(&self, name: &str) -> Location {
        self.file.at(self.node(name).map_or_else(|| self.span.clone(), Node::span))
    }

    /// Reports something about a key's value.
    pub(super) fn error(&self, name: &str, message: impl Into<String>, help: impl Into<String>) {
        self.file.problems.push(Problem::error(message).at(self.value_location(name)).help(help));
    }

    /// The table below a key.
    pub(super) fn table(&self, name: &str, section: &'static Section) -> Option<Table<'a>> {
        let Some(node) = self.node(name) else {
            self.check_required(self.spec(name));
            return None;
        };
        Self::open_node(self.file, section, name, node)
    }

    /// The tables below a key, by name, in the order of the file: `[key.NAME]`.
    pub(super) fn named(&self, name: &str) -> Vec<(&'a values::KeyNode<'a>, &'a Node<'a>)> {
        match self.node(name).map(Node::get_ref) {
            None => {
                self.check_required(self.spec(name));
                Vec::new()
            }
            Some(DeValue::Table(entries)) => values::in_order(entries),
            Some(other) => {
                let message = format!("`{name}` must be tables by name, not {}", values::kind(other));
                self.error(name, message, format!("write {}", self.title_of(name)));
                Vec::new()
            }
        }
    }

    /// The elements of an array of tables: `[[key]]`.
    pub(super) fn array(&self, name: &str, section: &'static Section) -> Vec<Table<'a>> {
        match self.node(name).map(Node::get_ref) {
            None => {
                self.check_required(self.spec(name));
                Vec::new()
            }
            Some(DeValue::Array(elements)) => {
                elements.iter().filter_map(|node| Self::open_node(self.file, section, name, node)).collect()
            }
            Some(other) => {
                let message = format!("`{name}` must be an array of tables, not {}", values::kind(other));
                self.error(name, message, format!("write {}", self.title_of(name)));
                Vec::new()
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read(name, values::text)
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.read(name, values::boolean).unwrap_or_default()
    }

    /// A whole number within the bounds of the reference.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        let Kind::Whole(min, max) = self.spec(name).kind else { return None };
        self.read(name, |node| values::whole(node, min..=max))
    }

    /// A whole number with a default; the reference's bounds fit the type.
    pub(super) fn number<T: TryFrom<u64> + Default>(&self, name: &str) -> T {
        self.whole(name).and_then(|number| T::try_from(number).ok()).unwrap_or_default()
    }

    /// A duration with a default, within the bounds of the reference.
    pub(super) fn duration(&self, name: &str) -> Duration {
        let Kind::Duration(min, max) = self.spec(name).kind else { return Duration::ZERO };
        self.read(name, |node| values::duration(node, min..=max)).unwrap_or_default()
    }

    /// A list of durations, each within the bounds of the reference.
    pub(super) fn durations(&self, name: &str) -> Vec<Duration> {
        let Kind::Durations(min, max) = self.spec(name).kind else { return Vec::new() };
        let read = |node: &Node<'_>| values::list(node, |element| values::duration(element, min..=max));
        self.read(name, read).unwrap_or_default()
    }

    /// A number of bytes within the bounds of the reference.
    pub(super) fn size(&self, name: &str) -> Option<usize> {
        let Kind::Size(min, max) = self.spec(name).kind else { return None };
        self.read(name, |node| values::size(node, min..=max))
    }

    /// One of the words of the reference.
    pub(super) fn word(&self, name: &str) -> &'static str {
        let Kind::OneOf(words) = self.spec(name).kind else { return "" };
        self.read(name, |node| values::one_of(node, words)).unwrap_or_default()
    }

    /// A list of texts, each with its place.
    pub(super) fn texts(&self, name: &str) -> Vec<(String, Range<usize>)> {
        let read = |node: &Node<'_>| {
            values::elements(node).map(|elements| {
                let text = |element: &Node<'_>| match values::text(element) {
                    Ok(text) => Some((text, element.span())),
                    Err(wrong) => {
                        let message = format!("an element of `{name}` {}", wrong.message);
                        self.file.error(element.span(), message, wrong.help);
                        None
                    }
                };
                elements.iter().filter_map(text).collect()
            })
        };
        self.read(name, read).unwrap_or_default()
    }

    /// Whether a key has a list or table without anything in it.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        match self.node(name).map(Node::get_ref) {
            Some(DeValue::Array(elements)) => elements.is_empty(),
            Some(DeValue::Table(entries)) => entries.is_empty(),
            _ => false,
        }
    }

    /// A key's value if it is there and right, else its default. What is wrong is reported.
    pub(super) fn read<T>(&self, name: &str, read: impl Fn(&Node<'_>) -> Result<T, Wrong>) -> Option<T> {
        let spec = self.spec(name);
        let Some(node) = self.node(name) else {
            self.check_required(spec);
            return default(spec, read);
        };
        match read(node) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let span = wrong.span.unwrap_or_else(|| node.span());
                self.file.error(span, format!("`{name}` {}", wrong.message), wrong.help);
                default(spec, read)
            }
        }
    }

    /// Reports a key that has to be there.
    pub(super) fn missing(&self, name: &str) {
        let spec = self.spec(name);
        let what = match spec.kind {
            Kind::Table(title) => format!("add {title}"),
            _ => format!("add `{name} = …`"),
        };
        let message = format!("{} has no `{name}`", self.section.title);
        self.file.error(self.span.clone(), message, format!("{what}: {}", plain(spec.meaning)));
    }

    /// Reports a key that has to be there and is not, unless it is there in a wrong spelling, which was reported.
    fn check_required(&self, spec: &Key) {
        if matches!(spec.default, Fallback::Required) {
            self.require(spec.name);
        }
    }

    /// The same for a key that has to be there only because another one is not.
    pub(super) fn require(&self, name: &str) {
        let known = || self.section.keys.iter().map(|key| key.name);
        let misspelt = |key: &str| !known().any(|name| name == key) && suggest::nearest(key, known()) == Some(name);
        if !self.entries.keys().any(|key| misspelt(key.get_ref())) {
            self.missing(name);
        }
    }

    fn title_of(&self, name: &str) -> &'static str {
        if let Kind::Table(title) = self.spec(name).kind { title } else { "a table" }
    }

    /// What the reference says of a key.
    fn spec(&self, name: &str) -> &'static Key {
        self.section.key(name).expect("the parser reads only keys that the reference has")
    }
}

/// The default of a key, read as if it had been written.
fn default<T>(spec: &Key, read: impl Fn(&Node<'_>) -> Result<T, Wrong>) -> Option<T> {
    let Fallback::Value(toml) = spec.default else { return None };
    read(&DeValue::parse(toml).ok()?).ok()
}

/// A meaning's first sentence as it goes into a help text, which has no Markdown links and no final dot.
fn plain(meaning: &str) -> String {
    let meaning =
        meaning.strip_prefix("With `").and_then(|rest| rest.split_once(": ")).map_or(meaning, |(_, rest)| rest);
    let sentence = meaning.split_once(". ").map_or(meaning, |(first, _)| first);
    let sentence = sentence.split_once(", see [").map_or(sentence, |(first, _)| first).trim_end_matches('.');
    let mut chars = sentence.chars();
    // "URLs …" keeps its capitals, "The name …" does not.
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// A value's kind as the document has it.
pub(super) fn describe(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Whole(min, u64::MAX) => format!("whole number, at least {min}"),
        Kind::Whole(min, max) => format!("whole number, {min} to {max}"),
        Kind::Duration(min, max) => {
            format!("duration, `{}` to `{}`", units::show_duration(min), units::show_duration(max))
        }
        Kind::Durations(min, max) => {
            format!("list of durations, `{}` to `{}`", units::show_duration(min), units::show_duration(max))
        }
        Kind::Size(min, max) => format!("size, `{}` to `{}`", units::show_bytes(min), units::show_bytes(max)),
        Kind::OneOf(words) => values::either(&words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>()),
        Kind::Secret => "`\"env:NAME\"` or `\"file:PATH\"`".to_owned(),
        Kind::Template => "subject template".to_owned(),
        Kind::Table(title) => format!("`{title}`"),
        Kind::Other(words) => words.to_owned(),
    }
}
