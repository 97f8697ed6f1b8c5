//! Running other programs, never for longer than a limit, and saying what they said when they fail.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// How many lines of a failed program's output an error shows.
const TAIL_LINES: usize = 20;

/// Runs a program whose output the user sees.
///
/// # Errors
/// When it cannot be started, fails, or is not done within the limit (it is killed then).
pub(crate) async fn run(what: &str, command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command.kill_on_drop(true).spawn().with_context(|| cannot_start(what, command))?;
    match tokio::time::timeout(limit, child.wait()).await {
        Err(_) => bail!("{what}: not done after {} minutes, stopped", limit.as_secs() / 60),
        Ok(status) => match status.with_context(|| cannot_start(what, command))? {
            status if status.success() => Ok(()),
            status => bail!("{what}: failed ({status})"),
        },
    }
}

/// Runs a program quietly and returns what it wrote to standard output.
///
/// # Errors
/// As [`run`]; the error ends with the tail of what the program said.
pub(crate) async fn capture(what: &str, command: &mut Command, limit: Duration) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(limit, command.output()).await else {
        bail!("{what}: not done after {} seconds, stopped", limit.as_secs());
    };
    let output = output.with_context(|| cannot_start(what, command))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    bail!("{what}: failed ({})\n{}", output.status, tail(&said))
}

/// The program of this name that a shell would start.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The last lines of a text, indented.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let start = lines.len().saturating_sub(TAIL_LINES);
    lines[start..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn cannot_start(what: &str, command: &Command) -> String {
    format!("{what}: cannot start `{}`", command.as_std().get_program().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_the_last_lines_only() {
        let text = (1..=30).map(|n| format!("{n}\n")).collect::<String>();
        assert!(tail(&text).starts_with("    11\n"));
        assert!(tail(&text).ends_with("    30"));
        assert_eq!(tail(""), "");
    }

    #[tokio::test]
    async fn a_failure_names_the_step_and_shows_what_was_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo it broke >&2; exit 3"]);
        let error = capture("the step", &mut command, Duration::from_secs(20)).await.expect_err("exit 3").to_string();
        assert!(error.starts_with("the step: failed"), "{error}");
        assert!(error.contains("it broke"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped_at_its_limit() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec cat /dev/zero >/dev/null"]);
        let error = capture("the step", &mut command, Duration::from_millis(50)).await.expect_err("a hang");
        assert!(error.to_string().contains("not done after"), "{error}");
    }
}
