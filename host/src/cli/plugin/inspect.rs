//! `trackside plugin inspect`: what a file says about itself.

use std::path::Path;
use std::process::ExitCode;

use crate::app::Failure;
use crate::plugins::{Inspection, Kind};

use super::super::output;

/// Runs the command. A file that this host cannot run as a plugin is described too, and is a failure.
pub(super) fn inspect(file: &Path) -> Result<ExitCode, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| named(&format!("cannot be read: {error}")))?;
    let inspection = Inspection::of(&bytes).map_err(|error| named(&error))?;
    let (kind, contract) = match &inspection.kind {
        Kind::Plugin { contract } => ("plugin", Some(format!("trackside:plugin@{contract}"))),
        Kind::Handler(interface) => ("message handler, which runs as a stage", Some(interface.export().to_owned())),
        Kind::ForeignComponent => ("component of another world", None),
        Kind::CoreModule => ("core module", None),
    };
    let mut text = format!("kind      {kind}\n");
    if let Some(contract) = contract {
        text += &format!("contract  {contract}\n");
    }
    text += &format!("size      {} bytes\n", inspection.bytes);
    text += &format!("sha256    {}\n", hex::encode(inspection.sha256));
    text += &list("imports", &inspection.imports);
    text += &list("exports", &inspection.exports);
    // What others import by these names is none of ours to grant.
    if matches!(inspection.kind, Kind::Plugin { .. } | Kind::Handler(_)) {
        text += &grants(&inspection);
    }
    output::print(&text)?;
    inspection.contract().map_err(|error| named(&error))?;
    Ok(ExitCode::SUCCESS)
}

fn grants(inspection: &Inspection) -> String {
    let grants: Vec<String> = inspection.grants().map(|(import, grant)| format!("{grant} (for {import})")).collect();
    list("grants", &grants)
}

fn list(title: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("{title:<9} none\n");
    }
    let titles = std::iter::once(title).chain(std::iter::repeat(""));
    titles.zip(names).map(|(title, name)| format!("{title:<9} {name}\n")).collect()
}
