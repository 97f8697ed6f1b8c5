//! `cargo xtask demo`: orders through a real nats-server and Trackside, watched and checked from outside.

mod feed;
mod keep;
mod leak;
mod ledger;
mod orders;
mod reload;
mod report;
mod watch;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::consumer::PullConsumer;
use tokio::task::JoinSet;

use self::feed::Feed;
use self::ledger::{Ledger, Revision};
use self::reload::{NEW_THRESHOLD, OLD_THRESHOLD, reload};
use self::report::{Live, millis};
use self::watch::Watch;
use self::world::{OUTCOMES, SOURCE, World};
use crate::cargo::Workspace;
use crate::nats::{self, Server};
use crate::process::interrupted;
use crate::release;

/// The orders are the same in every run, so that runs can be compared.
const SEED: u64 = 0x7261_636b;
/// Longest time without an arrival.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// Longest time until the last order is acknowledged.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);

/// How the demo is to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Stay up afterwards for playing, with some orders a second
    #[arg(long)]
    keep: bool,
    /// How many orders to stream
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    messages: u32,
}

/// A demo whose orders have all arrived.
struct Shown {
    world: World,
    feed: Feed,
    watch: Watch,
    mistakes: usize,
}

/// Builds what is needed, runs the demo, and fails if an order was lost or a secret got out.
pub(crate) async fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let server = nats::provision(workspace).await?;
    let binary = release::build(workspace).await?;
    println!("\n{:<12} {} {}, {}", "nats-server", server.version, server.origin, workspace.shown(&server.path));
    // Leaving this function drops the world, which ends its processes and removes its folder.
    let config = workspace.root.join("config");
    let mut shown = tokio::select! {
        shown = show(&server, &binary, &config, args.messages) => shown?,
        done = interrupted() => { done?; bail!("interrupted; everything was stopped") }
    };
    if args.keep {
        let Shown { world, feed, watch, .. } = &mut shown;
        tokio::select! {
            played = keep::play(world, feed, watch, SEED, args.messages) => played?,
            done = interrupted() => { done?; println!() }
        }
    }
    let drained = shown.world.stop().await?;
    println!("  ok  Trackside drained and ended with exit code 0, {} after SIGTERM", millis(drained));
    match shown.mistakes {
        0 => Ok(()),
        mistakes => bail!("the demo found {mistakes} mistakes"),
    }
}

/// Starts everything, streams the orders, and prints what came of them.
async fn show(server: &Server, binary: &Path, config: &Path, messages: u32) -> Result<Shown> {
    let mut world = World::start(server, binary, config).await?;
    let revision = world.revision().await?;
    println!("{:<12} {}", "", world.nats_url);
    println!("{:<12} {}, revision {revision}", "trackside", world.admin_url);
    println!("{:<12} {}", "config", world.config.display());
    println!("\n{} orders", report::grouped(u64::from(messages)));
    let mut ledger = Ledger::new(SEED, messages, Revision { name: revision, threshold: OLD_THRESHOLD });
    let feed = Feed::new();
    let mut watch = Watch::start(&world.jetstream, feed.start).await?;
    let streamed = stream(&world, &feed, &mut watch, &mut ledger).await;
    let half = streamed.with_context(|| world.trackside.log_tail())?;
    settle(&mut world, &mut ledger).await?;
    report::print_samples(&ledger);
    report::print_numbers(&ledger, half);
    report::print_checks(&ledger);
    Ok(Shown { world, feed, watch, mistakes: ledger.mistakes().1 })
}

/// Streams the orders, changes the rule when half have arrived, and returns how long that half took. The last quarter
/// is held back until the change is in force, so that there are orders on both sides of it; the third quarter flows
/// while it happens.
async fn stream(world: &World, feed: &Feed, watch: &mut Watch, ledger: &mut Ledger) -> Result<Duration> {
    let count = u32::try_from(ledger.expected())?;
    let (go, gone) = tokio::sync::watch::channel(false);
    let mut sender = JoinSet::new();
    let (sending, jetstream) = (feed.clone(), world.jetstream.clone());
    sender.spawn(async move { sending.send(&jetstream, SEED, count, count / 4 * 3, gone).await });

    let mut reloading = JoinSet::new();
    let (mut live, mut tick) = (Live::new(), tokio::time::interval(TICK));
    let (start, mut last_arrival) = (Instant::now(), Instant::now());
    let old = world.revision().await?;
    let mut half = None;
    while ledger.distinct() < count || !sender.is_empty() {
        tokio::select! {
            arrival = watch.next() => {
                ledger.arrive(arrival?);
                feed.window.add_permits(1);
                last_arrival = Instant::now();
            }
            Some(sent) = sender.join_next() => sent??,
            Some(reloaded) = reloading.join_next() => {
                let reloaded: reload::Reloaded = reloaded??;
                live.say(&format!(
                    "  rule changed after {} orders: review from {NEW_THRESHOLD:.2} up, was {OLD_THRESHOLD:.2}; \
                     revision {} in force after {}",
                    report::grouped(u64::from(ledger.distinct())), reloaded.revision, millis(reloaded.took),
                ));
                ledger.revised(&reloaded.revision, reloaded.boundary);
                go.send_replace(true);
                last_arrival = Instant::now();
            }
            _ = tick.tick() => {
                live.count(feed.sent(), ledger, start);
                if last_arrival.elapsed() > STALL_LIMIT {
                    bail!("{} of {count} orders arrived, and then none for {} s", ledger.distinct(), STALL_LIMIT.as_secs());
                }
            }
        }
        if half.is_none() && ledger.distinct() >= count / 2 {
            half = Some(start.elapsed());
            ledger.expect_revision(NEW_THRESHOLD);
            let (rule, admin, old) = (world.config.join("rules/orders.toml"), world.admin_url.clone(), old.clone());
            let feed = feed.clone();
            reloading.spawn(async move { reload(&rule, &admin, &old, &feed).await });
        }
    }
    live.finish(feed.sent(), ledger, start.elapsed());
    half.context("there are no orders")
}

/// Waits until the source has nothing left that is not acknowledged, and books what the streams hold beside the
/// orders.
async fn settle(world: &mut World, ledger: &mut Ledger) -> Result<()> {
    let stream = world.jetstream.get_stream(SOURCE.0).await?;
    let names: Vec<String> = futures::TryStreamExt::try_collect(stream.consumer_names()).await?;
    let mut consumers = Vec::new();
    for name in &names {
        let consumer: PullConsumer = stream.get_consumer(name).await.map_err(anyhow::Error::from_boxed)?;
        consumers.push(consumer);
    }
    let acknowledged = async || {
        for consumer in &consumers {
            let info = consumer.get_info().await.ok()?;
            if info.num_pending > 0 || info.num_ack_pending > 0 {
                return None;
            }
        }
        Some(())
    };
    world.trackside.wait_for("every order to be acknowledged", SETTLE_LIMIT, acknowledged).await?;
    let mut stored = 0;
    for (name, _) in OUTCOMES {
        stored += world.jetstream.get_stream(name).await?.get_info().await?.state.messages;
    }
    if stored != ledger.expected() as u64 {
        ledger.mistake(format!("the output streams hold {stored} messages for {} orders", ledger.expected()));
    }
    Ok(())
}
