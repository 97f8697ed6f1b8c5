//! An OCI registry for the tests: the one on the PATH, else the program out of Debian's package. The package is not
//! installed, since it would start a server of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::{deb, shell};

const PACKAGE: &str = "docker-registry";
/// What distributions call it.
const PROGRAMS: [&str; 2] = ["docker-registry", "registry"];
/// What every version of it says about itself; other programs are called `registry` too.
const SELF: &str = "docker/distribution";

const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// Finds a registry, or fetches one into `target/docker-registry`.
///
/// # Errors
/// When there is none and none can be fetched; the error says what was tried and what to install.
pub(crate) async fn provision(workspace: &Workspace) -> Result<PathBuf> {
    let mut tried = Vec::new();
    for program in PROGRAMS.map(Path::new) {
        match is_registry(program).await {
            Ok(()) => return Ok(program.to_owned()),
            Err(error) => tried.push(error.to_string()),
        }
    }
    let folder = workspace.target.join(PACKAGE);
    let program = folder.join(PACKAGE);
    if is_registry(&program).await.is_ok() {
        return Ok(program);
    }
    eprintln!("no {PACKAGE} on the PATH: fetching Debian's (apt-get download)");
    let fetched = match deb::fetch(PACKAGE, &format!("usr/bin/{PACKAGE}"), &folder, &program).await {
        Ok(()) => is_registry(&program).await,
        Err(error) => Err(error),
    };
    match fetched {
        Ok(()) => Ok(program),
        Err(error) => {
            tried.push(format!("{error:#}"));
            bail!(
                "there is no OCI registry to test with: put `{PACKAGE}` of https://distribution.github.io/distribution on \
                 the PATH, or run this on Debian, whose package it is taken from\n  {}",
                tried.join("\n  ")
            )
        }
    }
}

async fn is_registry(program: &Path) -> Result<()> {
    let what = format!("{} --version", program.display());
    let said = shell::capture(&what, Command::new(program).arg("--version"), VERSION_LIMIT).await?;
    if said.contains(SELF) { Ok(()) } else { bail!("{what}: this is another program") }
}
