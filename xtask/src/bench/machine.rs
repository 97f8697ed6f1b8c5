//! The machine and the versions, without which no number means anything.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::nats::Server;
use crate::shell;

const LIMIT: Duration = Duration::from_secs(20);

/// What a run ran on.
pub(crate) struct Machine {
    /// Name and value.
    pub(crate) facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks around.
    pub(crate) async fn look(root: &Path, server: &Server, trackside: Option<&Path>) -> Result<Self> {
        let cores = std::thread::available_parallelism()?;
        let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let says = async |what: &str, command: &mut Command| {
            let said = shell::capture(what, command, LIMIT).await?;
            anyhow::Ok(said.lines().next().unwrap_or_default().trim().to_owned())
        };
        let mut facts = vec![
            ("processor", format!("{cores} cores of {processor}")),
            ("memory", field("/proc/meminfo", "MemTotal").unwrap_or_default()),
            ("system", format!("{} {}", std::env::consts::OS, kernel.trim())),
            ("nats-server", server.version.to_string()),
            ("async-nats", locked(root, "async-nats")?),
            ("rustc", says("rustc --version", Command::new("rustc").arg("--version")).await?),
        ];
        if let Some(trackside) = trackside {
            facts.push(("trackside", says("trackside --version", Command::new(trackside).arg("--version")).await?));
        }
        // An unpacked archive has no history, which is no reason not to measure it.
        let mut git = Command::new("git");
        git.arg("-C").arg(root).args(["describe", "--always", "--dirty"]);
        if let Ok(commit) = says("git describe", &mut git).await {
            facts.push(("commit", commit));
        }
        Ok(Self { facts })
    }
}

/// How busy the machine is: the averages over 1, 5 and 15 minutes, from proc_loadavg(5).
pub(crate) fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg; only Linux has it")?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The version of a dependency that the lock file names.
fn locked(root: &Path, name: &str) -> Result<String> {
    let path = root.join("Cargo.lock");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines =
        text.split_once(&format!("name = \"{name}\"\nversion = \"")).and_then(|(_, rest)| rest.split('"').next());
    lines.map(str::to_owned).with_context(|| format!("{} has no {name}", path.display()))
}
