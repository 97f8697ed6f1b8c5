//! A plugin's project: a folder with a `plugin.toml`, which says what language it is written in.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use crate::app::Failure;

/// The file that makes a folder a project.
const FILE: &str = "plugin.toml";

/// The languages that there is an SDK for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    /// Rust
    Rust,
    /// Python
    Python,
    /// JavaScript or TypeScript
    Js,
    /// Go
    Go,
    /// C
    C,
}

impl Language {
    /// How commands, files and folders spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Go => "go",
            Self::C => "c",
        }
    }
}

/// A project that is there.
#[derive(Debug)]
pub(super) struct Project {
    /// Its folder, absolute.
    pub(super) folder: PathBuf,
    /// What it is called; the component is `NAME.wasm`.
    pub(super) name: ProjectName,
    /// What it is written in.
    pub(super) language: Language,
}

/// `plugin.toml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    language: Language,
}

impl Project {
    /// Reads `plugin.toml` of a folder.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::new(format!(
                "{}: {error}; a plugin's project has this file, with the keys `name` and `language`: \
                 `trackside plugin new` writes one",
                file.display()
            ))
        })?;
        let invalid = |error: &dyn fmt::Display| Failure::new(format!("{}: {error}", file.display()));
        let read: File = toml::from_str(&text).map_err(|error| invalid(&error))?;
        let name = ProjectName::new(&read.name).map_err(|error| invalid(&error))?;
        let folder = std::path::absolute(folder).map_err(|error| invalid(&error))?;
        Ok(Self { folder, name, language: read.language })
    }

    /// The folder for what is made on the way, made if it is not there.
    pub(super) fn build_folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.folder.join("build");
        let failed = |error| Failure::new(format!("{} cannot be made: {error}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        Ok(folder)
    }
}

/// A name that can be a package's in every language: lower-case letters and digits in words joined by `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectName(String);

impl ProjectName {
    /// Longest name, in bytes; that of plugins in a configuration.
    const MAX_BYTES: usize = crate::names::MAX_NAME_BYTES;

    /// Checks the text and makes a name of it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if text.len() > Self::MAX_BYTES || !begins_well || !text.split('-').all(word) {
            return Err(format!(
                "`{}` cannot be a plugin's name: write lower-case letters and digits, in words joined by `-`, \
                 beginning with a letter, at most {} of them",
                text.escape_debug(),
                Self::MAX_BYTES
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was given: `vip-orders`.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// For languages whose names have no hyphens: `vip_orders`.
    pub(super) fn in_snake_case(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_a_packages_in_every_language() {
        for good in ["vip", "vip-orders", "v2", "a-1"] {
            assert!(ProjectName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Vip", "vip_orders", "-vip", "vip-", "a--b", "2nd", "vip.orders", "vïp", "../vip"] {
            assert!(ProjectName::new(bad).is_err(), "{bad}");
        }
        assert!(ProjectName::new(&"a".repeat(65)).is_err());
    }

    #[test]
    fn a_folder_without_a_plugin_toml_is_told_what_one_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Project::open(folder.path()).expect_err("there is none").to_string();
        assert!(error.contains("plugin.toml") && error.contains("trackside plugin new"), "{error}");
        std::fs::write(folder.path().join(FILE), "name = \"vip\"\nlanguage = \"cobol\"\n").expect("written");
        let error = Project::open(folder.path()).expect_err("no such language").to_string();
        assert!(error.contains("line 2") && error.contains("`rust`"), "{error}");
    }
}
