//! An OCI registry for the tests: the one on the PATH, else the program out of Debian's package. The package is not
//! installed, since it would start a server of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::shell;

const PACKAGE: &str = "docker-registry";
/// What distributions call it.
const PROGRAMS: [&str; 2] = ["docker-registry", "registry"];
/// What every version of it says about itself; other programs are called `registry` too.
const SELF: &str = "docker/distribution";

const VERSION_LIMIT: Duration = Duration::from_secs(20);
const APT_LIMIT: Duration = Duration::from_secs(5 * 60);

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
    let fetched = match fetch(&folder, &program).await {
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

async fn fetch(folder: &Path, program: &Path) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").is_file() {
        bail!("apt-get: this is no Debian");
    }
    eprintln!("no {PACKAGE} on the PATH: fetching Debian's (apt-get download)");
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let download = tempfile::tempdir_in(folder)?;
    if let Err(error) = apt(download.path(), &["download", PACKAGE]).await {
        // A fresh machine has no list of packages yet; only root can fetch one.
        if !rustix::process::geteuid().is_root() {
            return Err(error);
        }
        apt(download.path(), &["update"]).await?;
        apt(download.path(), &["download", PACKAGE]).await?;
    }
    let files = fs::read_dir(download.path())?.flatten().map(|entry| entry.path());
    let package = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let package =
        package.with_context(|| format!("apt-get was content, but left no package in {}", folder.display()))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(package).arg(download.path());
    shell::capture("dpkg-deb --extract", &mut unpack, VERSION_LIMIT).await?;
    let unpacked = download.path().join("usr/bin").join(PACKAGE);
    fs::rename(unpacked, program).with_context(|| format!("cannot write {}", program.display()))
}

async fn apt(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("/usr/bin/apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").current_dir(folder);
    shell::capture(&format!("apt-get {}", arguments.join(" ")), &mut command, APT_LIMIT).await.map(drop)
}
