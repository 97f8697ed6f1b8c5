//! `--keep`: everything stays up, with a trickle of orders, so that a change to a rule can be watched.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::feed::Feed;
use super::watch::{Outcome, Watch};
use super::world::World;

/// One order each time this has passed.
const PERIOD: Duration = Duration::from_millis(200);
/// How often the counts are shown.
const SHOW: Duration = Duration::from_secs(10);
/// After this many orders the trickle ends: about two months.
const MOST_ORDERS: u32 = 26_000_000;

/// Prints what to try, and sends orders until the process is told to end.
pub(crate) async fn play(world: &World, feed: &Feed, watch: &mut Watch, seed: u64, from: u32) -> Result<()> {
    print_hints(world);
    let mut tick = tokio::time::interval(PERIOD);
    let mut shown = Instant::now();
    let mut counts = [0_u32; 3];
    let mut number = from;
    let mut revision = String::new();
    while number < MOST_ORDERS {
        tokio::select! {
            _ = tick.tick() => {
                feed.send_one(&world.jetstream, seed, number).await?.await?;
                number += 1;
            }
            arrival = watch.next() => {
                let arrival = arrival?;
                counts[arrival.outcome as usize] += 1;
                let now = arrival.header("Trackside-Revision").unwrap_or_default();
                if now != revision {
                    println!("  revision {now} has its first message, on {}", arrival.subject);
                    now.clone_into(&mut revision);
                }
            }
        }
        if shown.elapsed() > SHOW {
            let said: Vec<_> = Outcome::ALL.iter().zip(counts).map(|(o, n)| format!("{n} {}", o.as_str())).collect();
            println!("  the last {} s: {}", SHOW.as_secs(), said.join(", "));
            (shown, counts) = (Instant::now(), [0; 3]);
        }
    }
    Ok(())
}

fn print_hints(world: &World) {
    let World { nats_url, admin_url, config, trackside, nats, .. } = world;
    println!("\nStill up, with five orders a second. Things to try:");
    for (what, how) in [
        ("change a rule", format!("$EDITOR {}/rules/orders.toml", config.display())),
        ("see the revision", format!("curl -s {admin_url}/v1/revision")),
        ("see the metrics", format!("curl -s {admin_url}/metrics")),
        ("watch clean orders", format!("nats -s {nats_url} sub 'clean.>'   # with the NATS CLI")),
        ("send an order", format!("nats -s {nats_url} pub orders.eu.created '{{\"id\":\"mine\"}}'")),
        ("read dead letters", format!("nats -s {nats_url} stream view DEAD")),
        ("read the logs", format!("tail -f {} {}", trackside.log().display(), nats.log().display())),
    ] {
        println!("  {what:<20} {how}");
    }
    println!("Ctrl-C stops everything and removes {}\n", world.folder().display());
}
