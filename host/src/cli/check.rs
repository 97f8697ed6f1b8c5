//! `trackside check`: everything that is wrong with a configuration, at once.

use std::path::Path;
use std::process::ExitCode;

use crate::app::{Failure, Offline};

use super::output;

/// Runs the command: loads the rules, compiles the plugins and configures every stage, as a start would.
pub(super) fn check(directory: &Path) -> Result<ExitCode, Failure> {
    let offline = Offline::open(directory)?;
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
