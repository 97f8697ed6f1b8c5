//! Linux's `perf`, which watches all processors for as long as a process lives: to watch that one alone fails where one of
//! its threads ends meanwhile, and who waits for a processor waits for others who have it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::process::Process;

/// What is in its log once it watches.
const WATCHES: &str = "perf watches";
/// It looks at every process that there is before it begins.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);

/// Begins to watch, and returns once it does. It ends soon after the process of this id.
pub(super) async fn record(
    name: &'static str,
    what: &[&str],
    output: &Path,
    pid: u32,
    folder: &Path,
) -> Result<Process> {
    let mut command = Command::new("perf");
    command.args(["record", "--all-cpus"]).args(what).arg("--output").arg(output);
    // What it starts it starts last, and it ends with that.
    let until = format!("echo {WATCHES}; exec tail --pid={pid} --follow /dev/null");
    command.args(["--", "sh", "-c", &until]);
    let perf = Process::start(name, &mut command, folder);
    let mut perf = perf.context("it needs `perf` (Debian: linux-perf)")?;
    let log = perf.log().to_owned();
    let watches = async || fs::read_to_string(&log).ok().filter(|log| log.contains(WATCHES));
    perf.wait_for("perf to watch", BEGIN_LIMIT, watches).await?;
    Ok(perf)
}
