//! Where in a file something is.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::masked;

/// The text of one configuration file, shared by everything that points into it.
pub struct SourceText {
    name: String,
    text: String,
    /// The end of the last line that is not empty.
    end: usize,
    shown: OnceLock<Shown>,
}

/// A text as it may be shown: secrets masked, control characters replaced, byte offsets the same.
struct Shown {
    text: String,
    line_starts: Vec<usize>,
}

impl SourceText {
    /// Takes a file's name, as messages give it, and its text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let end = text.trim_end_matches(['\n', '\r']).len();
        Arc::new(Self { name: name.into(), text, end, shown: OnceLock::new() })
    }

    /// The file's name, as messages give it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text, secrets and all: for parsing, not for showing.
    pub(in crate::rules) fn text(&self) -> &str {
        &self.text
    }

    /// The text as it may be shown; as long as the original, byte for byte.
    pub(super) fn shown(&self) -> &str {
        &self.shown_once().text
    }

    /// The line that a byte is in, counted from 0.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.shown_once().line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The bytes of a line, its end of line included.
    pub(super) fn line(&self, line: usize) -> Range<usize> {
        let starts = &self.shown_once().line_starts;
        let end = starts.get(line + 1).copied().unwrap_or(self.text.len());
        starts.get(line).copied().unwrap_or(end)..end
    }

    fn shown_once(&self) -> &Shown {
        self.shown.get_or_init(|| {
            let text = masked::masked(&self.text);
            let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
            Shown { text, line_starts }
        })
    }
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold what somebody took for a good place for a password.
        f.debug_struct("SourceText").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A place in a configuration file. Cheap to clone.
///
/// All locations are equal: what a configuration says is the same wherever it says it, so two settings that differ
/// in nothing but their line compare as equal and a reload leaves them alone.
#[derive(Clone)]
pub struct Location {
    source: Arc<SourceText>,
    span: Range<usize>,
}

impl Location {
    /// The bytes `span` of a file.
    #[must_use]
    pub fn new(source: &Arc<SourceText>, span: Range<usize>) -> Self {
        // Past the end of the text, as a parser may say of what is missing there, is the end of its last line.
        let start = span.start.min(source.end);
        Self { source: Arc::clone(source), span: start..span.end.clamp(start, source.end) }
    }

    /// The file's name, as messages give it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.source.line_of(self.span.start) + 1
    }

    /// The column in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        let line = self.source.line(self.source.line_of(self.span.start));
        let before = self.source.text.get(line.start..self.span.start).unwrap_or_default();
        before.chars().count() + 1
    }

    /// The byte where it begins.
    pub(in crate::rules) fn start(&self) -> usize {
        self.span.start
    }

    pub(super) fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl Default for Location {
    /// Nowhere: for settings that were not read from a file.
    fn default() -> Self {
        Self::new(&SourceText::new("", ""), 0..0)
    }
}

impl fmt::Display for Location {
    /// `file:line:column`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file(), self.line(), self.column())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl PartialEq for Location {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Location {}

/// Where the values of a table are, so that an error about `fields[0].action` can point at it.
#[derive(Debug, Clone)]
pub struct TableLocation {
    whole: Location,
    places: Arc<Places>,
}

/// The places of a value's members or elements.
#[derive(Debug, Clone, Default)]
pub(in crate::rules) enum Places {
    /// A value that has no parts.
    #[default]
    Leaf,
    /// An array's elements.
    Elements(Vec<(Range<usize>, Places)>),
    /// A table's members: key, place of the value, its parts.
    Members(Vec<(String, Range<usize>, Places)>),
}

impl TableLocation {
    pub(in crate::rules) fn new(whole: Location, places: Places) -> Self {
        Self { whole, places: Arc::new(places) }
    }

    /// A table that is not written anywhere; every key is at this place.
    #[must_use]
    pub fn absent(place: Location) -> Self {
        Self::new(place, Places::Leaf)
    }

    /// Where the table is.
    #[must_use]
    pub fn whole(&self) -> &Location {
        &self.whole
    }

    /// Where the value of a key path such as `fields[0].action` is, or its nearest parent that is there.
    #[must_use]
    pub fn find(&self, path: &str) -> Location {
        self.descend(path).map_or_else(|| self.whole.clone(), |span| Location::new(&self.whole.source, span))
    }

