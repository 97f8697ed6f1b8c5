//! What takes too long for every run of the tests: fault tests at full length, and memory over minutes.

use anyhow::Result;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{nats, release, shell, test, wasm};

/// The columns of the table that the fault tests print.
const TABLE: &str = "\
| what breaks | how often | messages | lost | twice | out of order | dead letters | took |
| --- | --- | --- | --- | --- | --- | --- | --- |";

/// Runs the fault tests, or those whose names contain `name`, at full length.
pub(crate) async fn faults(workspace: &Workspace, name: Option<&str>) -> Result<()> {
    let server = nats::provision(workspace).await?;
    wasm::build_plugins(workspace).await?;
    test::build(workspace).await?;
    println!("{TABLE}");
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--quiet", "--workspace", "--test", "faults", "--"]).args(name);
    cargo.args(["--nocapture", "--test-threads", "1"]);
    cargo.env("NATS_SERVER", &server.path).env("TRACKSIDE_FAULTS_FULL", "1");
    cargo.env("TRACKSIDE_BIN", workspace.target.join("debug").join("trackside"));
    shell::run("the fault tests", &mut cargo, BUILD_LIMIT).await
}

/// Floods the release build for so many seconds, stops its outputs half-way, and draws its memory.
pub(crate) async fn memory(workspace: &Workspace, seconds: u64) -> Result<()> {
    let server = nats::provision(workspace).await?;
    let binary = release::build(workspace).await?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--quiet", "--workspace", "--test", "memory", "--", "--ignored", "--nocapture"]);
    cargo.env("NATS_SERVER", &server.path).env("TRACKSIDE_BIN", binary);
    cargo.env("TRACKSIDE_MEMORY_SECONDS", seconds.to_string());
    cargo.env("TRACKSIDE_MEMORY_GRAPH", workspace.root.join("docs").join("memory.svg"));
    shell::run("the memory test", &mut cargo, BUILD_LIMIT).await
}
