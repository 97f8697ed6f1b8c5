//! `trackside run`.

use std::path::Path;
use std::process::ExitCode;

use crate::app::{self, Failure, RunOptions};

/// Routes messages until a signal ends it.
pub(super) fn run(directory: &Path) -> Result<ExitCode, Failure> {
    let runtime = app::runtime()?;
    let ended = runtime.block_on(app::run(directory, RunOptions::default()));
    // A lane that could not be drained may still be at work, and would find its runtime gone.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}
