//! From a Rust crate to a Wasm component: cargo makes a module, crate wit-component makes a component of it.

mod component;
mod provision;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use trackside_toolchain::guest::{self, Guest};
use trackside_toolchain::human_size;
use trackside_toolchain::rust::TARGET;

use crate::cargo::{self, BUILD_LIMIT, Workspace};
use crate::shell;
pub(crate) use provision::provision;

/// Builds every standard plugin to `target/plugins/NAME.wasm`, and removes those that are no more.
pub(crate) async fn build_plugins(workspace: &Workspace) -> Result<()> {
    build_all(workspace, &workspace.plugins_source(), &workspace.plugins()).await
}

/// Builds the components that tests need to `target/guests/NAME.wasm`.
pub(crate) async fn build_guests(workspace: &Workspace) -> Result<()> {
    build_all(workspace, &workspace.guests_source(), &workspace.guests()).await
}

async fn build_all(workspace: &Workspace, source: &Path, out: &Path) -> Result<()> {
    let guests = guests(source).await?;
    let files: Vec<(&Guest, PathBuf)> =
        guests.iter().map(|guest| (guest, out.join(format!("{}.wasm", guest.name)))).collect();
    build(workspace, source, &files).await?;
    remove_others(out, &files)
}

/// Builds one package of a manifest or workspace to a component at `out`.
///
/// # Errors
/// When there is no such package with a `cdylib` target, no way to compile Wasm, or the build fails.
pub(crate) async fn build_guest(workspace: &Workspace, manifest_dir: &Path, package: &str, out: &Path) -> Result<()> {
    let guests = guests(manifest_dir).await?;
    let Some(guest) = guests.iter().find(|guest| guest.package == package) else {
        let known: Vec<_> = guests.iter().map(|guest| guest.package.as_str()).collect();
        bail!(
            "{} has no package `{package}` with `crate-type = [\"cdylib\"]`; those it has: {}",
            manifest_dir.display(),
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
    };
    build(workspace, manifest_dir, &[(guest, out.to_owned())]).await
}

async fn build(workspace: &Workspace, manifest_dir: &Path, files: &[(&Guest, PathBuf)]) -> Result<()> {
    let toolchain = provision().await?;
    println!("to Wasm by {toolchain}");
    let target = workspace.target.join("wasm");
    let manifest_dir = std::path::absolute(manifest_dir)?;
    let mut cargo = Command::from(toolchain.cargo_build(&manifest_dir, &target));
    for (guest, _) in files {
        cargo.args(["--package", &guest.package]);
    }
    shell::run("building to Wasm", &mut cargo, BUILD_LIMIT).await?;
    for (guest, out) in files {
        let module = target.join(TARGET).join("release").join(&guest.module);
        let made = component::make(&module, out)?;
        let note = if made.changed { "" } else { ", unchanged" };
        println!("  {:<12} {:>8}  {}{note}", guest.name, human_size(made.bytes), workspace.shown(out));
    }
    Ok(())
}

/// The guests of a manifest: itself, or the members of its workspace.
async fn guests(manifest_dir: &Path) -> Result<Vec<Guest>> {
    let metadata = cargo::metadata(manifest_dir).await?;
    let guests = guest::guests(&metadata)?;
    if guests.is_empty() {
        bail!("{} has no package with `crate-type = [\"cdylib\"]`", manifest_dir.display());
    }
    Ok(guests)
}

/// A plugin that has left the workspace must not stay in the binary, which carries all that lies in the folder.
fn remove_others(folder: &Path, keep: &[(&Guest, PathBuf)]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stale = path.extension().is_some_and(|ext| ext == "wasm") && keep.iter().all(|(_, file)| *file != path);
        if stale {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn plugins_that_are_no_more_are_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["mask.wasm", "gone.wasm", "note.txt"] {
            std::fs::write(folder.path().join(name), "x").expect("a file");
        }
        let mask =
            Guest { name: "mask".into(), package: "trackside-mask".into(), module: "trackside_mask.wasm".into() };
        remove_others(folder.path(), &[(&mask, folder.path().join("mask.wasm"))]).expect("removed");
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left("mask.wasm") && left("note.txt") && !left("gone.wasm"));
    }
}
