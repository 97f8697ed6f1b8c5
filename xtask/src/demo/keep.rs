//! `--keep`: everything stays up, with a trickle of orders, so that a change to a rule can be watched.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::feed::Feed;
use super::watch::{Outcome, Watch};
use super::world::World;
use crate::admin::status;

/// One order each time this has passed.
const PERIOD: Duration = Duration::from_millis(200);
/// How often the counts are shown.
const SHOW: Duration = Duration::from_secs(10);
/// How often the admin API is asked whether it took a change over.
const ASK: Duration = Duration::from_millis(500);
/// After this many orders the trickle ends: about two months.
const MOST_ORDERS: u32 = 26_000_000;

/// Prints what to try, and sends orders until the process is told to end.
pub(crate) async fn play(world: &World, feed: &Feed, watch: &mut Watch, seed: u64, from: u32) -> Result<()> {
    print_hints(world);
    let (mut tick, mut ask) = (tokio::time::interval(PERIOD), tokio::time::interval(ASK));
    let mut told = String::new();
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
            _ = ask.tick() => {
                let status = status(&world.admin_url).await.with_context(|| world.trackside.log_tail())?;
                if let Some(rejection) = rejection(&status, &mut told) {
                    println!("{rejection}");
                }
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

/// What to say where the last load of the configuration was rejected: once for each, of which `told` keeps the time.
fn rejection(status: &Value, told: &mut String) -> Option<String> {
    let last = &status["last-reload"];
    let at = last["at"].as_str().filter(|at| at != told)?;
    at.clone_into(told);
    let (report, revision) = (last["errors"].as_str()?, status["revision"].as_str()?);
    Some(format!("  your change was rejected, and revision {revision} stays in force:\n\n{}\n", report.trim_end()))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_that_was_rejected_is_told_once_with_its_report() {
        let status =
            |at: &str, errors: Value| json!({ "revision": "0101", "last-reload": { "at": at, "errors": errors } });
        let mut told = String::new();
        assert_eq!(rejection(&json!({ "revision": null, "last-reload": null }), &mut told), None);
        assert_eq!(rejection(&status("one", Value::Null), &mut told), None);
        let text = rejection(&status("two", json!("  error: no key `sourc`\n")), &mut told).expect("it is told");
        assert!(text.contains("your change was rejected, and revision 0101 stays"), "{text}");
        assert!(text.ends_with("\n\n  error: no key `sourc`\n"), "{text}");
        assert_eq!(rejection(&status("two", json!("  error: no key `sourc`\n")), &mut told), None);
        assert!(rejection(&status("three", json!("  error: another")), &mut told).is_some());
        assert_eq!(rejection(&status("four", Value::Null), &mut told), None, "it was mended");
    }
}
