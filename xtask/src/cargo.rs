//! Where the workspace is, and cargo calls that do not inherit what the outer cargo set for this program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;
use trackside_toolchain::environment::{forget, is_about_this_package};

use crate::shell;

/// Longest time one build or test run may take.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Longest time `cargo metadata` and the like may take.
const QUERY_LIMIT: Duration = Duration::from_secs(120);

/// The workspace this program belongs to.
pub(crate) struct Workspace {
    /// The folder with the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// The target directory, absolute; honours `CARGO_TARGET_DIR` and cargo's configuration.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) async fn locate() -> Result<Self> {
        // Set by `cargo run`; the compiled-in path serves when the program is started by hand.
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR");
        let manifest_dir = manifest_dir.as_deref().unwrap_or(OsStr::new(env!("CARGO_MANIFEST_DIR")));
        let metadata = metadata(Path::new(manifest_dir)).await?;
        Ok(Self {
            root: text(&metadata, "workspace_root")?.into(),
            target: text(&metadata, "target_directory")?.into(),
        })
    }

    /// The plugins' own workspace.
    pub(crate) fn plugins_source(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Where the standard plugins are put as components.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The workspace of the components that tests need.
    pub(crate) fn guests_source(&self) -> PathBuf {
        self.root.join("tests/guests")
    }

    /// Where these are put.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The same cargo that started this program, in the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = outer_cargo();
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // The host's build script looks below the workspace by itself. It is told only where that would be wrong,
        // so that a plain `cargo build` afterwards sees the same environment and rebuilds nothing.
        if self.target != self.root.join("target") {
            command.env("TRACKSIDE_PLUGINS_DIR", self.plugins());
        }
        command
    }

    /// A path as the user would write it from the workspace's root.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// `cargo metadata` of a manifest, without dependencies.
pub(crate) async fn metadata(manifest_dir: &Path) -> Result<Value> {
    // The folder is not changed: a relative `CARGO_TARGET_DIR` is relative to where the user called.
    let manifest = manifest_dir.join("Cargo.toml");
    let mut command = outer_cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
    let what = format!("reading {}", manifest.display());
    let json = shell::capture(&what, &mut command, QUERY_LIMIT).await?;
    serde_json::from_str(&json).with_context(|| format!("{what}: cargo's answer is not JSON"))
}

/// The string under a key of cargo's metadata.
pub(crate) fn text<'a>(metadata: &'a Value, key: &str) -> Result<&'a str> {
    metadata[key].as_str().with_context(|| format!("cargo's metadata has no `{key}`"))
}

fn outer_cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget(command.as_std_mut(), is_about_this_package);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_workspace_is_found_from_its_member() {
        let workspace = Workspace::locate().await.expect("the workspace of this package");
        assert!(workspace.root.join("xtask/Cargo.toml").is_file());
        assert!(workspace.target.is_absolute());
        assert_eq!(workspace.shown(&workspace.root.join("a/b")), "a/b");
    }
}
