//! The simulation: the real pipeline on a NATS server in memory, with faults, on one seed after another.

use anyhow::Result;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{shell, test};

/// Seeds that `cargo xtask test` tries, and those it tries where `CI` is set.
const TEST_SEEDS: u64 = 10_000;
const CI_SEEDS: u64 = 1_000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds to try
    #[arg(long, default_value_t = TEST_SEEDS)]
    seeds: u64,
    /// Show one seed, with everything that happens, instead of trying many
    #[arg(long)]
    seed: Option<u64>,
    /// Play a bug that has to be found: early-ack, early-confirm, dropped-nak, mixed-lanes, ignored-ids, no-barrier,
    /// half-batches
    #[arg(long)]
    bug: Option<String>,
}

/// Builds what is simulated, and simulates.
pub(crate) async fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    test::build(workspace).await?;
    simulate(workspace, args).await
}

/// As many seeds as a test has time for, with what has been built.
pub(crate) async fn as_test(workspace: &Workspace) -> Result<()> {
    let seeds = if std::env::var_os("CI").is_some() { CI_SEEDS } else { TEST_SEEDS };
    simulate(workspace, &Args { seeds, seed: None, bug: None }).await
}

async fn simulate(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut simulate = tokio::process::Command::new(workspace.target.join("debug").join("simulate"));
    simulate.args(["--seeds", &args.seeds.to_string()]);
    if let Some(seed) = args.seed {
        simulate.args(["--seed", &seed.to_string()]);
    }
    if let Some(bug) = &args.bug {
        simulate.args(["--bug", bug]);
    }
    shell::run("the simulation", &mut simulate, BUILD_LIMIT).await
}
