//! Which directories to watch, and which of their entries matter. Directories are watched and never files, because an
//! editor that renames a new file into place takes a watched file away.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

const MAIN_FILE: &str = "trackside.toml";
const TREES: [&str; 3] = ["rules", "schemas", "plugins"];
/// Symbolic links that are followed one after another; as many as Linux does.
const MAX_LINKS: usize = 40;

/// What to watch, all paths being free of symbolic links.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Directories in which everything matters, at any depth.
    trees: BTreeSet<PathBuf>,
    /// Directories with the names in them that matter.
    entries: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

impl Targets {
    /// What to watch for a configuration directory and further files, whether they are there or not.
    pub(super) fn new(directory: &Path, further: &[PathBuf]) -> Self {
        let mut targets = Self::default();
        targets.add(&directory.join(MAIN_FILE), MAX_LINKS);
        for tree in TREES.map(|name| directory.join(name)) {
            targets.add(&tree, MAX_LINKS);
            targets.trees.extend(fs::canonicalize(&tree).ok().filter(|tree| tree.is_dir()));
        }
        for file in further {
            targets.add(file, MAX_LINKS);
        }
        targets
    }

    pub(super) fn trees(&self) -> &BTreeSet<PathBuf> {
        &self.trees
    }

    /// The directories to watch by themselves: those that no tree holds.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let outside = |directory: &&PathBuf| !self.trees.iter().any(|tree| directory.starts_with(tree));
        self.entries.keys().filter(outside).cloned().collect()
    }

    /// Whether a change of this path matters.
    pub(super) fn concern(&self, path: &Path) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return true;
        };
        self.entries.get(directory).is_some_and(|names| names.contains(name))
            || self.entries.contains_key(path)
            || (self.trees.iter().any(|tree| path.starts_with(tree)) && !is_scratch(name))
    }

    /// Adds a path: its own entry, and that of every symbolic link on the way to it, since Kubernetes and deployment
    /// tools swap a link far above the file.
    fn add(&mut self, path: &Path, links: usize) {
        for step in path.ancestors() {
            let (Some(parent), Some(name)) = (step.parent(), step.file_name()) else {
                continue;
            };
            let target = fs::read_link(step).ok();
            if step == path || target.is_some() {
                self.add_entry(parent, name);
            }
            if let Some(target) = target
                && links > 0
            {
                self.add(&parent.join(target), links - 1);
            }
        }
    }

    /// Adds an entry of a directory; if there is no such directory, the entry that has to appear first.
    fn add_entry(&mut self, directory: &Path, name: &OsStr) {
        if let Ok(directory) = fs::canonicalize(directory) {
            self.entries.entry(directory).or_default().insert(name.to_owned());
        } else if let (Some(parent), Some(missing)) = (directory.parent(), directory.file_name()) {
            self.add_entry(parent, missing);
        }
    }
}

/// A path as the log shows it: without the configuration directory in front.
pub(super) fn shortened(directory: &Path, path: &Path) -> PathBuf {
    let real = fs::canonicalize(directory);
    let real = real.as_deref().unwrap_or(directory);
    path.strip_prefix(real).unwrap_or(path).to_owned()
}

/// Whether an editor keeps its own things under this name. Two dots are how Kubernetes names what it swaps.
fn is_scratch(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    (name.starts_with(b".") && !name.starts_with(b"..")) || name.ends_with(b"~")
}
