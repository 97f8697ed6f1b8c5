//! `trackside plugin lock`.

use std::path::Path;
use std::process::ExitCode;

use crate::app::Failure;
use crate::cli::output;
use crate::names::PluginName;
use crate::rules::{self, Look, Report, Rules};
use crate::supply::{self, LOCK_FILE, Lock, Locked};

/// Writes the lock file, and prints what changed.
pub(super) fn lock(directory: &Path) -> Result<ExitCode, Failure> {
    let rules = load(directory)?;
    let new = supply::lock(&rules).map_err(|report| shown(&report))?;
    // One that cannot be read is replaced: that is what the command is run for then.
    let old = Lock::read(directory).ok().flatten().unwrap_or_default();
    new.write(directory).map_err(|error| Failure::new(error.to_string()))?;
    let mut text = changes(&old, &new);
    text += &format!("{}: {}\n", directory.join(LOCK_FILE).display(), count(&new));
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks the lock file, and prints that it is right.
pub(super) fn check(directory: &Path) -> Result<ExitCode, Failure> {
    let lock = supply::check_lock(&load(directory)?).map_err(|report| shown(&report))?;
    output::print(&format!("ok: {}, {}\n", directory.join(LOCK_FILE).display(), count(&lock)))?;
    Ok(ExitCode::SUCCESS)
}

fn load(directory: &Path) -> Result<Rules, Failure> {
    rules::load(directory).map(|(rules, _)| rules).map_err(|report| shown(&report))
}

fn shown(report: &Report) -> Failure {
    Failure::new(report.render(Look::of_stderr()).trim_end())
}

fn count(lock: &Lock) -> String {
    let count = lock.iter().count();
    format!("{count} plugin{}", if count == 1 { "" } else { "s" })
}

/// A line for each plugin that was added, changed or removed.
fn changes(old: &Lock, new: &Lock) -> String {
    let line = |sign: char, (name, locked): (&PluginName, &Locked)| {
        format!("{sign} {name}  {}  {} bytes  {}\n", hex::encode(locked.sha256), locked.size, locked.origin)
    };
    let mut text = String::new();
    for (name, locked) in old.iter().filter(|(name, locked)| new.get(name) != Some(locked)) {
        text += &line('-', (name, locked));
    }
    for (name, locked) in new.iter().filter(|(name, locked)| old.get(name) != Some(locked)) {
        text += &line('+', (name, locked));
    }
    text
}
