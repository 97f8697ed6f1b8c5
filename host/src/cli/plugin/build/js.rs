//! JavaScript and TypeScript: esbuild makes one module of the project and what it depends on, and componentize-qjs puts
//! that into QuickJS. What QuickJS asks of WASI is left to the host, so that clocks tell the message's own time.

use std::path::PathBuf;
use std::process::Command;

use super::super::project::Project;
use super::tools::{self, Log};
use crate::app::Failure;

/// Where a project begins: the first of these that is there.
const ENTRIES: [&str; 2] = ["src/plugin.ts", "src/plugin.js"];

/// What a bundle imports if the plugin logs; otherwise esbuild has left it out.
const LOG: &[u8] = b"trackside:plugin/log@";

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    if tools::on_path("node").is_none() {
        let debian = "apt-get install nodejs npm   # on Debian";
        return Err(tools::missing("Node.js (20 or later)", &[debian, "https://nodejs.org/en/download"]));
    }
    let (esbuild, qjs) = (installed(project, "esbuild")?, installed(project, "componentize-qjs")?);
    let entry = ENTRIES
        .into_iter()
        .find(|entry| project.folder.join(entry).is_file())
        .ok_or_else(|| Failure::new(format!("{} has neither {}", project.folder.display(), ENTRIES.join(" nor "))))?;
    let folder = project.build_folder()?;
    let bundle = folder.join("plugin.js");
    let mut bundling = Command::new(esbuild);
    bundling.args([entry, "--bundle", "--format=esm", "--target=es2022", "--log-level=warning"]);
    // The condition makes the SDK's package import the host, which is there in a component only.
    bundling.args(["--conditions=trackside", "--external:trackside:*"]);
    tools::run(project, bundling.arg(format!("--outfile={}", bundle.display())))?;

    let log = Log::used_if(tools::read(&bundle)?.windows(LOG.len()).any(|bytes| bytes == LOG));
    let component = folder.join(format!("{}.wasm", project.name));
    let mut putting = Command::new(qjs);
    putting.args(["--sync", "--world", "plugin", "--wit"]).arg(tools::contract(project, log)?);
    putting.arg("--js").arg(&bundle).arg("--module-root").arg(&folder).arg("--output").arg(&component);
    tools::run(project, &mut putting)?;
    tools::read(&component)
}

/// A program of the project's own dependencies.
fn installed(project: &Project, name: &str) -> Result<PathBuf, Failure> {
    let program = project.folder.join("node_modules/.bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    let install = format!("npm install --prefix {}", project.folder.display());
    Err(tools::missing(&format!("{name} in the project's node_modules"), &[&install]))
}
