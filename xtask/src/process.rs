//! A child process with a log of its own, that ends when its owner goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::shell::tail;

/// How often a wait looks again: often, because some waits are measured.
const POLL: Duration = Duration::from_millis(2);

/// A running program. Dropping it kills it.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program, its output going to `NAME.log` in the folder.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        // A group of its own: Ctrl-C in the terminal is for us, who then end our children in order.
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.as_std().get_program().display()))?;
        Ok(Self { name, child, log })
    }

    /// The process's id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The file that its output goes to.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The end of its log, for an error.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        format!("the end of {}:\n{}", self.log.display(), tail(&String::from_utf8_lossy(&text)))
    }

    /// Looks again and again until `ready` has an answer.
    ///
    /// # Errors
    /// When the process ends or the limit passes before; with what was waited for and the end of the log.
    pub(crate) async fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(answer) = ready().await {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) while waiting for {what}; {}", self.name, self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("waited {} s in vain for {what}; {}", limit.as_secs(), self.log_tail());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks the process to end (SIGTERM) and returns how long that took.
    ///
    /// # Errors
    /// When it ends with another exit code than 0, or not within the limit (it is killed then).
    pub(crate) async fn stop(mut self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            kill_process(pid, Signal::TERM).with_context(|| format!("cannot stop {}", self.name))?;
        }
        let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await else {
            bail!("{} did not end within {} s of SIGTERM; {}", self.name, limit.as_secs(), self.log_tail());
        };
        match status? {
            status if status.success() => Ok(start.elapsed()),
            status => bail!("{} ended with {status} on SIGTERM; {}", self.name, self.log_tail()),
        }
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// When it has not within the limit (it is killed then), or ended with another exit code than 0.
    pub(crate) async fn ended(mut self, limit: Duration) -> Result<()> {
        let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await else {
            bail!("{} did not end within {} s; {}", self.name, limit.as_secs(), self.log_tail());
        };
        match status? {
            status if status.success() => Ok(()),
            status => bail!("{} ended with {status}; {}", self.name, self.log_tail()),
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn start(script: &str, folder: &Path) -> Process {
        Process::start("child", Command::new("sh").args(["-c", script]), folder).expect("sh starts")
    }

    #[tokio::test]
    async fn a_process_that_ends_too_early_is_told_with_its_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = start("echo no port left; exit 2", folder.path());
        let error = process.wait_for("a port", LIMIT, async || None::<()>).await.expect_err("it ended").to_string();
        assert!(error.starts_with("child ended (exit status: 2) while waiting for a port"), "{error}");
        assert!(error.contains("no port left"), "{error}");
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_limit_and_the_process_with_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = start("exec cat /dev/zero >/dev/null", folder.path());
        let none = process.wait_for("a sign", Duration::ZERO, async || None::<()>).await;
        assert!(none.expect_err("no sign").to_string().contains("in vain for a sign"));
        let pid = Pid::from_raw(process.id().expect("it runs").cast_signed()).expect("a pid");
        drop(process);
        // Gone, or dead and about to be reaped: a signal can no longer make it do anything.
        let gone = tokio::time::timeout(LIMIT, async {
            while rustix::process::test_kill_process(pid).is_ok() {
                tokio::task::yield_now().await;
            }
        });
        gone.await.expect("the process is gone");
    }

    #[tokio::test]
    async fn stopping_wants_exit_code_0() {
        let folder = tempfile::tempdir().expect("a folder");
        for (code, ok) in [(0, true), (3, false)] {
            let script = format!("trap 'exit {code}' TERM; echo trapped; while :; do :; done");
            let mut process = start(&script, folder.path());
            let log = process.log().to_owned();
            let trapped = async || std::fs::read_to_string(&log).ok().filter(|text| text.contains("trapped"));
            process.wait_for("the trap", LIMIT, trapped).await.expect("set");
            assert_eq!(process.stop(LIMIT).await.is_ok(), ok, "exit code {code}");
        }
    }
}
