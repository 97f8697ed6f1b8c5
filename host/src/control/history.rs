//! The revisions that were in force: when, by whom, and what each of them changed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::names::{PluginName, Revision, TokenName};
use crate::rules::Contents;

use super::event::Trigger;

/// Revisions that are remembered, the one in force included.
pub(super) const REMEMBERED_REVISIONS: usize = 20;
/// Names of one kind that a change tells.
const MAX_NAMES: usize = 100;

/// A revision that was in force, or is.
#[derive(Debug, Clone)]
pub struct Past {
    /// Which.
    pub revision: Revision,
    /// Since when.
    pub since: SystemTime,
    /// What brought it.
    pub trigger: Trigger,
    /// Whose token it was, if the admin API brought it.
    pub who: Option<TokenName>,
    /// How it differs from the one before.
    pub changes: Changes,
    /// Whether it can be activated.
    pub kept: bool,
}

/// How two revisions differ. Where nothing is said, it is in what is not text: a schema, a secret, a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The TOML files.
    pub files: Difference,
    /// The rules, by the text from their beginning to the next one.
    pub rules: Difference,
    /// The plugins, by their components.
    pub plugins: Difference,
}

/// What was added, removed and changed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that are others.
    pub changed: Vec<String>,
    /// How many are not told.
    pub more: usize,
}

/// What a revision was made of, to tell what the next one changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) contents: Contents,
    pub(super) plugins: BTreeMap<PluginName, String>,
}

impl Changes {
    pub(super) fn between(old: &Made, new: &Made) -> Self {
        Self {
            files: Difference::between(&old.contents.files, &new.contents.files),
            rules: Difference::between(&old.contents.rules, &new.contents.rules),
            plugins: Difference::between(&old.plugins, &new.plugins),
        }
    }
}

impl Difference {
    fn between<K: Ord + ToString, V: PartialEq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Self {
        let mut difference = Self::default();
        let mut tell = |kind: fn(&mut Self) -> &mut Vec<String>, name: &K| {
            if kind(&mut difference).len() < MAX_NAMES {
                kind(&mut difference).push(name.to_string());
            } else {
                difference.more += 1;
            }
        };
        for (name, value) in new {
            match old.get(name) {
                None => tell(|difference| &mut difference.added, name),
                Some(before) if before != value => tell(|difference| &mut difference.changed, name),
                Some(_) => {}
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(name)) {
            tell(|difference| &mut difference.removed, name);
        }
        difference
    }
}
