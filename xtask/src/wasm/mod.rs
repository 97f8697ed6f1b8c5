//! From a Rust crate to a Wasm component: cargo makes a module, crate wit-component makes a component of it.

mod component;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::{self, BUILD_LIMIT, Workspace};
use crate::shell;
use toolchain::Toolchain;
pub(crate) use toolchain::apt_install;

/// A package that is a guest: one with a `cdylib` target.
struct Guest {
    /// Its folder's name, which the component's file is named after.
    name: String,
    package: String,
    /// File name of the module that cargo makes.
    module: String,
}

/// Builds every standard plugin to `target/plugins/NAME.wasm`, and removes those that are no more.
pub(crate) async fn build_plugins(workspace: &Workspace) -> Result<()> {
    let source = workspace.plugins_source();
    let guests = guests(&source).await?;
    let out = workspace.plugins();
    let files: Vec<(&Guest, PathBuf)> =
        guests.iter().map(|guest| (guest, out.join(format!("{}.wasm", guest.name)))).collect();
    build(workspace, &source, &files).await?;
    remove_others(&out, &files)
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

/// A size for people: `812 kB`, `38.2 MB`.
pub(crate) fn human_size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

async fn build(workspace: &Workspace, manifest_dir: &Path, files: &[(&Guest, PathBuf)]) -> Result<()> {
    let toolchain = Toolchain::find().await?;
    println!("to Wasm by {toolchain}");
    let target = workspace.target.join("wasm");
    let manifest_dir = std::path::absolute(manifest_dir)?;
    let mut cargo = toolchain.cargo_build(&manifest_dir, &target);
    for (guest, _) in files {
        cargo.args(["--package", &guest.package]);
    }
    shell::run("building to Wasm", &mut cargo, BUILD_LIMIT).await?;
    for (guest, out) in files {
        let module = target.join(toolchain::TARGET).join("release").join(&guest.module);
        let made = component::make(&module, out)?;
        let note = if made.changed { "" } else { ", unchanged" };
        println!("  {:<12} {:>8}  {}{note}", guest.name, human_size(made.bytes), workspace.shown(out));
    }
    Ok(())
}

/// The guests of a manifest: itself, or the members of its workspace.
async fn guests(manifest_dir: &Path) -> Result<Vec<Guest>> {
    let metadata = cargo::metadata(manifest_dir).await?;
    let packages = metadata["packages"].as_array().context("cargo's metadata has no `packages`")?;
    let guests = packages.iter().filter_map(|package| guest(package).transpose()).collect::<Result<Vec<_>>>()?;
    if guests.is_empty() {
        bail!("{} has no package with `crate-type = [\"cdylib\"]`", manifest_dir.display());
    }
    Ok(guests)
}

fn guest(package: &Value) -> Result<Option<Guest>> {
    let is_cdylib = |target: &&Value| {
        target["crate_types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
    };
    let Some(target) = package["targets"].as_array().and_then(|targets| targets.iter().find(is_cdylib)) else {
        return Ok(None);
    };
    let folder = Path::new(cargo::text(package, "manifest_path")?).parent().and_then(Path::file_name);
    Ok(Some(Guest {
        name: folder.context("a package at the root of the file system")?.to_string_lossy().into_owned(),
        package: cargo::text(package, "name")?.to_owned(),
        module: format!("{}.wasm", cargo::text(target, "name")?.replace('-', "_")),
    }))
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
    use serde_json::json;

    fn package(kind: &str) -> Value {
        json!({
            "name": "trackside-mask",
            "manifest_path": "/w/plugins/mask/Cargo.toml",
            "targets": [{ "name": "build-script", "crate_types": ["bin"] }, { "name": "trackside-mask", "crate_types": [kind, "rlib"] }],
        })
    }

    #[test]
    fn a_guest_is_named_after_its_folder_and_its_module_after_its_crate() {
        let guest = guest(&package("cdylib")).expect("complete").expect("a cdylib");
        assert_eq!(guest.name, "mask");
        assert_eq!(guest.module, "trackside_mask.wasm");
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(human_size(51_300), "52 kB");
        assert_eq!(human_size(38_249_999), "38.2 MB");
    }

    #[test]
    fn a_package_without_a_cdylib_is_no_guest() {
        assert!(guest(&package("lib")).expect("complete").is_none());
    }

    #[test]
    fn plugins_that_are_no_more_are_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["mask.wasm", "gone.wasm", "note.txt"] {
            std::fs::write(folder.path().join(name), "x").expect("a file");
        }
        let mask = guest(&package("cdylib")).expect("complete").expect("a cdylib");
        remove_others(folder.path(), &[(&mask, folder.path().join("mask.wasm"))]).expect("removed");
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left("mask.wasm") && left("note.txt") && !left("gone.wasm"));
    }
}
