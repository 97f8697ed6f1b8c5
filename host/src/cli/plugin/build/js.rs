//! JavaScript: npm package componentize-qjs puts the module into QuickJS, which has no part of WASI left.

use std::process::Command;

use super::super::project::Project;
use super::tools;
use crate::app::Failure;

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    let program = project.folder.join("node_modules/.bin/componentize-qjs");
    if !program.is_file() {
        let install = format!("npm --prefix {} install", project.folder.display());
        return Err(tools::missing("componentize-qjs in the project's node_modules", &[&install]));
    }
    let component = project.build_folder()?.join(format!("{}.wasm", project.name));
    let mut qjs = Command::new(program);
    qjs.args(["--sync", "--stub-wasi", "--world", "plugin", "--module-root", ".", "--js", "sdk/main.js", "--wit"]);
    tools::run(project, qjs.arg(tools::contract(project)?).arg("--output").arg(&component))?;
    tools::read(&component)
}
