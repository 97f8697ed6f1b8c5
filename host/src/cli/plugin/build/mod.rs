//! `trackside plugin build`: a project becomes a component, by its language's own tool chain.

mod c;
mod go;
mod js;
mod python;
mod rust;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use trackside_toolchain::human_size;

use super::super::output;
use super::project::{Language, Project};
use crate::app::Failure;
use crate::plugins::Inspection;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The project: the folder with `plugin.toml`.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// The component to write; without it, NAME.wasm in the project's folder.
    #[arg(short, long, value_name = "FILE.wasm")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn build(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let project = Project::open(&arguments.directory)?;
    let file = arguments.output.clone().unwrap_or_else(|| arguments.directory.join(format!("{}.wasm", project.name)));
    // First, since building may take minutes.
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("{} cannot be made: {error}", folder.display())))?;
    }
    let component = match project.language {
        Language::Rust => rust::component(&project),
        Language::Python => python::component(&project),
        Language::Js => js::component(&project),
        Language::Go => go::component(&project),
        Language::C => c::component(&project),
    }?;
    let inspection = Inspection::of(&component).map_err(|error| Failure::new(error.to_string()))?;
    let contract = inspection.contract().map_err(|error| Failure::new(error.to_string()))?;
    std::fs::write(&file, &component)
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", file.display())))?;
    let size = human_size(component.len() as u64);
    output::print(&format!("{}, {size}, trackside:plugin@{contract}\n", file.display()))?;
    Ok(ExitCode::SUCCESS)
}