    /// Takes apart a plugin's message of the form `fields[0].action: reason`: where that key is, and the reason. A
    /// message that does not begin with a key of this table is about the table as a whole.
    #[must_use]
    pub fn find_in<'m>(&self, message: &'m str) -> (Location, &'m str) {
        let found = message.split_once(": ").and_then(|(path, reason)| Some((self.descend(path)?, reason)));
        match found {
            Some((span, reason)) => (Location::new(&self.whole.source, span), reason),
            None => (self.whole.clone(), message),
        }
    }

    /// The place of the deepest part of the path that is there; none if not even its first part is.
    fn descend(&self, path: &str) -> Option<Range<usize>> {
        let (mut places, mut rest, mut found) = (&*self.places, path, None);
        while !rest.is_empty() {
            let Some((span, inner, left)) = places.step(rest) else { break };
            (places, rest, found) = (inner, left, Some(span.clone()));
        }
        found
    }
}

impl Places {
    /// Goes down by the first part of the path; keys may themselves have dots and brackets, so the longest one wins.
    fn step<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a Range<usize>, &'a Places, &'p str)> {
        match self {
            Self::Leaf => None,
            Self::Elements(elements) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let (span, inner) = elements.get(index.parse::<usize>().ok()?)?;
                Some((span, inner, rest.strip_prefix('.').unwrap_or(rest)))
            }
            Self::Members(members) => members
                .iter()
                .filter_map(|(key, span, inner)| {
                    let rest = path.strip_prefix(key.as_str())?;
                    match rest.chars().next() {
                        None | Some('[') => Some((key.len(), (span, inner, rest))),
                        Some('.') => Some((key.len(), (span, inner, &rest[1..]))),
                        Some(_) => None,
                    }
                })
                .max_by_key(|(length, _)| *length)
                .map(|(_, step)| step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> (Arc<SourceText>, TableLocation) {
        let source = SourceText::new("rules/a.toml", "with = { fields = [ { path = 1, \"a.b\" = 2 } ] }\n");
        let span = |text: &str| {
            let at = source.text.find(text).expect("is there");
            at..at + text.len()
        };
        let field = Places::Members(vec![
            ("path".to_owned(), span("1"), Places::Leaf),
            ("a.b".to_owned(), span("2"), Places::Leaf),
        ]);
        let fields = Places::Elements(vec![(span("{ path = 1, \"a.b\" = 2 }"), field)]);
        let places = Places::Members(vec![("fields".to_owned(), span("[ { path = 1, \"a.b\" = 2 } ]"), fields)]);
        let whole = Location::new(&source, span("{ fields = [ { path = 1, \"a.b\" = 2 } ] }"));
        (Arc::clone(&source), TableLocation::new(whole, places))
    }

    #[test]
    fn a_key_path_is_found_and_a_missing_one_falls_back_to_its_nearest_parent() {
        let (source, table) = table();
        for (path, want) in [
            ("fields[0].path", "1"),
            ("fields[0].a.b", "2"),
            ("fields[0].action", "{ path = 1, \"a.b\" = 2 }"),
            ("fields[7].path", "[ { path = 1, \"a.b\" = 2 } ]"),
            ("field", "{ fields = [ { path = 1, \"a.b\" = 2 } ] }"),
            ("", "{ fields = [ { path = 1, \"a.b\" = 2 } ] }"),
        ] {
            assert_eq!(&source.text[table.find(path).span()], want, "{path}");
        }
    }

    #[test]
    fn a_message_that_begins_with_a_key_is_taken_apart() {
        let (source, table) = table();
        let (place, reason) = table.find_in("fields[0].path: is not a path: `x`");
        assert_eq!((&source.text[place.span()], reason), ("1", "is not a path: `x`"));
        let (place, reason) = table.find_in("schema `a`: is broken");
        assert_eq!((place.column(), reason), (8, "schema `a`: is broken"));
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = SourceText::new("a.toml", "a = 1\n\"é\" = 2\n");
        let at = source.text.find('2').expect("is there");
        assert_eq!(Location::new(&source, at..at + 1).to_string(), "a.toml:2:7");
        assert_eq!(Location::new(&source, 900..901).to_string(), "a.toml:2:8");
    }
}
