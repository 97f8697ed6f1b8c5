//! `trackside plugin build`: a project becomes a component, by its language's own tool chain.

mod c;
mod go;
mod js;
mod python;
mod rust;
mod tools;

use std::path::{Path, PathBuf};
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

    /// The component to write, or a folder for NAME.wasm; without it, that is the project's.
    #[arg(short, long, value_name = "FILE.wasm|DIR/")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn build(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let project = Project::open(&arguments.directory)?;
    let file = output_file(&arguments.output, &project, &arguments.directory);
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

/// Where the component goes. A folder, by being there or by a slash at its end, has a file of the project's name in it.
fn output_file(output: &Option<PathBuf>, project: &Project, directory: &Path) -> PathBuf {
    let component = format!("{}.wasm", project.name);
    match output {
        Some(path) if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") => path.join(component),
        Some(path) => path.clone(),
        None => directory.join(component),
    }
}

#[cfg(test)]
mod tests {
    use super::super::project::ProjectName;
    use super::*;

    #[test]
    fn a_folder_as_output_has_the_component_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = ProjectName::new("vip").expect("a name");
        let project = Project { folder: folder.path().to_owned(), name, language: Language::C };
        let to = |output: Option<&str>| output_file(&output.map(Into::into), &project, Path::new("vip"));
        assert_eq!(to(None), Path::new("vip/vip.wasm"));
        assert_eq!(to(Some("other.wasm")), Path::new("other.wasm"));
        assert_eq!(to(Some("plugins/")), Path::new("plugins/vip.wasm"));
        assert_eq!(to(folder.path().to_str()), folder.path().join("vip.wasm"));
    }
}
