//! `promtool`, which checks alerts and their tests: the one on the PATH, else the program out of Debian's package.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::{deb, shell};

const PACKAGE: &str = "prometheus";
const PROGRAM: &str = "promtool";
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// Finds it, or fetches it into `target/prometheus`.
///
/// # Errors
/// When there is none and none can be fetched; the error says what was tried and what to install.
pub(crate) async fn provision(workspace: &Workspace) -> Result<PathBuf> {
    if runs(Path::new(PROGRAM)).await.is_ok() {
        return Ok(PROGRAM.into());
    }
    let folder = workspace.target.join(PACKAGE);
    let program = folder.join(PROGRAM);
    if runs(&program).await.is_ok() {
        return Ok(program);
    }
    eprintln!("no {PROGRAM} on the PATH: fetching Debian's (apt-get download {PACKAGE})");
    let fetched = match deb::fetch(PACKAGE, "usr/bin/promtool", &folder, &program).await {
        Ok(()) => runs(&program).await,
        Err(error) => Err(error),
    };
    match fetched {
        Ok(()) => Ok(program),
        Err(error) => bail!(
            "there is no {PROGRAM} to check alerts with: put that of https://prometheus.io/download on the PATH, or run \
             this on Debian, whose package it is taken from\n  {error:#}"
        ),
    }
}

async fn runs(program: &Path) -> Result<()> {
    let what = format!("{} --version", program.display());
    shell::capture(&what, Command::new(program).arg("--version"), VERSION_LIMIT).await.map(drop)
}
