//! `cargo xtask bench`: what Trackside costs, against the raw cost of moving the same messages without looking at them.
//!
//! Load, arrival check and relay are built in release as Trackside is, so a first program (this one, built as `cargo run`
//! builds it) makes both, and hands over to the second, which measures.

mod arrivals;
mod books;
mod bounds;
mod config;
mod contestant;
mod flame;
mod goals;
mod guests;
mod latency;
mod machine;
mod micro;
mod orders;
mod page;
mod peer;
mod perf;
mod plot;
pub(crate) mod relay;
mod reload;
mod results;
mod scenario;
mod session;
mod sidecar;
mod start;
mod stats;
mod tables;
mod task;
mod throughput;
mod turns;
mod usage;
mod work;
mod world;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use self::contestant::Programs;
use self::goals::Met;
use self::machine::Machine;
use self::micro::Micro;
use self::page::Page;
use self::peer::Peer;
use self::scenario::{Extent, LANGUAGES};
use self::session::Session;
use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::process::interrupted;
use crate::{nats, release, shell};

/// What is to be measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer messages, rounds and scenarios: below three minutes in place of 30
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose names contain this, such as `core-1kB`; docs/benchmarks.md is left as it is
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Another program that does the same, as docs/benchmarks.md explains; may be repeated
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// Have `perf` watch Trackside, and draw where its time goes into docs/benchmarks; for a scenario of latency, how long
    /// its threads wait for a processor. What is measured meanwhile is slower, and is not written
    #[arg(long, requires = "only")]
    flames: bool,
    /// Messages of each run, in place of what the scenario says
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..))]
    messages: Option<u32>,
    /// How often each scenario is run, in place of what it says
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

/// What is to be measured, with what has been built.
#[derive(clap::Args)]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    args: Args,
    /// The server to start
    #[arg(long)]
    nats_server: PathBuf,
    /// The target directory where criterion has just measured single steps
    #[arg(long)]
    micro: Option<PathBuf>,
    /// The folder of the stages in other languages; without it they are left out
    #[arg(long)]
    guests: Option<PathBuf>,
    /// The binary to measure; without it only the relay and peers are
    #[arg(long)]
    trackside: Option<PathBuf>,
}

/// Builds everything in release, and has it measured.
pub(crate) async fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let server = nats::provision(workspace).await?;
    let trackside = match args.flames {
        true => release::build_for_profiling(workspace).await?,
        false => release::build(workspace).await?,
    };
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "xtask", "--bin", "xtask"]);
    shell::run("building the load, the relay and the arrival check", &mut cargo, BUILD_LIMIT).await?;
    let mut measure = Command::new(workspace.target.join("release").join("xtask"));
    measure.arg("measure").arg("--nats-server").arg(&server.path).arg("--trackside").arg(&trackside);
    if args.only.as_deref().map_or(!args.quick, |only| LANGUAGES.contains(only)) {
        measure.arg("--guests").arg(guests::build(workspace, &trackside).await?);
    }
    // What came after `bench`; it has been parsed already, and will be again.
    measure.args(std::env::args_os().skip(2));
    let wants_micro = args.only.as_deref().map_or(!args.quick, |only| micro::NAME.contains(only));
    if wants_micro {
        micro::run(workspace).await?;
        measure.arg("--micro").arg(&workspace.target);
    }
    shell::run("the benchmarks", &mut measure, BUILD_LIMIT).await
}

/// Measures with what has been built.
///
/// # Errors
/// Also when anything did not pass the arrival check.
pub(crate) async fn measure(workspace: &Workspace, measure: &MeasureArgs) -> Result<()> {
    let args = &measure.args;
    let server = nats::given(&measure.nats_server).await?;
    let machine = Machine::look(&workspace.root, &server, measure.trackside.as_deref()).await?;
    for (name, fact) in &machine.facts {
        println!("{name:<12} {fact}");
    }
    let (begin, load_before) = (Instant::now(), machine::load()?);
    println!("{:<12} {load_before}", "load average");
    let programs = Programs {
        relay: std::env::current_exe()?,
        trackside: measure.trackside.clone(),
        guests: measure.guests.clone(),
        flames: args.flames.then(|| workspace.root.join("docs/benchmarks")),
    };
    let number = |number: Option<u32>| number.map(|number| number as usize);
    let extent = Extent { quick: args.quick, messages: number(args.messages), rounds: number(args.rounds) };
    let mut session = Session::start(&server, programs, extent, args.only.clone()).await?;
    tokio::select! {
        measured = session.run(&args.peers) => measured?,
        done = interrupted() => { done?; bail!("interrupted; everything was stopped") }
    }
    let mut results = session.finish().await?;
    results.micro = measure.micro.as_deref().map(Micro::read).transpose()?;
    let goals = tables::goals(goals::all(&results).into_iter().filter(|goal| goal.met != Met::NotMeasured));
    if let Some(goals) = goals {
        println!("\n{goals}");
    }
    let load_after = machine::load()?;
    println!("\n{:<12} {load_after}\n{:<12} {:.0} s", "load average", "took", begin.elapsed().as_secs_f64());
    let wrong = results.wrong.join("\n  ");
    if args.only.is_none() && measure.trackside.is_some() && wrong.is_empty() {
        let page = Page { machine: &machine, results: &results, quick: args.quick, loads: [load_before, load_after] };
        let written = page.write(&workspace.root.join("docs")).context("the page could not be written")?;
        println!("{:<12} {}", "written", workspace.shown(&written));
    }
    match results.wrong.len() {
        0 => Ok(()),
        count => bail!("{count} runs are no results:\n  {wrong}"),
    }
}
