//! `trackside check`: everything that is wrong with a configuration, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::app::{Failure, Offline, checked};
use crate::rules::FileSet;

use super::output;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with trackside.toml and rules/.
    #[arg(value_name = "CONFIG_DIR")]
    directory: PathBuf,

    /// Prints one JSON object, whatever was found.
    #[arg(long)]
    json: bool,
}

/// Runs the command: loads the rules, compiles the plugins and configures every stage, as a start would.
pub(super) fn check(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.json {
        let found = FileSet::read(&arguments.directory).and_then(|files| Offline::of(&files));
        output::print(&format!("{}\n", checked(&found)))?;
        return Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let offline = Offline::open(&arguments.directory)?;
    offline.print_warnings();
    let plan = offline.plan();
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    output::print(&format!(
        "ok: {}, {}, {}, revision {}\n",
        count(plan.sources.len(), "source"),
        count(plan.rules.len(), "rule"),
        count(plan.plugins.len(), "plugin"),
        plan.revision
    ))?;
    for (plugin, grants) in offline.inexact() {
        let grants: Vec<String> = grants.iter().map(|grant| format!("`{grant}`")).collect();
        output::print(&format!("note: replays are not exact: plugin `{plugin}` has {}\n", grants.join(", ")))?;
    }
    Ok(ExitCode::SUCCESS)
}
