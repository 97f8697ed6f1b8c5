//! Every key of the configuration: what it takes, its default and what it means. The parser takes names, bounds and
//! defaults from here, and `docs/config.md` is made of it, so that neither can say what the other does not.

mod document;
mod sections;

use std::time::Duration;

pub use document::document;
pub(super) use sections::*;

/// A table of the configuration.
#[derive(Debug)]
pub(super) struct Section {
    /// How it is written, for example `[nats.tls]`.
    pub(super) title: &'static str,
    /// What it is for.
    pub(super) meaning: &'static str,
    /// Its keys, in the order of the document.
    pub(super) keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What values it takes.
    pub(super) kind: Kind,
    /// What holds without it.
    pub(super) default: Fallback,
    /// What it means, in Markdown.
    pub(super) meaning: &'static str,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Texts,
    Boolean,
    Whole(u64, u64),
    Duration(Duration, Duration),
    Durations(Duration, Duration),
    Size(usize, usize),
    OneOf(&'static [&'static str]),
    /// `env:NAME` or `file:PATH`.
    Secret,
    /// A subject with placeholders.
    Template,
    /// A table, or several by name, described in a section of their own.
    Table(&'static str),
    /// Something that the words describe.
    Other(&'static str),
}

/// What holds when a key is not there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fallback {
    /// Nothing can: it has to be there.
    Required,
    /// This value, as it would be written in TOML.
    Value(&'static str),
    /// What the words say.
    Said(&'static str),
}

impl Section {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// The plugins that need no entry because the binary carries them.
pub const STANDARD_PLUGINS: [&str; 4] = ["validate", "transform", "mask", "route"];

/// Whether some table has a key of this name.
pub(super) fn is_key(name: &str) -> bool {
    ALL.iter().any(|section| section.key(name).is_some())
}
