//! Every test there is, in an order that fails early and compiles nothing twice.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::steps::Steps;
use crate::{collector, conformance, instructions, nats, promtool, readers, registry, shell, simulate, wasm};

/// The plugins' own tests, natively: against the SDK's in-memory message.
pub(crate) async fn plugins_natively(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--manifest-path"]).arg(workspace.plugins_source().join("Cargo.toml"));
    shell::run("the plugins' tests", &mut cargo, BUILD_LIMIT).await
}

/// What the tests use beside nats-server.
struct Tools {
    registry: PathBuf,
    readers: PathBuf,
    collector: PathBuf,
    promtool: PathBuf,
}

/// Everything: plugins and the guests of the tests to Wasm, the plugins' native tests, the binary, the instructions of the
/// hot path, the conformance suite, the simulation, and the workspace's tests, doc tests included.
pub(crate) async fn everything(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    let server = steps.step("nats-server", nats::provision(workspace)).await?;
    println!("{} {}, {}", server.path.display(), server.version, server.origin);
    let tools = Tools {
        registry: steps.step("registry", registry::provision(workspace)).await?,
        readers: steps.step("readers", readers::provision(workspace)).await?,
        collector: steps.step("collector", collector::provision(workspace)).await?,
        promtool: steps.step("promtool", promtool::provision(workspace)).await?,
    };
    steps.step("plugins to Wasm", wasm::build_plugins(workspace)).await?;
    steps.step("guests to Wasm", wasm::build_guests(workspace)).await?;
    steps.step("plugins, natively", plugins_natively(workspace)).await?;
    steps.step("build", build(workspace)).await?;
    steps.step("instructions", instructions::as_test(workspace)).await?;
    steps.step("conformance", conformance::as_test(workspace)).await?;
    steps.step("simulation", simulate::as_test(workspace)).await?;
    steps.step("tests", tests(workspace, &server, &tools)).await?;
    steps.print_times();
    Ok(())
}

/// `--all-targets` of the whole workspace builds the binary that the end-to-end tests start with the very features
/// that `cargo test` asks for next, so that no dependency is compiled a second time.
pub(crate) async fn build(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--workspace", "--all-targets"]);
    shell::run("building the workspace", &mut cargo, BUILD_LIMIT).await
}

async fn tests(workspace: &Workspace, server: &nats::Server, tools: &Tools) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace"]).env("NATS_SERVER", &server.path);
    cargo.env("DOCKER_REGISTRY", &tools.registry).env("READERS", &tools.readers);
    cargo.env("OTLP_COLLECTOR", &tools.collector).env("PROMTOOL", &tools.promtool);
    cargo.env("TRACKSIDE_BIN", workspace.target.join("debug").join("trackside"));
    shell::run("the workspace's tests", &mut cargo, BUILD_LIMIT).await
}
