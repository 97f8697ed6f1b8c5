//! Programs that read what Trackside makes and ships, each the one that a file is for. `cargo xtask test` provides them.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::{PATIENCE, provided};

/// A program of the system.
#[must_use]
pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// A script of Python, with the packages that were fetched.
#[must_use]
pub fn python(script: &str) -> Command {
    let mut command = program("python3", &["-c", script]);
    command.env("PYTHONPATH", provided("READERS").join("python"));
    command
}

/// A program of these packages.
#[must_use]
pub fn python_program(name: &str, arguments: &[&str]) -> Command {
    let packages = provided("READERS").join("python");
    let mut command = Command::new(packages.join("bin").join(name));
    command.args(arguments).env("PYTHONPATH", packages);
    command
}

/// A module of JavaScript, with the packages that were fetched.
#[must_use]
pub fn node(module: &str) -> Command {
    let mut command = program("node", &["--input-type=module", "--eval", module]);
    command.current_dir(provided("READERS"));
    command
}

/// Has a program read this, and returns what it says to that, on standard output.
///
/// # Errors
/// When it ends with another exit code than 0; with all that it said.
///
/// # Panics
/// When it cannot be run, or does not end in time.
pub async fn read(mut command: Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Where the tests run must not show in what programs say.
    command.env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").env_remove("MANPATH");
    let named = format!("{:?}", command.as_std().get_program());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{named}: {error}; `cargo xtask readers` helps"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let all = async {
        // It may also end without reading to the end.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{named} does not end"));
    let output = output.expect("it can be waited for");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{named}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// The documents of a file of YAML, as JSON.
///
/// # Panics
/// When it is no YAML.
pub async fn yaml(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let json = read(python(script), &text).await.unwrap_or_else(|said| panic!("{}: {said}", path.display()));
    serde_json::from_str(&json).expect("Python writes JSON")
}
