//! The release build: one file with the standard plugins in it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use trackside_toolchain::human_size;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{shell, wasm};

/// Builds the plugins, then `target/release/trackside`, and returns its path.
pub(crate) async fn build(workspace: &Workspace) -> Result<PathBuf> {
    wasm::build_plugins(workspace).await?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "trackside", "--bin", "trackside"]);
    shell::run("building trackside", &mut cargo, BUILD_LIMIT).await?;
    let binary = workspace.target.join("release").join("trackside");
    let size = binary.metadata().with_context(|| format!("{} is not there after the build", binary.display()))?.len();
    println!("trackside: {}, {}", workspace.shown(&binary), human_size(size));
    Ok(binary)
}

/// The same for profilers: with frame pointers, by which stacks are read through guests as well, in a target directory of its
/// own, since everything is compiled anew.
pub(crate) async fn build_for_profiling(workspace: &Workspace) -> Result<PathBuf> {
    wasm::build_plugins(workspace).await?;
    let target = workspace.target.join("flames");
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "trackside", "--bin", "trackside", "--target-dir"]).arg(&target);
    cargo.env("RUSTFLAGS", "-Cforce-frame-pointers=yes");
    shell::run("building trackside with frame pointers", &mut cargo, BUILD_LIMIT).await?;
    Ok(target.join("release").join("trackside"))
}
