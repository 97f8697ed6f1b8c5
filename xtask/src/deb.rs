//! Programs out of Debian's packages, which are downloaded and not installed: some would start servers of their own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::shell;

const APT_LIMIT: Duration = Duration::from_secs(5 * 60);
const UNPACK_LIMIT: Duration = Duration::from_secs(60);

/// Downloads a package into a folder, and takes the program at this path out of it.
///
/// # Errors
/// When this is no Debian, or the package cannot be had or does not have the program.
pub(crate) async fn fetch(package: &str, member: &str, folder: &Path, program: &Path) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").is_file() {
        bail!("apt-get: this is no Debian");
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let download = tempfile::tempdir_in(folder)?;
    if let Err(error) = apt(download.path(), &["download", package]).await {
        // A fresh machine has no list of packages yet; only root can fetch one.
        if !rustix::process::geteuid().is_root() {
            return Err(error);
        }
        apt(download.path(), &["update"]).await?;
        apt(download.path(), &["download", package]).await?;
    }
    let files = fs::read_dir(download.path())?.flatten().map(|entry| entry.path());
    let archive = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let archive =
        archive.with_context(|| format!("apt-get was content, but left no package in {}", folder.display()))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(archive).arg(download.path());
    shell::capture("dpkg-deb --extract", &mut unpack, UNPACK_LIMIT).await?;
    fs::rename(download.path().join(member), program).with_context(|| format!("cannot write {}", program.display()))
}

async fn apt(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("/usr/bin/apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").current_dir(folder);
    shell::capture(&format!("apt-get {}", arguments.join(" ")), &mut command, APT_LIMIT).await.map(drop)
}
