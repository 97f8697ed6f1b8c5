//! `trackside run`.

use std::path::Path;
use std::process::ExitCode;

use crate::app::{self, Failure, RunOptions};

/// Routes messages until a signal ends it.
pub(super) fn run(directory: &Path) -> Result<ExitCode, Failure> {
    app::runtime()?.block_on(app::run(directory, RunOptions::default()))?;
    Ok(ExitCode::SUCCESS)
}
