//! `cargo xtask`: builds, demo and checks of Trackside, with nothing to install by hand but a Rust toolchain.

mod admin;
mod apt;
mod bench;
mod bindings;
mod cargo;
mod collector;
mod conformance;
mod deb;
mod demo;
mod faults;
mod fuzz;
mod hostile;
mod instructions;
mod nats;
mod pip;
mod process;
mod promtool;
mod readers;
mod registry;
mod release;
mod shell;
mod simulate;
mod steps;
mod test;
mod wasm;
mod wheel;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cargo::Workspace;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Builds, demo and checks of Trackside")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the standard plugins to Wasm components, in target/plugins
    Plugins {
        /// Run their tests natively first
        #[arg(long)]
        native_test: bool,
    },
    /// Build one package to a Wasm component: a plugin of your own, or a guest of the tests
    Guest {
        /// The folder with its Cargo.toml, or with that of its workspace
        manifest_dir: PathBuf,
        /// The package's name
        package: String,
        /// The file to write, for example target/mine.wasm
        out: PathBuf,
    },
    /// Build the conformance plugin and the template of every language, and run the cases that all of them share
    Conformance(conformance::Args),
    /// Generate the bindings of plugin-sdk/c from the contract
    Bindings,
    /// Build the components that tests need, in target/guests
    Guests,
    /// Print the path of a nats-server that is new enough, fetching one where there is none
    NatsServer,
    /// Print the path of an OCI registry for the tests, fetching one where there is none
    Registry,
    /// Print the path of a receiver of OpenTelemetry's protocol for the tests, fetching one where there is none
    Collector,
    /// Print the path of promtool, fetching it where there is none
    Promtool,
    /// Print the folder of the parsers that tests have files read by, fetching them and installing the programs
    Readers,
    /// Build target/release/trackside with the standard plugins in it
    Build,
    /// Run every test: plugins, host and end to end against a real nats-server
    Test,
    /// Break things while messages flow, at full length, and balance the books afterwards
    Faults {
        /// Only tests whose names contain this, such as `trackside_killed`
        name: Option<String>,
    },
    /// Flood Trackside, stop its outputs half-way, and draw its memory to docs/memory.svg
    Memory {
        /// For how long
        #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(20..))]
        seconds: u64,
    },
    /// Let hostile components attack, and measure what a neighbour and the host's memory have to bear meanwhile
    Hostile {
        /// Only attacks whose names contain this, such as `loop`
        name: Option<String>,
    },
    /// Fuzz the host's side, one target after another
    Fuzz(fuzz::Args),
    /// Try the pipeline on many seeds, with faults, against a server in memory: nothing lost, twice, out of order, invented
    Simulate(simulate::Args),
    /// Measure what Trackside costs, against moving the same messages without looking at them; writes docs/benchmarks.md
    Bench(bench::Args),
    /// Count the instructions of single steps, and fail where they are more than 5 % above the committed baseline
    Instructions(instructions::Args),
    /// Measure with what `bench` has built
    #[command(hide = true)]
    Measure(bench::MeasureArgs),
    /// Be the raw relay that `bench` compares with
    #[command(hide = true)]
    Relay(bench::relay::Args),
    /// Stream orders through a real nats-server and Trackside, and check that none was lost and no secret got out
    Demo(demo::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    match perform(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Never with a backtrace: what failed was some other program, and the error says which.
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(args: Args) -> Result<()> {
    if let Task::Relay(args) = &args.task {
        return bench::relay::run(args).await;
    }
    let workspace = Workspace::locate().await?;
    match args.task {
        Task::Plugins { native_test } => {
            if native_test {
                test::plugins_natively(&workspace).await?;
            }
            wasm::build_plugins(&workspace).await
        }
        Task::Guest { manifest_dir, package, out } => {
            wasm::build_guest(&workspace, &manifest_dir, &package, &out).await
        }
        Task::Conformance(args) => conformance::run(&workspace, &args).await,
        Task::Bindings => bindings::write(&workspace),
        Task::Guests => wasm::build_guests(&workspace).await,
        Task::NatsServer => {
            let server = nats::provision(&workspace).await?;
            println!("{}", server.path.display());
            Ok(())
        }
        Task::Registry => {
            println!("{}", registry::provision(&workspace).await?.display());
            Ok(())
        }
        Task::Collector => {
            println!("{}", collector::provision(&workspace).await?.display());
            Ok(())
        }
        Task::Promtool => {
            println!("{}", promtool::provision(&workspace).await?.display());
            Ok(())
        }
        Task::Readers => {
            println!("{}", readers::provision(&workspace).await?.display());
            Ok(())
        }
        Task::Build => release::build(&workspace).await.map(drop),
        Task::Test => test::everything(&workspace).await,
        Task::Faults { name } => faults::faults(&workspace, name.as_deref()).await,
        Task::Memory { seconds } => faults::memory(&workspace, seconds).await,
        Task::Hostile { name } => hostile::hostile(&workspace, name.as_deref()).await,
        Task::Fuzz(args) => fuzz::run(&workspace, &args).await,
        Task::Simulate(args) => simulate::run(&workspace, &args).await,
        Task::Bench(args) => bench::run(&workspace, &args).await,
        Task::Instructions(args) => instructions::run(&workspace, &args).await,
        Task::Measure(args) => bench::measure(&workspace, &args).await,
        Task::Relay(_) => Ok(()),
        Task::Demo(args) => demo::run(&workspace, &args).await,
    }
}
