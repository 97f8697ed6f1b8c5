//! Finding and running the programs of a tool chain.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::project::Project;
use crate::app::Failure;

/// The program of this name that a shell would start.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_absolute() && file.is_file())
}

/// Whether a program runs and is content.
pub(super) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program in the project's folder. The command line and what it says go to standard error, so that standard
/// output has the result alone.
pub(super) fn run(project: &Project, command: &mut Command) -> Result<(), Failure> {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let shown = words.join(" ".as_ref()).to_string_lossy().into_owned();
    eprintln!("{shown}");
    let status = command.current_dir(&project.folder).stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status = status.map_err(|error| Failure::new(format!("`{shown}` cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{shown}` failed ({status})"))) }
}

/// What a program has made.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::new(format!("{} is not there: {error}", file.display())))
}

/// Whether a plugin uses the host's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    Used,
    Unused,
}

impl Log {
    pub(super) fn used_if(used: bool) -> Self {
        if used { Self::Used } else { Self::Unused }
    }
}

/// What the contract's world has for the log.
const LOG_IMPORT: &str = "  import log;\n";

/// The contract as a file, for tools that make bindings from it. They import all of its world, and the log has to be
/// granted: it is left out where it is not used.
pub(super) fn contract(project: &Project, log: Log) -> Result<PathBuf, Failure> {
    let file = project.build_folder()?.join("plugin.wit");
    std::fs::write(&file, contract_text(log))
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", file.display())))?;
    Ok(file)
}

fn contract_text(log: Log) -> String {
    match log {
        Log::Used => trackside_toolchain::CONTRACT.to_owned(),
        Log::Unused => trackside_toolchain::CONTRACT.replace(LOG_IMPORT, ""),
    }
}

/// Says what is missing, and the commands that install it: any one of them does.
pub(super) fn missing(what: &str, commands: &[&str]) -> Failure {
    let commands: String = commands.iter().map(|command| format!("\n  {command}")).collect();
    Failure::new(format!("there is no {what}; install it by{commands}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_does_not_log_gets_a_world_without_the_log() {
        assert!(contract_text(Log::Used).contains(LOG_IMPORT));
        let without = contract_text(Log::Unused);
        assert!(!without.contains("import log"), "{without}");
        assert_eq!(without.len() + LOG_IMPORT.len(), contract_text(Log::Used).len());
    }
}
