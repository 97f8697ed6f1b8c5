//! Python: componentize-py puts the modules into CPython.

use std::process::Command;

use super::super::project::Project;
use super::tools;
use crate::app::Failure;

/// What is installed if nothing is there.
const PACKAGE: &str = "componentize-py==0.25.1";

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    let own = project.folder.join(".venv/bin/componentize-py");
    let program = if own.is_file() { Some(own) } else { tools::on_path("componentize-py") };
    let program =
        program.ok_or_else(|| tools::missing("componentize-py", &[&format!("python3 -m pip install {PACKAGE}")]))?;
    let component = project.build_folder()?.join(format!("{}.wasm", project.name));
    let mut python = Command::new(program);
    python.arg("--wit-path").arg(tools::contract(project)?).args(["--world", "plugin", "componentize", "--stub-wasi"]);
    python.args(["--python-path", "src", "--python-path", "sdk", "trackside_main", "--output"]).arg(&component);
    tools::run(project, &mut python)?;
    tools::read(&component)
}
