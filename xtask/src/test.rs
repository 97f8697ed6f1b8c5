//! Every test there is, in an order that fails early and compiles nothing twice.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::steps::Steps;
use crate::{collector, conformance, instructions, nats, pip, promtool, readers, registry, shell, simulate, wasm};

/// The fuzzer of the admin API.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The plugins' own tests, natively: against the SDK's in-memory message.
pub(crate) async fn plugins_natively(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--manifest-path"]).arg(workspace.plugins_source().join("Cargo.toml"));
    shell::run("the plugins' tests", &mut cargo, BUILD_LIMIT).await
}

/// Everything: plugins and the guests of the tests to Wasm, the plugins' native tests, the binary, the instructions of the
/// hot path, the conformance suite, the simulation, and the workspace's tests, doc tests included.
pub(crate) async fn everything(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    let server = steps.step("nats-server", nats::provision(workspace)).await?;
    println!("{} {}, {}", server.path.display(), server.version, server.origin);
    let registry = steps.step("registry", registry::provision(workspace)).await?;
    let fuzzer = workspace.target.join("tools").join("schemathesis");
    let fuzzer = steps.step("schemathesis", pip::install(&fuzzer, &[SCHEMATHESIS])).await?;
    let readers = steps.step("readers", readers::provision(workspace)).await?;
    let collector = steps.step("collector", collector::provision(workspace)).await?;
    let promtool = steps.step("promtool", promtool::provision(workspace)).await?;
    let needs = [
        ("DOCKER_REGISTRY", registry),
        ("READERS", readers),
        ("SCHEMATHESIS", fuzzer),
        ("OTLP_COLLECTOR", collector),
        ("PROMTOOL", promtool),
    ];
    steps.step("plugins to Wasm", wasm::build_plugins(workspace)).await?;
    steps.step("guests to Wasm", wasm::build_guests(workspace)).await?;
    steps.step("plugins, natively", plugins_natively(workspace)).await?;
    steps.step("build", build(workspace)).await?;
    steps.step("instructions", instructions::as_test(workspace)).await?;
    steps.step("conformance", conformance::as_test(workspace)).await?;
    steps.step("simulation", simulate::as_test(workspace)).await?;
    steps.step("tests", tests(workspace, &server, needs)).await?;
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

/// The workspace's tests, with what they need in variables. One run tells all that fail.
async fn tests(workspace: &Workspace, server: &nats::Server, needs: [(&str, PathBuf); 5]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]).env("NATS_SERVER", &server.path).envs(needs);
    cargo.env("TRACKSIDE_BIN", workspace.target.join("debug").join("trackside"));
    shell::run("the workspace's tests", &mut cargo, BUILD_LIMIT).await
}
