//! A receiver of OpenTelemetry's protocol for the tests: Rotel, a collector that is one program, out of its PyPI wheel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::{shell, wheel};

/// Pinned, since all of its versions are pre-releases, and what it prints is read by the tests.
const WHEEL: &str = "rotel==0.0.1a15";
const PROGRAM: &str = "rotel-agent";
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// Finds the receiver, or fetches it into `target/rotel`.
///
/// # Errors
/// When it cannot be had.
pub(crate) async fn provision(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("rotel");
    let program = folder.join(PROGRAM);
    if runs(&program).await.is_err() {
        eprintln!("no {PROGRAM} in {}: fetching {WHEEL} from PyPI", folder.display());
        wheel::fetch(WHEEL, &folder, &program, |member| member == "rotel/rotel-agent")
            .await
            .context("there is no receiver of OpenTelemetry's protocol to test with")?;
        runs(&program).await?;
    }
    Ok(program)
}

async fn runs(program: &Path) -> Result<()> {
    let what = format!("{} --version", program.display());
    let said = shell::capture(&what, Command::new(program).arg("--version"), VERSION_LIMIT).await?;
    if said.starts_with("rotel ") { Ok(()) } else { bail!("{what}: this is another program") }
}
