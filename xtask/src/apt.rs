//! Debian's packages, for root on Debian: most often a container or a build machine, whose packages come from where the
//! system's do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::shell;

const APT_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Installs packages.
///
/// # Errors
/// When this is no Debian, the user is not root, or apt-get fails.
pub(crate) async fn install(packages: &[&str]) -> Result<()> {
    if !Path::new("/etc/debian_version").is_file() || !Path::new("/usr/bin/apt-get").is_file() {
        bail!("apt-get: this is no Debian");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("apt-get: not root, so nothing was installed");
    }
    eprintln!("installing {} (apt-get, a few minutes)", packages.join(", "));
    let apt = || {
        let mut command = Command::new("/usr/bin/apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    shell::capture("apt-get update", apt().arg("update"), APT_LIMIT).await?;
    let mut install = apt();
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    shell::capture("apt-get install", &mut install, APT_LIMIT).await.map(drop)
}
