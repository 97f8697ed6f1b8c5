//! Rust: cargo makes a module for `wasm32-unknown-unknown`.

use std::path::Path;
use std::process::{Command, Stdio};

use trackside_toolchain::component;
use trackside_toolchain::guest::guests;
use trackside_toolchain::rust::{DEBIAN_PACKAGES, TARGET, Toolchain};

use super::super::project::Project;
use super::tools;
use crate::app::Failure;

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    let toolchain = Toolchain::find().ok_or_else(|| {
        tools::missing(
            &format!("compiler for {TARGET}"),
            &[
                &format!("rustup target add {TARGET}"),
                &format!("apt-get install {}   # on Debian", DEBIAN_PACKAGES.join(" ")),
            ],
        )
    })?;
    let metadata = metadata(project)?;
    let guests = guests(&metadata).map_err(|error| Failure::new(error.to_string()))?;
    let [guest] = &guests[..] else {
        return Err(Failure::new(format!(
            "{} has {} packages with `crate-type = [\"cdylib\"]`, and has to have one",
            project.folder.display(),
            guests.len()
        )));
    };
    let target = metadata["target_directory"].as_str().map(Path::new).unwrap_or_else(|| Path::new("target"));
    let mut cargo = toolchain.cargo_build(&project.folder, target);
    tools::run(project, cargo.args(["--package", &guest.package]))?;
    let module = tools::read(&target.join(TARGET).join("release").join(&guest.module))?;
    component::encode(&module).map_err(|error| Failure::new(error.to_string()))
}

fn metadata(project: &Project) -> Result<serde_json::Value, Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&project.folder);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|_| {
        tools::missing("cargo on the PATH", &["https://rustup.rs", "apt-get install cargo-web   # on Debian"])
    })?;
    if !output.status.success() {
        return Err(Failure::new(format!("`cargo metadata` failed ({})", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(format!("`cargo metadata`: {error}")))
}
