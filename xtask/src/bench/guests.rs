//! Stages in Python and JavaScript that do what `mask` does: built as users build theirs, with `trackside plugin build`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::Workspace;
use crate::conformance::{Language, Project};

/// A language in which there is such a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    Python,
    Js,
}

impl Guest {
    pub(crate) const ALL: [Self; 2] = [Self::Python, Self::Js];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        self.language().title()
    }

    /// Its component, in the folder of all of them.
    pub(crate) fn component(self, folder: &Path) -> PathBuf {
        folder.join(self.language().name()).with_extension("wasm")
    }

    fn language(self) -> Language {
        match self {
            Self::Python => Language::Python,
            Self::Js => Language::Js,
        }
    }

    /// The file of a project that says what it does, and what that is here.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => ("src/plugin.py", include_str!("guests/mask.py")),
            Self::Js => ("src/plugin.js", include_str!("guests/mask.js")),
        }
    }
}

/// Builds all of them into a folder, which is returned.
pub(crate) async fn build(workspace: &Workspace, trackside: &Path) -> Result<PathBuf> {
    let folder = workspace.target.join("bench-guests");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for guest in Guest::ALL {
        let project = Project::begin(workspace, trackside, guest.language(), &folder).await?;
        let (file, source) = guest.source();
        let path = project.folder().join(file);
        fs::write(&path, source).with_context(|| format!("cannot write {}", path.display()))?;
        project.build(&guest.component(&folder)).await?;
    }
    Ok(folder)
}
