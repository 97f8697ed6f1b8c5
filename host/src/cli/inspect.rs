//! `trackside plugin inspect`: what a file says about itself.

use std::path::Path;
use std::process::ExitCode;

use crate::app::Failure;
use crate::plugins::{Inspection, Kind};

/// Runs the command. A file that this host cannot run as a plugin is described too, and is a failure.
pub(super) fn inspect(file: &Path) -> Result<ExitCode, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| named(&format!("cannot be read: {error}")))?;
    let inspection = Inspection::of(&bytes).map_err(|error| named(&error))?;
    let (kind, contract) = match &inspection.kind {
        Kind::Plugin { contract } => ("plugin", Some(contract)),
        Kind::ForeignComponent => ("component of another world", None),
        Kind::CoreModule => ("core module", None),
    };
    println!("kind      {kind}");
    if let Some(contract) = contract {
        println!("contract  trackside:plugin@{contract}");
    }
    println!("size      {} bytes", inspection.bytes);
    println!("sha256    {}", hex::encode(inspection.sha256));
    list("imports", &inspection.imports);
    list("exports", &inspection.exports);
    inspection.contract().map_err(|error| named(&error))?;
    Ok(ExitCode::SUCCESS)
}

fn list(title: &str, names: &[String]) {
    if names.is_empty() {
        println!("{title:<9} none");
    }
    for (position, name) in names.iter().enumerate() {
        println!("{:<9} {name}", if position == 0 { title } else { "" });
    }
}
